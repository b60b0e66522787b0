"""Whose turn it is follows what comes in and what people answer; the API shows it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from app.maintenance import retention
from app.models.audience import Member, Population
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote
from app.models.credential import Scope
from app.models.house import AuditEntry
from app.models.incoming import Incoming
from app.models.last_contact import LastContact
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionSource
from app.models.user import Membership, User
from tests.support.departments import Caller, api_key
from tests.support.inbound import AWAY, NUMBER, PHONE
from tests.support.inbound import Department as Office
from tests.support.rows import Rows
from tests.support.twilio import Twilio, sid

KEY = "registrar-key-of-at-least-32-characters"
HERE = f"conversations/{NUMBER}/{PHONE}"


@pytest.fixture
def office(rows: Rows) -> Office:
    """A department whose number answers each text by itself."""
    made = Office(rows)
    made.auto_reply(suppression_list_id=made.suppression_list().id)
    rows.add(api_key(made.client, KEY, label="desk", scope=Scope.SEND))
    rows.add(Client(name="library", owner_email="library@example.edu"))
    return made


@pytest.fixture
def desk(client: FlaskClient, office: Office) -> Caller:
    return Caller(client, {"x-dispatch-api-key": KEY})


def read(desk: Caller, path: str = HERE, status: int = 200) -> Any:
    answer = desk.get(path)
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.json


def said(desk: Caller) -> tuple[str, int, str | None]:
    found = read(desk)
    return found["state"], found["unread"], found["lastText"]


def test_a_text_waits_until_a_person_answers_whatever_machines_say(
    twilio: Twilio, desk: Caller
) -> None:
    twilio.sms(Body="When do you open?")
    assert said(desk) == ("waiting", 1, "When do you open?")
    twilio.sms(Body="Hello?")
    assert said(desk) == ("waiting", 2, "Hello?")
    answer = desk.post(f"{HERE}/reply", {"body": "At nine."})
    assert (answer.status_code, answer.json["status"]) == (201, "queued")
    assert (answer.json["from"], answer.json["to"]) == (NUMBER, PHONE)
    assert said(desk) == ("answered", 0, "At nine.")
    assert desk.post(f"{HERE}/close", {}).json["state"] == "closed"
    twilio.sms(Body="Thank you")
    assert said(desk) == ("waiting", 1, "Thank you")
    entries = read(desk)["entries"]
    assert [(one["kind"], one["by"], one["text"]) for one in entries] == [
        ("in", PHONE, "When do you open?"), ("out", None, AWAY),
        ("in", PHONE, "Hello?"), ("out", None, AWAY),
        ("out", "API key desk", "At nine."),
        ("in", PHONE, "Thank you"), ("out", None, AWAY),
    ]  # fmt: skip
    assert [one["status"] for one in entries[3:6]] == ["queued", "queued", "replied"]


WAIT_FOR_NOTHING = {
    "STOP": lambda twilio: twilio.sms(Body="STOP", OptOutType="STOP"),
    "START": lambda twilio: twilio.sms(Body="START", OptOutType="START"),
    "HELP": lambda twilio: twilio.sms(Body="HELP", OptOutType="HELP"),
    "a reaction": lambda twilio: twilio.sms(Body="Liked “When do you open?”"),
    "a call": lambda twilio: twilio.call(),
}


@pytest.mark.parametrize("name", WAIT_FOR_NOTHING)
def test_what_waits_for_nothing_begins_and_reopens_nothing(
    twilio: Twilio, desk: Caller, name: str
) -> None:
    WAIT_FOR_NOTHING[name](twilio)
    assert said(desk)[:2] == ("closed", 0)
    twilio.sms(Body="Are you there?")
    WAIT_FOR_NOTHING[name](twilio)
    assert said(desk)[:2] == ("waiting", 1)
    desk.post(f"{HERE}/close", {})
    WAIT_FOR_NOTHING[name](twilio)
    assert said(desk)[0] == "closed"
    kinds = {one["kind"] for one in read(desk)["entries"]}
    assert kinds >= {{"a reaction": "reaction", "a call": "call"}.get(name, "in")}


def test_a_repeat_of_the_same_text_counts_once(twilio: Twilio, desk: Caller) -> None:
    one = sid("SM")
    for _ in range(2):
        assert twilio.sms(MessageSid=one).status_code == 200
    assert said(desk)[:2] == ("waiting", 1)


def test_a_caller_without_a_phone_has_no_conversation(twilio: Twilio, desk: Caller) -> None:
    for hidden in ("anonymous", "sip:pat@example.edu", ""):
        twilio.call(From=hidden)
    assert read(desk, "conversations")["items"] == []


def test_a_text_that_a_system_sends_answers_nothing(
    twilio: Twilio, desk: Caller, rows: Rows
) -> None:
    twilio.sms(Body="Where is my book?")
    desk.post("messages", {"to": PHONE, "from": NUMBER, "body": "Your book is ready."})
    assert said(desk) == ("waiting", 1, "Your book is ready.")


def test_a_reply_that_goes_to_nobody_answers_nothing(
    twilio: Twilio, desk: Caller, rows: Rows, office: Office
) -> None:
    twilio.sms(Body="Where is my book?")
    listed = rows.one(Message).suppression_list_id
    rows.add(
        SuppressionEntry(
            list_id=listed, phone=PHONE, scope="all", source=SuppressionSource.MANUAL,
            since=utcnow(),
        )
    )  # fmt: skip
    assert desk.post(f"{HERE}/reply", {"body": "Here."}).json["status"] == "suppressed"
    assert said(desk)[0] == "waiting"


REFUSED = {
    "an empty text": ({"body": " "}, 422, "body"),
    "too long a text": ({"body": "x" * 1601}, 422, "body"),
    "a bad address": ({"body": "x", "media": ["ftp://example.edu/a.png"]}, 422, "media"),
    "an unknown field": ({"body": "x", "to": PHONE}, 422, "to"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_reply_goes_by_the_rules_of_messages(twilio: Twilio, desk: Caller, name: str) -> None:
    body, status, field = REFUSED[name]
    twilio.sms()
    answer = desk.post(f"{HERE}/reply", body)
    assert answer.status_code == status, answer.json
    assert field in {
        one["field"].partition(".")[0].partition("[")[0] for one in answer.json["errors"]
    }
    assert said(desk)[0] == "waiting"


def test_a_reply_is_made_once_for_a_key(twilio: Twilio, desk: Caller, rows: Rows) -> None:
    twilio.sms()
    made = [desk.post(f"{HERE}/reply", {"body": "Yes."}, Idempotency_Key="a") for _ in range(2)]
    assert made[0].json == made[1].json
    other = desk.post(f"{HERE}/reply", {"body": "No."}, Idempotency_Key="a")
    assert other.status_code == 409
    assert sum(one.body == "Yes." for one in rows.all(Message)) == 1


def test_over_a_limit_nothing_is_kept(twilio: Twilio, desk: Caller, rows: Rows) -> None:
    twilio.sms()
    rows.change(update(Client).values(limit_segments_hour=1))
    answer = desk.post(f"{HERE}/reply", {"body": "Yes."})
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
    assert said(desk)[0] == "waiting"
    rows.change(update(Client).values(halted_at=utcnow()))
    assert desk.post(f"{HERE}/reply", {"body": "Yes."}).status_code == 403


def test_somebody_takes_it_notes_and_gives_it_back(
    twilio: Twilio, desk: Caller, rows: Rows, office: Office
) -> None:
    pat, lee = User(email="pat@example.edu"), User(email="lee@example.edu")
    rows.add(pat, lee)
    rows.add(Membership(user_id=pat.id, client_id=office.client.id))
    twilio.sms()
    assert desk.post(f"{HERE}/assign", {"user": "PAT@example.edu"}).json["assigned"] == pat.email
    for nobody in ("lee@example.edu", "nobody", "\u0000"):
        assert desk.post(f"{HERE}/assign", {"user": nobody}).status_code in (400, 422)
    assert desk.post(f"{HERE}/assign", {}).status_code == 422
    made = desk.post(f"{HERE}/notes", {"text": " Called the dean. "})
    assert (made.status_code, made.json["kind"], made.json["text"]) == (
        201, "note", "Called the dean.",
    )  # fmt: skip
    assert desk.post(f"{HERE}/notes", {"text": " "}).status_code == 422
    assert read(desk)["assigned"] == pat.email
    assert [one["kind"] for one in read(desk)["entries"]] == ["in", "out", "note"]
    listed = [
        len(read(desk, f"conversations?assigned={email}")["items"])
        for email in (pat.email, lee.email, "nobody")
    ]
    assert listed == [1, 0, 0]
    assert desk.post(f"{HERE}/assign", {"user": None}).json["assigned"] is None
    assert [one.action for one in rows.all(AuditEntry)][-2:] == ["assign", "release"]


def test_they_are_listed_by_state_and_page_by_page(
    twilio: Twilio, desk: Caller, office: Office
) -> None:
    office.rows.change(update(Client).values(international=True))
    for last in range(5):
        twilio.sms(From=f"+1319555016{last}", Body=f"text {last}")
    desk.post(f"conversations/{NUMBER}/+13195550160/close", {})
    desk.post(f"conversations/{NUMBER}/+13195550161/reply", {"body": "Yes."})
    found = {
        state: [one["phone"][-1] for one in read(desk, f"conversations?state={state}")["items"]]
        for state in ("open", "waiting", "answered", "closed")
    }
    assert found == {
        "open": ["1", "2", "3", "4"], "waiting": ["2", "3", "4"], "answered": ["1"],
        "closed": ["0"],
    }  # fmt: skip
    seen, path = [], "conversations?limit=2"
    while path:
        page = read(desk, path)
        seen += [one["phone"][-1] for one in page["items"]]
        path = (page["next"] or "").partition("/api/v1/")[2]
    assert seen == list("01234")
    assert [one["phone"][-1] for one in read(desk, "conversations?q=text 3")["items"]] == ["3"]
    assert [one["phone"][-1] for one in read(desk, "conversations?q=0164")["items"]] == ["4"]
    for wrong in ("state=lost", "limit=0", "cursor=x", "after=x"):
        assert desk.get(f"conversations?{wrong}").status_code == 422


def test_a_name_is_known_from_the_last_contact_else_from_a_list(
    twilio: Twilio, desk: Caller, rows: Rows, office: Office
) -> None:
    twilio.sms()
    assert read(desk)["name"] is None
    students = Population(client_id=office.client.id, name="students")
    rows.add(students)
    ann = {"toName": "Ann", "toPhone": "(319) 555-0150"}
    rows.add(Member(roll=students.id, attributes=ann))
    assert read(desk)["name"] == "Ann"
    rows.add(Member(roll=students.id, attributes={**ann, "toName": "Bob"}))
    assert read(desk)["name"] is None
    number = rows.one(Conversation).sender_id
    rows.add(
        LastContact(
            client_id=office.client.id, phone=PHONE, sender_id=number, member={"toName": "Ann B."},
            message_id="0" * 26, sent_at=utcnow(),
        )
    )  # fmt: skip
    assert read(desk)["name"] == read(desk, "conversations")["items"][0]["name"] == "Ann B."
    desk.post(f"{HERE}/reply", {"body": "Yes."})
    reply = next(one for one in rows.all(Message) if one.body == "Yes.")
    assert reply.member == {"toName": "Ann B."}, "or the next text would know nobody"


def test_who_only_got_a_batch_has_a_closed_conversation_that_is_kept_when_needed(
    desk: Caller, rows: Rows, office: Office
) -> None:
    read(desk, status=404)
    sender = rows.one(Sender)
    rows.add(
        Message(
            client_id=office.client.id, sender_id=sender.id, credential_id=office.credential.id,
            destination=Destination.SMS, to=PHONE, from_=NUMBER, body="Classes begin.",
            state=MessageState.ACCEPTED, status="delivered",
        )
    )  # fmt: skip
    assert said(desk) == ("closed", 0, "Classes begin.")
    assert rows.count(Conversation) == 0
    desk.post(f"{HERE}/notes", {"text": "Will write."})
    assert [one["kind"] for one in read(desk)["entries"]] == ["out", "note"]


def test_others_and_lesser_keys_see_and_do_nothing(
    twilio: Twilio, desk: Caller, rows: Rows, office: Office, client: FlaskClient
) -> None:
    twilio.sms()
    library = next(one for one in rows.all(Client) if one.name == "library")
    rows.add(
        api_key(library, "l" * 40, label="l", scope=Scope.ADMIN),
        api_key(office.client, "r" * 40, label="r", scope=Scope.READ),
    )
    theirs = Caller(client, {"x-dispatch-api-key": "l" * 40})
    reader = Caller(client, {"x-dispatch-api-key": "r" * 40})
    assert read(theirs, "conversations")["items"] == []
    bodies = {
        "reply": {"body": "x"}, "assign": {"user": None}, "notes": {"text": "x"}, "close": {},
    }  # fmt: skip
    for what, body in bodies.items():
        assert theirs.post(f"{HERE}/{what}", body).status_code == 404
        assert reader.post(f"{HERE}/{what}", body).status_code == 403
        for nowhere in (f"conversations/{NUMBER}/+13195550199", f"conversations/x/{PHONE}"):
            assert desk.post(f"{nowhere}/{what}", body).status_code == 404
    read(theirs, status=404)
    assert read(reader)["state"] == "waiting"


def test_notes_and_conversations_fall_under_retention(
    twilio: Twilio, desk: Caller, rows: Rows, app: Any
) -> None:
    twilio.sms(Body="old words")
    desk.post(f"{HERE}/notes", {"text": "old note"})
    desk.post(f"{HERE}/notes", {"text": "new note"})
    long_ago = utcnow() - timedelta(days=46)
    rows.change(update(Incoming).values(received_at=long_ago))
    rows.change(update(Message).values(created_at=long_ago))
    rows.change(update(Conversation).values(last_at=long_ago))
    rows.change(
        update(ConversationNote).where(ConversationNote.text == "old note").values(at=long_ago)
    )
    assert [one["text"] for one in read(desk)["entries"]] == ["new note"]
    with app.app_context():
        retention.run()
    assert rows.one(Conversation).last_text is None
    assert rows.one(ConversationNote).text == "new note"
    rows.change(update(ConversationNote).values(at=long_ago))
    with app.app_context():
        retention.run()
    assert (rows.count(Conversation), rows.count(ConversationNote)) == (0, 0)
