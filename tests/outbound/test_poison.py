"""One row at fault in any table that a loop reads harms nobody but its own client.

Each case breaks a table in every way, a client of its own for each; then every loop makes one turn,
and what the client `good` has to send, to be told and to be counted is done in that turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError
from werkzeug.utils import import_string

from app.cli.processes import keep_house, tasks
from app.domain.relaying import events
from app.domain.relaying.events import Happening
from app.domain.sending import communications
from app.extensions import db, unit_of_work
from app.maintenance import retention
from app.models.base import new_id
from app.models.batch import Batch, BatchState
from app.models.communication import Communication
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret
from app.models.house import SetAside
from app.models.incoming import Incoming
from app.models.message import JournaledReport, Lane, Message, MessageState
from app.models.route import Destination
from app.models.voicemail import Voicemail, VoicemailState
from app.outbound import batches
from app.outbound.afterwards import reports
from app.outbound.send import drains
from app.outbound.voicemails import drain as voicemails
from tests.support import relay
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, communication, furnish, join, text
from tests.support.relay import Receiver, receiving
from tests.support.rows import Rows

SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
AGO = timedelta(hours=1)


@dataclass
class Client:
    """A client with something for every loop to do."""

    house: House
    endpoint: Endpoint
    deliveries: list[str]
    batch_id: str
    running_id: str

    @property
    def id(self) -> str:
        return self.house.client.id


def make(app: Flask, rows: Rows, receiver: Receiver, name: str, n: int = 0) -> Client:
    """Make a client whose work is due now, in every table that a loop reads.

    :param n: makes its number and account its own.
    """
    number, account = f"+131955501{n:02}", f"AC{n:032x}"
    house = furnish(rows, address=number, rate=100, account_sid=account)
    endpoint = Endpoint(
        id=new_id(), client_id=house.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url=receiver.url(f"/{name}-{n}"),
    )  # fmt: skip
    rows.add(endpoint)
    rows.add(EndpointSecret(endpoint_id=endpoint.id, secret=SECRET))
    now = datetime.now(UTC)
    call = {
        "destination": Destination.VOICE, "lane_key": f"voice:{account}",
        "to": "+13195550161",
    }  # fmt: skip
    before, long_ago = now - AGO, now - timedelta(days=400)
    rows.add(
        text(house, to="+13195550150", body=f"text of {name}"),
        text(house, **call, twiml_source="<Response/>"),
        text(
            house, to="+13195550152", body="lost", state=MessageState.CLAIMED, claimed_at=now - AGO,
            check_at=now - AGO, claim_token="T" * 26, member={},
        ),
        text(
            house, to="+13195550153", body="unknown", state=MessageState.UNKNOWN,
            claimed_at=now - AGO, check_at=now - AGO, member={}, checks=3,
        ),
        text(
            house, to="+13195550154", body="accepted", state=MessageState.ACCEPTED,
            sid="SM" + new_id().zfill(32), status="queued", accepted_at=before, check_at=before,
        ),
        reported := text(
            house, to="+13195550156", body="reported", state=MessageState.ACCEPTED,
            sid="SM" + new_id().zfill(32), status="sent", accepted_at=before,
        ),
        text(
            house, to="+13195550155", body="old", state=MessageState.ACCEPTED,
            created_at=long_ago, updated_at=long_ago, lane_key=None,
        ),
        Incoming(
            id=new_id(), client_id=house.client.id, destination=Destination.SMS,
            sid="SM" + new_id().zfill(32), sender_id=house.sender.id, from_="+13195550150",
            to=number, body="hello", media=[], segments=1, parameters={},
            received_at=now - timedelta(hours=5), answer="<Response/>", outcome="replied",
        ),
    )  # fmt: skip
    call_in = Incoming(
        id=new_id(), client_id=house.client.id, destination=Destination.VOICE,
        sid="CA" + new_id().zfill(32), sender_id=house.sender.id, from_="+13195550150",
        to=number, media=[], parameters={}, received_at=before, outcome="played",
        price=0.0, call_status="completed", ended_at=before,
    )  # fmt: skip
    rows.add(call_in)
    rows.add(
        Voicemail(
            client_id=house.client.id, incoming_id=call_in.id, state=VoicemailState.EXPECTED,
            created_at=now - timedelta(days=4), check_at=before, endpoint_id=endpoint.id, tries=9,
        ),
        Voicemail(
            client_id=house.client.id, incoming_id=call_in.id, state=VoicemailState.RECORDED,
            recording_sid="RE" + new_id().zfill(32), recorded_at=before, check_at=before,
            endpoint_id=endpoint.id, tries=99, duration=5,
        ),
    )  # fmt: skip
    said = {"status": "delivered", "source": "callback", "sid": reported.sid}
    rows.add(JournaledReport(message_id=reported.id, at=now, report=said))
    for key in (f"sms:{house.sender.id}", f"voice:{account}"):
        rows.add(Lane(key=key, rate=100))
    made = communication(rows, house, f"batch of {name}")
    join(rows, made, {"toName": "Ann", "toPhone": "+13195550160"})
    running = communication(rows, house, f"running of {name}", name="running")
    join(rows, running, {"toName": "Ben", "toPhone": "+13195550162"})
    with app.app_context():
        started = []
        for one in (running, made):
            with unit_of_work() as session:
                found = session.get_one(Communication, one.id)
                started.append(communications.start_batch(session, found, "pat").id)
            if one is running:
                batches.drain()
        deliveries = []
        for kind in (EventType.SMS_RECEIVED, EventType.MESSAGE_STATUS):
            with unit_of_work() as session:
                happening = Happening(endpoint.id, kind, {"of": name}, house.client.id, now)
                delivery = events.record(session, happening)
                assert delivery is not None
                deliveries.append(delivery.id)
    return Client(house, endpoint, deliveries, started[1], started[0])


WRONG = {
    "messages: options": "UPDATE message SET options = '5' WHERE client_id = :bad",
    "messages: media": "UPDATE message SET media = '5' WHERE client_id = :bad",
    "messages: member": "UPDATE message SET member = '5' WHERE client_id = :bad",
    "messages: segments": "UPDATE message SET segments = 2147483647 WHERE client_id = :bad",
    "messages: a state of nobody's": "UPDATE message SET status = '' WHERE client_id = :bad",
    "messages: destination": "UPDATE message SET destination = 'fax' WHERE client_id = :bad",
    "messages: no body": "UPDATE message SET body = NULL WHERE client_id = :bad",
    "accounts: token": "UPDATE credential SET auth_token = :garbage WHERE client_id = :bad",
    "accounts: next token": "UPDATE credential SET next_auth_token = :garbage"
    " WHERE client_id = :bad",
    "accounts: key": "UPDATE credential SET api_key_sid = 'SK', api_key_secret = :garbage"
    " WHERE client_id = :bad",
    "accounts: SID": "UPDATE credential SET account_sid = '../AC' WHERE client_id = :bad",
    "clients: zone": "UPDATE client SET time_zone = 'Mars/Base', quiet_from = '21:00',"
    " quiet_to = '08:00' WHERE id = :bad",
    "clients: hours": "UPDATE client SET quiet_from = '99:99', quiet_to = '08:00' WHERE id = :bad",
    "clients: allow list": "UPDATE client SET allow_list = '5' WHERE id = :bad",
    "clients: networks": "UPDATE client SET denied_networks = '5' WHERE id = :bad",
    "clients: no network": "UPDATE client SET denied_networks = '[\"campus\"]' WHERE id = :bad",
    "clients: owner": "UPDATE client SET owner_email = '' WHERE id = :bad",
    "senders: kind": "UPDATE sender SET kind = 'pigeon' WHERE client_id = :bad",
    "senders: type": "UPDATE sender SET type = 'pigeon' WHERE client_id = :bad",
    "batches: plan": "UPDATE batch SET plan = '5' WHERE client_id = :bad",
    "batches: empty plan": "UPDATE batch SET plan = '{}' WHERE client_id = :bad",
    "batches: members": "UPDATE batch_member SET attributes = '5' WHERE batch_id IN"
    " (SELECT id FROM batch WHERE client_id = :bad)",
    "templates: body": "UPDATE template_version SET body = '{{' WHERE template_id IN"
    " (SELECT id FROM template WHERE client_id = :bad)",
    "communications: options": "UPDATE communication SET call_options = '5' WHERE client_id = :bad",
    "lanes: far slot": "UPDATE lane SET next_slot_us = 9223372036854775807 WHERE key IN"
    " ('sms:' || :sender, 'voice:' || :account)",
    "lanes: batch": "UPDATE lane SET last_batch_id = 'zzz' WHERE key = 'sms:' || :sender",
    "deliveries: context": "UPDATE delivery SET context = '5' WHERE client_id = :bad",
    "deliveries: body": "UPDATE delivery SET body = 'not JSON' WHERE client_id = :bad",
    "deliveries: type": "UPDATE delivery SET type = 'pigeon' WHERE client_id = :bad",
    "endpoints: secret": "UPDATE endpoint_secret SET secret = :garbage WHERE endpoint_id IN"
    " (SELECT id FROM endpoint WHERE client_id = :bad)",
    "endpoints: address": "UPDATE endpoint SET url = 'http://[' WHERE client_id = :bad",
    "endpoints: kind": "UPDATE endpoint SET kind = 'pigeon' WHERE client_id = :bad",
    "incoming: media": "UPDATE incoming SET media = '5' WHERE client_id = :bad",
    "incoming: handler": "UPDATE incoming SET handler = 'pigeon' WHERE client_id = :bad",
    "voice messages: path": "UPDATE voicemail SET path = '5' WHERE client_id = :bad",
    "voice messages: state": "UPDATE voicemail SET state = 'pigeon' WHERE client_id = :bad",
    "voice messages: tries": "UPDATE voicemail SET tries = -9 WHERE client_id = :bad",
    "reports: no report": "UPDATE report_journal SET report = '5' WHERE message_id IN"
    " (SELECT id FROM message WHERE client_id = :bad)",
    "reports: unknown fields": "UPDATE report_journal SET report = '{\"pigeon\": 1}' WHERE"
    " message_id IN (SELECT id FROM message WHERE client_id = :bad)",
    "usage: entries": "INSERT INTO usage_entry (id, client_id, month, segments_in, segments_out,"
    " messages_in, messages_out, media_in, media_out, call_minutes, price)"
    " SELECT id, client_id, 'never', 0, 2147483647, 0, 2147483647, 0, 0, 0, 0"
    " FROM message WHERE client_id = :bad",
}
NO_JSON = {
    "messages: no JSON": "UPDATE message SET options = '{', media = '[', member = '{'"
    " WHERE client_id = :bad",
    "batches: no JSON": "UPDATE batch SET plan = '{' WHERE client_id = :bad",
    "batches: members, no JSON": "UPDATE batch_member SET attributes = '{' WHERE batch_id IN"
    " (SELECT id FROM batch WHERE client_id = :bad)",
    "deliveries: no JSON": "UPDATE delivery SET context = '{' WHERE client_id = :bad",
    "clients: no JSON": "UPDATE client SET allow_list = '[' WHERE id = :bad",
    "clients: networks, no JSON": "UPDATE client SET denied_networks = '[' WHERE id = :bad",
    "voice messages: no JSON": "UPDATE voicemail SET path = '[' WHERE client_id = :bad",
    "incoming: no JSON": "UPDATE incoming SET media = '[', parameters = '{' WHERE client_id = :bad",
    "messages: no date": "UPDATE message SET updated_at = 'tomorrow', check_at = '0'"
    " WHERE client_id = :bad",
    "lanes: rate": "UPDATE lane SET rate = 1e-300 WHERE key IN"
    " ('sms:' || :sender, 'voice:' || :account)",
}
"""What PostgreSQL keeps out by itself."""


@pytest.fixture
def environ(environ: dict[str, str], fake: FakeTwilio) -> dict[str, str]:
    return {
        **environ, "TWILIO_API_BASE_URL": fake.url, "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }  # fmt: skip


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as endpoint:
        yield endpoint


@pytest.fixture
def make_client(app: Flask, rows: Rows, receiver: Receiver) -> Callable[..., Client]:
    return partial(make, app, rows, receiver)


def poison(app: Flask, bad: Client, statement: str) -> None:
    """Break the bad client's rows as no form would; its constraints stand aside."""
    with app.app_context(), unit_of_work() as session:
        if session.get_bind().dialect.name == "sqlite":
            session.execute(sql("PRAGMA ignore_check_constraints = ON"))
        session.execute(
            sql(statement),
            {
                name: value
                for name, value in {
                    "bad": bad.id,
                    "garbage": b"garbage",
                    "sender": bad.house.sender.id,
                    "account": bad.house.credential.account_sid,
                }.items()
                if f":{name}" in statement
            },
        )
        if session.get_bind().dialect.name == "sqlite":
            session.execute(sql("PRAGMA ignore_check_constraints = OFF"))


