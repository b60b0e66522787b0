"""The inbox: who waits comes first, and somebody answers, notes, takes over and closes."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.models.audience import Member, Population
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote, ConversationState, EntryKind
from app.models.incoming import Incoming, Outcome
from app.models.message import Message
from app.models.route import Destination
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import Template, TemplateKind, TemplateVersion
from app.models.user import Membership, User
from app.staff import listing
from tests.staff.conftest import Staff
from tests.support.rows import Rows

PHONE = "+13195550142"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SHOWN = f"/staff/clients/registrar/conversations/{{}}/{PHONE}"


@pytest.fixture
def asks(rows: Rows, number: Sender) -> Callable[..., Conversation]:
    """Lets somebody text, as the log and the conversation have it then."""
    counter = iter(range(1_000))

    def ask(body: str = "When do you open?", phone: str = PHONE, **more: Any) -> Conversation:
        at = more.pop("at", utcnow())
        talk = Conversation(
            client_id=number.client_id, sender_id=number.id, phone=phone, last_at=at,
            **{
                "state": ConversationState.WAITING, "unread": 1, "last_kind": EntryKind.IN,
                "last_text": body, "waiting_since": at,
            } | more,
        )  # fmt: skip
        rows.add(talk)
        rows.add(
            Incoming(
                client_id=number.client_id, destination=Destination.SMS, sender_id=number.id,
                sid=f"SM{next(counter):032x}", from_=phone, to=number.address, body=body,
                outcome=Outcome.REPLIED, received_at=at,
            )
        )  # fmt: skip
        return talk

    return ask


def page(staff: Staff, path: str, status: int = 200) -> str:
    answer = staff.http.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


def act(staff: Staff, number: Sender, what: str, **fields: Any) -> Any:
    here = SHOWN.format(number.id)
    path = f"/staff/clients/registrar/conversation-{what}/{number.id}/{PHONE}"
    return staff.http.post(path, data={"csrf_token": staff.token(here), **fields})


def test_who_waits_comes_first_and_is_counted_in_the_menu(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, registrar: Client
) -> None:
    now = utcnow()
    asks("newest", "+13195550101", at=now, state=ConversationState.ANSWERED, unread=0)
    asks("waits", "+13195550102", at=now - timedelta(hours=2))
    asks("done", "+13195550103", at=now, state=ConversationState.CLOSED, unread=0)
    students = Population(client_id=registrar.id, name="students")
    rows.add(students)
    known = {"toName": "Ann Lee", "toPhone": "+13195550102"}
    rows.add(Member(roll=students.id, attributes=known))
    shown = page(pat, "/staff/clients/registrar/conversations")
    assert shown.index("waits") < shown.index("newest")
    assert ">done" not in shown
    assert "Ann Lee" in shown
    assert '<span class="count">1<' in shown
    for state, words in {"closed": ["done"], "all": ["newest", "waits", "done"]}.items():
        shown = page(pat, f"/staff/clients/registrar/conversations?state={state}")
        assert [one for one in ("newest", "waits", "done") if f">{one}</p>" in shown] == words
    assert "waits" in page(pat, "/staff/clients/registrar/conversations?q=0102")
    page(pat, "/staff/clients/registrar/conversations?state=x", status=404)


def test_a_search_that_looks_at_a_part_goes_on_from_there(
    pat: Staff, asks: Callable[..., Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOK", 4)
    same = utcnow()
    for last in range(10):
        state = ConversationState.WAITING if last % 2 else ConversationState.ANSWERED
        words = "library" if last in (1, 4, 8) else "other"
        asks(f"{words}-{last}.", f"+131955502{last:02}", at=same, state=state)
    path, found = "/staff/clients/registrar/conversations?q=library", []
    while path:
        shown = page(pat, path)
        found += re.findall(r"library-(\d)\.", shown)
        older = re.search(r'class="button plain" href="([^"]*before=[^"]*)"', shown)
        path = html.unescape(older[1]) if older else ""
    assert found[0] == "1", "who waits comes first"
    assert sorted(found) == ["1", "4", "8"]


def test_an_open_inbox_asks_again_and_is_told_only_what_is_new(
    pat: Staff, asks: Callable[..., Conversation]
) -> None:
    asks("Is it open?")
    news = re.search(
        r'id="talks" hx-get="([^"]+)" hx-trigger="every (\d+)s"',
        page(pat, "/staff/clients/registrar/conversations"),
    )
    assert news
    address = html.unescape(news[1])
    part = {"HX-Request": "true"}
    assert pat.http.get(address, headers=part).status_code == 204
    asks("And tomorrow?", phone="+13195550199")
    assert "And tomorrow?" in pat.http.get(address, headers=part).text
    assert int(news[2]) >= 10, "some nine statements each: less than one a second"


def test_pages_follow_without_gap_or_repeat(pat: Staff, asks: Callable[..., Conversation]) -> None:
    same = utcnow()
    for last in range(40):
        state = ConversationState.WAITING if last % 2 else ConversationState.ANSWERED
        asks(f"text-{last:02}.", f"+131955502{last:02}", at=same, state=state)
    first = page(pat, "/staff/clients/registrar/conversations")
    older = first.split("before=")[1].split('"')[0].split("&")[0]
    second = page(pat, f"/staff/clients/registrar/conversations?before={older}")
    seen = [[n for n in range(40) if f"text-{n:02}." in shown] for shown in (first, second)]
    assert (len(seen[0]), sorted(seen[0] + seen[1])) == (30, list(range(40)))


def test_a_person_is_answered_from_the_number_that_was_texted(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, number: Sender
) -> None:
    asks()
    assert "When do you open?" in page(pat, SHOWN.format(number.id))
    assert rows.one(Conversation).unread == 0
    answer = act(pat, number, "answer", body="At nine.\r\nSee you!")
    assert answer.status_code == 302, answer.text
    sent = rows.one(Message)
    assert (sent.body, sent.to, sent.from_, sent.author) == (
        "At nine.\nSee you!", PHONE, number.address, "pat@example.edu",
    )  # fmt: skip
    talk = rows.one(Conversation)
    assert (talk.state, talk.waiting_since) == (ConversationState.ANSWERED, None)
    assert "pat@example.edu · Waiting to go out" in page(pat, SHOWN.format(number.id))


def test_a_picture_goes_along_and_is_shown(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, number: Sender
) -> None:
    asks()
    answer = act(pat, number, "answer", body="", files=(BytesIO(PNG), "map.png"))
    assert answer.status_code == 302, answer.text
    assert len(rows.one(Message).media) == 1
    assert '<img class="picture" src="/media/' in page(pat, SHOWN.format(number.id))


def test_a_canned_reply_is_put_in_filled_and_sent_only_then(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, number: Sender, registrar: Client
) -> None:
    asks()
    students = Population(client_id=registrar.id, name="students")
    canned = Template(client_id=registrar.id, name="hours", kind=TemplateKind.REPLY)
    broken = Template(client_id=registrar.id, name="room", kind=TemplateKind.REPLY)
    rows.add(students, canned, broken)
    for one, body in ((canned, "Hi {{ toName }}, nine to five."), (broken, "Room {{ room }}")):
        version = {"number": 1, "body": body, "media": [], "created_by": "x"}
        rows.add(TemplateVersion(template_id=one.id, **version))
    known = {"toName": "Ann", "toPhone": PHONE}
    rows.add(Member(roll=students.id, attributes=known))
    answer = act(pat, number, "answer", body="Sorry!", template=canned.id)
    assert ">Sorry!\nHi Ann, nine to five.</textarea>" in answer.text
    answer = act(pat, number, "answer", body="Sorry!", template=broken.id)
    assert (answer.status_code, ">Sorry!</textarea>" in answer.text) == (422, True)
    assert rows.count(Message) == 0


def opt_out(rows: Rows, number: Sender) -> None:
    listed = SuppressionList(client_id=number.client_id, name="opted-out")
    rows.add(listed)
    rows.change(update(Sender).values(suppression_list_id=listed.id))
    entry = {"source": SuppressionSource.KEYWORD, "since": utcnow(), "scope": "all"}
    rows.add(SuppressionEntry(list_id=listed.id, phone=PHONE, **entry))


REFUSED: dict[str, Callable[[Rows, Sender], None]] = {
    "Twilio is not enabled": lambda rows, number: rows.change(
        update(Client).values(twilio_enabled=False)
    ),
    "is halted": lambda rows, number: rows.change(update(Client).values(halted_at=utcnow())),
    "is not on the allow-list": lambda rows, number: rows.change(update(Client).values(trial=True)),
    "has been stopped": lambda rows, number: rows.change(
        update(Sender).values(stopped_at=utcnow(), stopped_reason="No campaign.")
    ),
    "opted out": opt_out,
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_forbids_an_answer_is_said_before_the_click_and_holds_after_it(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, number: Sender, words: str
) -> None:
    asks()
    token = pat.token(SHOWN.format(number.id))
    REFUSED[words](rows, number)
    shown = page(pat, SHOWN.format(number.id))
    assert words in shown
    assert 'name="body"' not in shown
    path = f"/staff/clients/registrar/conversation-answer/{number.id}/{PHONE}"
    answer = pat.http.post(path, data={"csrf_token": token, "body": "At nine."})
    assert (answer.status_code, words in answer.text) == (422, True)
    assert (rows.count(Message), rows.one(Conversation).state) == (0, ConversationState.WAITING)


def test_limits_and_quiet_hours_speak_before_the_click(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, number: Sender
) -> None:
    asks()
    act(pat, number, "answer", body="One.")
    rows.change(update(Client).values(limit_segments_hour=1, quiet_from="00:00", quiet_to="23:59"))
    shown = page(pat, SHOWN.format(number.id))
    assert "A limit is reached" in shown
    assert "It is quiet from 00:00 to 23:59" in shown
    answer = act(pat, number, "answer", body="Two.")
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
    assert ">Two.</textarea>" in answer.text, "what was written is not lost"
    assert rows.count(Message) == 1


def test_two_people_on_one_conversation_do_not_take_it_from_each_other(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, number: Sender, registrar: Client,
    app: Flask,
) -> None:  # fmt: skip
    asks()
    lee = User(email="lee@example.edu")
    rows.add(lee)
    rows.add(Membership(user_id=lee.id, client_id=registrar.id))
    rows.change(update(Conversation).values(assigned_id=lee.id))
    assert "Taken by lee@example.edu" in page(pat, SHOWN.format(number.id))
    act(pat, number, "take")  # the page showed nobody
    assert rows.one(Conversation).assigned_id == lee.id
    assert "lee@example.edu has taken this conversation meanwhile" in page(
        pat, SHOWN.format(number.id)
    )
    act(pat, number, "take", **{"from": lee.id})
    assert "Taken by pat@example.edu" in page(pat, SHOWN.format(number.id))
    act(pat, number, "take", release="1")
    assert rows.one(Conversation).assigned_id is None


def test_notes_stay_inside_and_closing_ends_the_waiting(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, number: Sender
) -> None:
    asks()
    act(pat, number, "note", text="  Called the <b>dean</b>. ")
    act(pat, number, "note", text=" ")
    assert rows.one(ConversationNote).text == "Called the <b>dean</b>."
    assert "Called the &lt;b&gt;dean&lt;/b&gt;." in page(pat, SHOWN.format(number.id))
    assert rows.count(Message) == 0
    act(pat, number, "close")
    assert rows.one(Conversation).state is ConversationState.CLOSED


def test_an_open_page_asks_little_and_gets_what_is_new(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, number: Sender,
    statements: list[str],
) -> None:  # fmt: skip
    asks()
    shown = page(pat, SHOWN.format(number.id))
    news = shown.split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
    statements.clear()
    assert pat.http.get(news).status_code == 204
    assert len([one for one in statements if one.startswith("SELECT")]) <= 10, "every 10 seconds"
    assert not [one for one in statements if not one.startswith(("SELECT", "BEGIN"))]
    rows.change(update(Conversation).values(last_at=utcnow(), unread=1))
    assert 'id="talk"' in page(pat, news)
    assert rows.one(Conversation).unread == 0


def test_the_size_of_an_answer_is_told(pat: Staff, number: Sender) -> None:
    token = pat.token("/staff/account")
    answer = pat.http.post(
        "/staff/clients/registrar/conversation-preview",
        data={"csrf_token": token, "body": "ж" * 71},
    )
    assert "2 segments" in answer.text
    assert "dearer" in answer.text


def test_a_persons_page_tells_lists_and_opt_outs(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, number: Sender, registrar: Client
) -> None:
    asks()
    students = Population(client_id=registrar.id, name="students")
    rows.add(students)
    known = {"toName": "Ann", "toPhone": "319-555-0142", "course": ["Chemistry"]}
    rows.add(Member(roll=students.id, attributes=known))
    opt_out(rows, number)
    shown = page(pat, f"/staff/clients/registrar/inbox/phone/{PHONE}")
    for words in ("Ann", "students", "Chemistry", "opted-out", "They texted a word such as STOP"):
        assert words in shown
    assert rows.one(select(Sender.id)) in shown
    assert "No texts from any number that goes by this list." in shown
    rows.change(update(SuppressionEntry).values(scope=number.id))
    shown = page(pat, f"/staff/clients/registrar/inbox/phone/{PHONE}")
    assert "No texts from (319) 555-0100." in shown


SEARCHES = {
    "a name": ("ann le", ["Ann Lee"]),
    "a part of a phone": ("555-0142", ["library hours?"]),
    "a whole phone": ("(319) 555-0142", ["Ann Lee", "library hours?"]),
    "words of theirs": ("LIBRARY", ["library hours?"]),
    "words of ours": ("until five", ["Open until five."]),
    "a list": ("students", ["students"]),
    "percent is no wildcard": ("100%", []),
    "one letter": ("x", []),
    "nothing": ("zebra", []),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_one_search_finds_people_phones_words_and_lists(
    pat: Staff, asks: Callable[..., Conversation], rows: Rows, number: Sender, registrar: Client,
    name: str,
) -> None:  # fmt: skip
    asks("library hours?")
    act(pat, number, "answer", body="Open until five.")
    rows.change(update(Conversation).values(last_text="library hours?"))
    students = Population(client_id=registrar.id, name="students")
    other = Client(name="bursar", owner_email="bursar@example.edu")
    rows.add(students, other)
    theirs = Population(client_id=other.id, name="students of another client")
    rows.add(theirs)
    for population, called in ((students, "Ann Lee"), (theirs, "Ann Leeds")):
        known = {"toName": called, "toPhone": PHONE}
        rows.add(Member(roll=population.id, attributes=known))
    wanted, expected = SEARCHES[name]
    answer = pat.http.get("/staff/clients/registrar/search", query_string={"q": wanted})
    found = answer.text.split("</form>")[-1]
    shown = [one for one in ("library hours?", "Open until five.") if one in found]
    shown += ["students"] if ">students</a>" in found else []
    shown += ["Ann Lee"] if "in students" in found else []
    assert sorted(shown) == sorted(expected)
    assert "another client" not in found
    assert "Leeds" not in found
