"""A person asks what is known of them, and to be forgotten."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import select, update

from app.domain.clients import usage
from app.extensions import Base, db
from app.models.audience import Member, Population
from app.models.base import utcnow
from app.models.batch import Batch, BatchMember
from app.models.communication import Campaign, Communication
from app.models.conversation import Conversation, ConversationNote
from app.models.credential import Scope
from app.models.delivery import Delivery, DeliveryAttempt, DeliveryState, EventType
from app.models.house import AuditEntry, Usage
from app.models.incoming import Incoming, Outcome
from app.models.last_contact import LastContact
from app.models.link import Click, Link
from app.models.media import Media, MediaSource
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination
from app.models.said import Said
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import Template, TemplateKind
from app.models.voicemail import Voicemail, VoicemailState
from tests.support.clients import Department, department
from tests.support.departments import Caller, api_key
from tests.support.rows import Rows
from tests.support.twilio import sid

PHONE, OTHER = "+13195550150", "+13195550151"
SECRET = "Rumpelstiltskin"
KEY = "registrar-key-of-at-least-32-characters"
ADMIN = {"x-dispatch-api-key": KEY}


def came(of: Department, phone: str, **columns: Any) -> Incoming:
    usual = {
        "sid": sid("SM"), "destination": Destination.SMS, "body": SECRET, "received_at": utcnow(),
    }  # fmt: skip
    made = Incoming(
        client_id=of.client.id, sender_id=of.number.id, from_=phone, to=of.number.address,
        outcome=Outcome.REPLIED, segments=2, **{**usual, **columns},
    )  # fmt: skip
    of.rows.add(made)
    return made


def fill(of: Department, phone: str) -> None:
    """Write everything that a client may know of somebody, a secret word in each."""
    rows, own, now = of.rows, {"client_id": of.client.id}, utcnow()
    known = {"toName": SECRET, "toPhone": phone}
    text, call = came(of, phone), came(of, phone, destination=Destination.VOICE, body=None)
    sent = of.text(
        phone, body=SECRET, member=known, segments=3, sid=sid("SM"), status="delivered",
        state=MessageState.ACCEPTED, accepted_at=now,
    )  # fmt: skip
    of.text(phone, body=SECRET, member=known)
    picture = Media(
        **own, source=MediaSource.STORED, content_type="image/png", content=SECRET.encode(),
        filename=SECRET, incoming_id=text.id,
    )  # fmt: skip
    sound = Media(**own, source=MediaSource.STORED, content_type="audio/mpeg", filename=SECRET)
    rows.add(picture, sound)
    rows.add(
        Voicemail(
            **own, incoming_id=call.id, state=VoicemailState.KEPT, media_code=sound.code,
            transcription=SECRET, path=["1"],
        ),
        MessageReport(message_id=sent.id, status="sent", source="callback", details={"To": phone}),
    )  # fmt: skip
    link = Link(**own, code=sid("x")[:12], message_id=sent.id, url=f"https://example.edu/{SECRET}")
    rows.add(link)
    rows.add(Click(code=link.code, is_preview=False))
    talk = Conversation(
        **own, sender_id=of.number.id, phone=phone, last_at=now, state="closed", last_kind="in",
        last_text=SECRET,
    )  # fmt: skip
    rows.add(talk)
    rows.add(ConversationNote(**own, conversation_id=talk.id, author="pat", text=SECRET))
    population = rows.all(select(Population).filter_by(client_id=of.client.id))[0]
    rows.add(Member(roll=population.id, attributes={**known, "toPhone": spelled(phone)}))
    rows.add(
        LastContact(
            **own, phone=phone, sender_id=of.number.id, member=known, message_id=sent.id,
            body=SECRET, sent_at=now,
        )
    )  # fmt: skip
    endpoint = of.endpoint()
    for about in ({"incoming_id": text.id}, {"message_id": sent.id}, {}):
        told = Delivery(
            **own, **about, type=EventType.SMS_RECEIVED, endpoint_id=endpoint.id, occurred_at=now,
            body=json.dumps({"phone": phone, "words": SECRET}), give_up_at=now,
            state=DeliveryState.DELIVERED if about else DeliveryState.PENDING,
        )  # fmt: skip
        rows.add(told)
    rows.add(
        DeliveryAttempt(
            delivery_id=told.id, endpoint_id=endpoint.id, number=1, trigger="auto",
            started_at=now, duration_ms=1, url="https://x.test/", response_body=SECRET,
        ),
        AuditEntry(**own, actor="pat", action="read", target=f"conversation with {phone}"),
        AuditEntry(**own, actor="pat", action="update", target="x", details={"to": phone}),
    )  # fmt: skip


def spelled(phone: str) -> str:
    """Write a phone as people do."""
    return f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"


@pytest.fixture
def here(rows: Rows) -> Department:
    """A department that knows two people, and a neighbour who knows one of them as well."""
    made, neighbour = department(rows), department(rows, "library", "+13195550101")
    rows.add(api_key(made.client, KEY, label="admin", scope=Scope.ADMIN))
    for of in (made, neighbour):
        own = {"client_id": of.client.id}
        listed = SuppressionList(**own, name="opted-out")
        rows.add(listed, Population(**own, name="students"))
        entry = {"source": SuppressionSource.KEYWORD, "since": utcnow(), "scope": "all"}
        rows.add(SuppressionEntry(list_id=listed.id, phone=PHONE, **entry))
        fill(of, PHONE)
    fill(made, OTHER)
    return made


def everything(app: Flask) -> dict[str, list[str]]:
    """Return each row of each table, as text."""
    with app.app_context(), db.engine.connect() as connection:
        return {
            table.name: [str(tuple(row)) for row in connection.execute(select(table))]
            for table in Base.metadata.sorted_tables
        }


def mentions(app: Flask, word: str) -> dict[str, int]:
    found = {name: sum(word in row for row in rows) for name, rows in everything(app).items()}
    return {name: many for name, many in found.items() if many}


def test_nothing_of_them_is_left_but_that_they_opted_out(
    app: Flask, client: FlaskClient, here: Department
) -> None:
    before, others = mentions(app, PHONE), mentions(app, OTHER)
    secrets = mentions(app, SECRET)
    answer = Caller(client, ADMIN).delete(f"people/{PHONE}")
    assert answer.status_code == 200, answer.text
    after = mentions(app, PHONE)
    assert after.pop("suppression_entry") == before.pop("suppression_entry") == 2
    assert after == {name: many // 2 for name, many in before.items() if many // 2}
    assert mentions(app, OTHER) == others
    assert mentions(app, SECRET) == {
        name: many * 2 // 3 for name, many in secrets.items() if many * 2 // 3
    }
    assert here.rows.count(Said) == 2 * 4
    assert Caller(client, ADMIN).delete(f"people/{PHONE}").status_code == 404


@pytest.mark.parametrize("asked", ["+541123456789", "+5491123456789"])
def test_argentinas_nine_hides_nothing_of_them(
    asked: str, app: Flask, client: FlaskClient, here: Department
) -> None:
    texted, called = "+5491123456789", "+541123456789"  # as texts and calls are kept
    fill(here, texted)
    came(here, called, destination=Destination.VOICE, body=None)
    admin = Caller(client, ADMIN)
    known = admin.get(f"people/{asked}").json
    assert len(known["received"]) == 3
    assert known["sent"]
    assert admin.delete(f"people/{asked}").status_code == 200
    assert {**mentions(app, texted), **mentions(app, called)} == {}
    assert admin.delete(f"people/{asked}").status_code == 404


def test_bills_are_made_from_what_stays(
    app: Flask, client: FlaskClient, here: Department, rows: Rows
) -> None:
    Caller(client, ADMIN).delete(f"people/{PHONE}")
    with app.app_context():
        usage.count()
    one = rows.one(select(Usage).filter_by(client_id=here.client.id))
    assert (one.messages_in, one.segments_in, one.segments_out) == (2, 4, 6)


def test_what_waits_for_them_is_canceled_and_their_sids_stay_known(
    client: FlaskClient, here: Department, rows: Rows
) -> None:
    """So that Twilio's log, when it is read again, brings nothing back."""
    sids = {one.sid for one in rows.all(Incoming)} | {one.sid for one in rows.all(Message)}
    Caller(client, ADMIN).delete(f"people/{PHONE}")
    theirs = rows.all(select(Message).filter_by(to="erased"))
    assert {(one.state, one.body, one.member) for one in theirs} == {
        (MessageState.ACCEPTED, None, None), (MessageState.CANCELED, None, None),
    }  # fmt: skip
    assert sids == {one.sid for one in rows.all(Incoming)} | {one.sid for one in rows.all(Message)}