def loops() -> Iterator[Callable[[], object]]:
    """Yield the drains, and all that the clock does, what it has others do included."""
    yield from (batches.drain, drains.drain, reports.drain)
    yield from (voicemails.drain, voicemails.drain_engine)
    for task in tasks():
        run = task.run
        if isinstance(run, partial):
            if run.func is not keep_house:
                continue  # a wake-up
            run = import_string(run.args[0])
        yield retention.run if run is retention.tick else run  # without the end of a slice


def one_turn(app: Flask) -> None:
    """Let every loop make one turn; none of them may raise."""
    for loop in loops():
        with app.app_context():
            loop()
            db.session.remove()
    relay.run(app)


def all_is_done(rows: Rows, good: Client, fake: FakeTwilio) -> None:
    """Check that everything of the good client's was done."""
    mine = rows.all(select(Message).where(Message.client_id == good.id))
    states = {one.body or "call": one.state for one in mine if one.batch_id is None}
    assert states["text of good"] is MessageState.ACCEPTED
    assert [one.state for one in mine if one.destination is Destination.VOICE] == [
        MessageState.ACCEPTED
    ]
    assert states["lost"] is not MessageState.CLAIMED
    assert states["unknown"] is MessageState.FAILED
    assert "old" not in states
    refreshed = next(one for one in mine if one.body == "accepted")
    assert refreshed.checks == 1
    assert next(one for one in mine if one.body == "reported").status == "delivered"
    sent = {made.body for made in fake.accepted}
    assert {"batch of good", "running of good"} <= sent
    left = rows.all(select(Voicemail).where(Voicemail.client_id == good.id))
    assert {one.state for one in left} == {VoicemailState.ABSENT, VoicemailState.LOST}
    batch = rows.one(select(Batch).where(Batch.id == good.batch_id))
    assert batch.state in (BatchState.COMPLETE, BatchState.RUNNING)
    told = rows.all(select(Delivery).where(Delivery.id.in_(good.deliveries)))
    assert [one.state for one in told] == [DeliveryState.DELIVERED] * 2