@pytest.mark.parametrize("what", ["a text", "a delivery"])
def test_what_is_under_way_is_waited_for_and_nothing_changes(
    app: Flask, client: FlaskClient, here: Department, rows: Rows, what: str
) -> None:
    if what == "a text":
        rows.change(update(Message).values(state=MessageState.UNKNOWN))
    else:
        rows.change(update(Delivery).values(state=DeliveryState.IN_FLIGHT))
    before = everything(app)
    assert Caller(client, ADMIN).delete(f"people/{PHONE}").status_code == 409
    after = everything(app)
    for changes_by_asking in ("api_key",):
        del before[changes_by_asking], after[changes_by_asking]
    assert after == before


def test_the_trail_keeps_that_somebody_was_erased_and_no_longer_whom(
    client: FlaskClient, here: Department, rows: Rows
) -> None:
    receipt = Caller(client, ADMIN).delete(f"people/{PHONE}").json
    entry = rows.all(select(AuditEntry).order_by(AuditEntry.id))[-1]
    assert (entry.actor, entry.action, entry.target) == ("API key admin", "erase", "a person")
    assert entry.details["digest"] == receipt["digest"]
    assert receipt["erased"]["texts and calls from them"] == 2
    read = [one.target for one in rows.all(AuditEntry) if one.action == "read"]
    assert sorted(read) == sorted(
        ["conversation with erased", f"conversation with {OTHER}", f"conversation with {PHONE}"]
    )


def test_who_waits_in_a_batch_is_refused_there_and_counts(
    client: FlaskClient, here: Department, rows: Rows
) -> None:
    own = {"client_id": here.client.id}
    template = Template(**own, name="news", kind=TemplateKind.SMS)
    campaign = Campaign(**own, name="spring")
    rows.add(template, campaign)
    communication = Communication(
        **own, campaign_id=campaign.id, name="news", destination=Destination.SMS,
        template_id=template.id, sender_id=here.number.id,
    )  # fmt: skip
    rows.add(communication)
    batch = Batch(
        **own, communication_id=communication.id, total=3, scheduled_at=utcnow(), lane_key="x",
        created_by="pat",
    )  # fmt: skip
    rows.add(batch)
    for place, (phone, refusal) in enumerate(
        [(PHONE, None), (OTHER, None), (PHONE, {"code": "suppressed", "to": PHONE})]
    ):
        about = {"toPhone": spelled(phone), "toName": SECRET}
        rows.add(BatchMember(batch_id=batch.id, position=place, attributes=about, refusal=refusal))
    Caller(client, ADMIN).delete(f"people/{PHONE}")
    found = rows.all(select(BatchMember).order_by(BatchMember.position))
    assert [bool(one.attributes) for one in found] == [False, True, False]
    assert PHONE not in str(found[2].refusal)


def test_all_that_is_known_is_given_out_and_noted(
    app: Flask, client: FlaskClient, here: Department, rows: Rows
) -> None:
    answer = Caller(client, ADMIN).get(f"people/{PHONE}")
    assert answer.status_code == 200, answer.text
    found = answer.json
    assert (found["client"], found["phone"], found["name"]) == ("registrar", PHONE, SECRET)
    kinds = {name: len(value) for name, value in found.items() if isinstance(value, list)}
    assert kinds == {
        "lists": 1, "optOuts": 1, "conversations": 1, "received": 2, "sent": 2,
        "voiceMessages": 1, "links": 1, "lastTexts": 1, "datesTold": 0, "waitingInBatches": 0,
        "told": 3,
    }  # fmt: skip
    assert found["conversations"][0]["notes"][0]["text"] == SECRET
    assert found["links"][0]["opened"] != []
    entry = rows.all(select(AuditEntry).order_by(AuditEntry.id))[-1]
    assert (entry.action, entry.target) == ("export", f"person {PHONE}")
    printed = FlaskCliRunner(app).invoke(
        args=["person", "export", spelled(PHONE), "--client", "registrar"]
    )
    again = json.loads(printed.output)
    del again["at"], found["at"]
    assert again == found


def test_at_the_command_line(app: Flask, here: Department, rows: Rows) -> None:
    def erase(*arguments: str) -> Any:
        command = ["person", "erase", PHONE, "--client", *arguments]
        return FlaskCliRunner(app).invoke(args=command, input="n\n")

    assert erase("registrar").exit_code == 1, "it asks"
    assert "There is no client" in erase("nobody", "--yes").output
    assert "texts and calls from them: 2" in erase("registrar", "--yes").output
    assert "Nothing is known" in erase("registrar", "--yes").output


@pytest.mark.parametrize("scope", [Scope.SEND, Scope.READ])
def test_only_an_admin_key_may(client: FlaskClient, here: Department, scope: Scope) -> None:
    other = KEY.replace("registrar", scope.value)
    here.rows.add(api_key(here.client, other, label="other", scope=scope))
    desk = Caller(client, {"x-dispatch-api-key": other})
    assert desk.get(f"people/{PHONE}").status_code == 403
    assert desk.delete(f"people/{PHONE}").status_code == 403
    assert Caller(client, ADMIN).get("people/+13195550177").status_code == 404
    assert Caller(client, ADMIN).get("people/nobody").status_code == 404