@pytest.fixture(autouse=True)
def ask(fake: FakeTwilio) -> None:
    """Twilio shows the text that was accepted long ago, whatever its SID."""
    known = fake._look_up

    def look_up(path: str, query: dict[str, str]) -> dict[str, object]:
        name = path.rsplit("/", 1)[1]
        if name.startswith("SM"):
            return {"sid": name.removesuffix(".json"), "status": "delivered", "num_segments": "1",
                    "num_media": "0", "price": "-0.0079", "price_unit": "USD"}  # fmt: skip
        if "Messages" in name or "Calls" in name:
            return known(path, query)
        key = "services" if "Services" in path else "incoming_phone_numbers"
        return {key: [], "meta": {"key": key}, "next_page_uri": None}

    fake._look_up = look_up  # type: ignore[method-assign]


def test_all_is_done_where_nothing_is_wrong(
    app: Flask, rows: Rows, make_client: Callable[..., Client], fake: FakeTwilio
) -> None:
    make_client("bad", 1)
    good = make_client("good")
    one_turn(app)
    all_is_done(rows, good, fake)
    assert rows.all(SetAside) == []


TABLES = {
    table: [one for what, one in WRONG.items() if what.startswith(f"{table}: ")]
    for table in dict.fromkeys(what.partition(":")[0] for what in WRONG)
}
"""The statements that break a table, by its name."""


@pytest.mark.parametrize("table", TABLES)
def test_the_others_go_on(
    table: str, app: Flask, rows: Rows, make_client: Callable[..., Client], fake: FakeTwilio
) -> None:
    for n, statement in enumerate(TABLES[table], 1):
        with suppress(DBAPIError):  # where this database keeps it out
            poison(app, make_client("bad", n), statement)
    good = make_client("good")
    one_turn(app)
    all_is_done(rows, good, fake)


@pytest.mark.database("sqlite")
def test_the_others_go_on_where_values_cannot_be_read(
    app: Flask, rows: Rows, make_client: Callable[..., Client], fake: FakeTwilio
) -> None:
    for n, statement in enumerate(NO_JSON.values(), 1):
        poison(app, make_client("bad", n), statement)
    good = make_client("good")
    one_turn(app)
    all_is_done(rows, good, fake)
