"""After a client's days every copy of a text goes, and nothing else."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import update

from app.extensions import db
from app.maintenance import retention, steps
from app.models.base import utcnow
from app.models.communication import Callback, CallbackEvent
from app.models.delivery import (
    OPEN_STATES,
    AttemptTrigger,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    EventType,
)
from app.models.endpoint import Endpoint, EndpointKind
from app.models.house import Bookmark, IdempotencyKey, Usage
from app.models.incoming import Incoming, Outcome
from app.models.last_contact import LastContact
from app.models.link import Click, Link
from app.models.media import Media, MediaSource
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from tests.support.inbound import NUMBER, PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import sid

SECRET = "the words themselves"


class Log:
    """A department's log, filled with rows of any age."""

    def __init__(self, rows: Rows, **client: Any) -> None:
        self.rows = rows
        self.department = Department(rows, **client)
        self.client_id = self.department.client.id
        self.number: Sender = self.department.number()
        self.endpoint = Endpoint(
            client_id=self.client_id,
            kind=EndpointKind.WEBHOOK,
            name="sis",
            url="https://sis.example.edu/hooks",
        )
        rows.add(self.endpoint)

    def message(self, at: datetime, state: MessageState = MessageState.ACCEPTED) -> Message:
        made = Message(
            client_id=self.client_id,
            destination=Destination.SMS,
            sender_id=self.number.id,
            credential_id=self.department.credential.id,
            to=PHONE,
            from_=NUMBER,
            body=SECRET,
            state=state,
            created_at=at,
        )
        self.rows.add(made)
        return made

    def incoming(self, at: datetime, reply: Message | None = None) -> Incoming:
        made = Incoming(
            client_id=self.client_id,
            destination=Destination.SMS,
            sid=sid("SM"),
            sender_id=self.number.id,
            from_=PHONE,
            to=NUMBER,
            body=SECRET,
            received_at=at,
            outcome=Outcome.REPLIED,
            reply_id=reply.id if reply else None,
        )
        self.rows.add(made)
        return made

    def delivery(
        self, at: datetime, state: DeliveryState = DeliveryState.DELIVERED, **columns: Any
    ) -> Delivery:
        made = Delivery(
            client_id=self.client_id,
            type=EventType.SMS_RECEIVED,
            endpoint_id=self.endpoint.id,
            sequence=1,
            occurred_at=at,
            body=SECRET,
            state=state,
            created_at=at,
            give_up_at=at + timedelta(hours=96),
            **columns,
        )
        self.rows.add(made)
        self.rows.add(
            DeliveryAttempt(
                delivery_id=made.id,
                endpoint_id=made.endpoint_id,
                number=1,
                trigger=AttemptTrigger.AUTO,
                started_at=at,
                duration_ms=1,
                url=self.endpoint.url,
                response_body=SECRET,
            )
        )
        return made


def days_ago(days: float) -> datetime:
    return utcnow() - timedelta(days=days)


def run(app: Flask) -> dict[str, int]:
    with app.app_context():
        removed, finished = retention.run()
    assert finished
    return dict(removed)


def test_every_copy_of_an_old_text_goes(rows: Rows, app: Flask) -> None:
    log = Log(rows)
    old = days_ago(46)
    reply = log.message(old)
    text = log.incoming(old, reply)
    log.delivery(old, incoming_id=text.id)
    log.delivery(old, message_id=reply.id)
    log.delivery(old)
    rows.add(MessageReport(message_id=reply.id, status="sent", source="callback", details={}))
    link = Link(client_id=log.client_id, code="abc", message_id=reply.id, url="https://x.edu")
    rows.add(link)
    rows.add(Click(code="abc", is_preview=False))
    for owner in ({"incoming_id": text.id}, {"message_id": reply.id}):
        rows.add(
            Media(
                client_id=log.client_id,
                source=MediaSource.STORED,
                content_type="image/png",
                content=b"x",
                **owner,
            )
        )
    removed = run(app)
    for model in (Message, Incoming, Delivery, DeliveryAttempt, MessageReport, Link, Click, Media):
        assert rows.count(model) == 0, model
    assert removed == {"messages": 1, "incoming": 1, "deliveries": 3}
    assert run(app) == {}


def test_what_is_younger_stays(rows: Rows, app: Flask) -> None:
    log = Log(rows)
    young = days_ago(44.9)
    reply = log.message(young)
    text = log.incoming(young, reply)
    log.delivery(young, incoming_id=text.id)
    assert run(app) == {}
    assert rows.count(Message) == rows.count(Incoming) == rows.count(Delivery) == 1


@pytest.mark.parametrize(("days", "kept"), [(7, 0), (90, 1)])
def test_each_client_has_its_own_days(days: int, kept: int, rows: Rows, app: Flask) -> None:
    Log(rows, retention_days=days).incoming(days_ago(30))
    run(app)
    assert rows.count(Incoming) == kept


@pytest.mark.parametrize("state", [*MessageState])
def test_every_text_goes_whatever_its_state(state: MessageState, rows: Rows, app: Flask) -> None:
    """What waits in a paused batch, or of unknown fate for good, is no exception."""
    Log(rows).message(days_ago(100), state)
    run(app)
    if state is MessageState.CLAIMED:  # it is being sent just now; the sweep sees to the rest
        assert rows.one(Message).state is MessageState.CLAIMED
        rows.change(update(Message).values(state=MessageState.UNKNOWN, claimed_at=days_ago(2)))
        run(app)
    assert rows.count(Message) == 0


@pytest.mark.parametrize(
    ("state", "columns"),
    [
        (MessageState.WAITING, {"due_at": days_ago(-1)}),
        (MessageState.UNKNOWN, {"claimed_at": days_ago(0.01), "check_at": days_ago(-0.01)}),
    ],
    ids=["due later", "Twilio is being asked"],
)
def test_what_is_about_to_end_stays_till_then(
    state: MessageState, columns: dict[str, Any], rows: Rows, app: Flask
) -> None:
    Log(rows).message(days_ago(100), state)
    rows.change(update(Message).values(**columns))
    run(app)
    assert rows.one(Message).state is state


def test_who_wants_to_know_of_problems_hears_of_what_waited_too_long(
    rows: Rows, app: Flask
) -> None:
    log = Log(rows)
    message = log.message(days_ago(46), MessageState.WAITING)
    rows.add(
        Callback(
            client_id=log.client_id, message_id=message.id, event=CallbackEvent.MESSAGE_PROBLEM,
            endpoint_id=log.endpoint.id,
        )
    )  # fmt: skip
    run(app)
    assert json.loads(rows.one(Delivery).body)["data"]["reason"] == "canceled"
    assert rows.one(Message).state is MessageState.CANCELED
    rows.change(update(Delivery).values(state=DeliveryState.DELIVERED))
    run(app)
    assert rows.count(Message) == 0


@pytest.mark.parametrize(
    "state", [DeliveryState.PENDING, DeliveryState.IN_FLIGHT], ids=lambda state: state.value
)
def test_a_text_waits_for_its_deliveries_to_end(
    state: DeliveryState, rows: Rows, app: Flask
) -> None:
    log = Log(rows)
    text = log.incoming(days_ago(100))
    message = log.message(days_ago(100))
    log.delivery(days_ago(50), state, incoming_id=text.id)
    log.delivery(days_ago(50), state, message_id=message.id)
    run(app)
    assert rows.count(Incoming) == rows.count(Message) == 1
    assert rows.count(Delivery) == 2


def test_what_waits_for_a_disabled_endpoint_ends_with_the_text(rows: Rows, app: Flask) -> None:
    log = Log(rows)
    text = log.incoming(days_ago(50))
    log.delivery(days_ago(50), DeliveryState.HELD, incoming_id=text.id)
    run(app)
    assert rows.count(Incoming) == rows.count(Delivery) == 0


def test_a_text_may_lose_its_reply_before_itself(rows: Rows, app: Flask) -> None:
    log = Log(rows)
    text = log.incoming(days_ago(46), log.message(days_ago(46)))
    log.delivery(days_ago(46), DeliveryState.PENDING, incoming_id=text.id)
    run(app)
    assert rows.count(Message) == 0
    assert rows.one(Incoming).reply_id is None


def test_who_was_written_to_last_is_kept_a_year_without_the_text(rows: Rows, app: Flask) -> None:
    log = Log(rows)
    for number, days in enumerate((10, 100, 366)):
        rows.add(
            LastContact(
                client_id=log.client_id,
                phone=f"+1319555020{number}",
                sender_id=log.number.id,
                member={"toName": "Ada"},
                message_id="0" * 26,
                body=SECRET,
                sent_at=days_ago(days),
            )
        )
    run(app)
    left = {contact.phone: contact for contact in rows.all(LastContact)}
    assert set(left) == {"+13195550200", "+13195550201"}
    assert left["+13195550200"].body == SECRET
    assert left["+13195550201"].body is None
    assert left["+13195550201"].member == {"toName": "Ada"}


def test_counts_for_usage_stay(rows: Rows, app: Flask) -> None:
    log = Log(rows)
    log.message(days_ago(100))
    rows.add(Usage(client_id=log.client_id, month="2026-01", segments_out=7))
    run(app)
    assert rows.one(Usage).segments_out == 7


def test_expired_media_and_answers_kept_for_repeats_go(rows: Rows, app: Flask) -> None:
    log = Log(rows)
    for expires in (days_ago(1), days_ago(-1), None):
        rows.add(
            Media(
                client_id=log.client_id,
                source=MediaSource.STORED,
                content_type="image/png",
                content=b"x",
                expires_at=expires,
            )
        )
    for key, at in (("old", days_ago(1.1)), ("new", days_ago(0.9))):
        rows.add(
            IdempotencyKey(
                client_id=log.client_id,
                key=key,
                request_sha256="0" * 64,
                status=201,
                body=SECRET,
                created_at=at,
            )
        )
    run(app)
    assert rows.count(Media) == 2
    assert [kept.key for kept in rows.all(IdempotencyKey)] == ["new"]


@pytest.mark.parametrize(
    ("state", "kept"),
    [(state, int(state in OPEN_STATES)) for state in DeliveryState],
    ids=[state.value for state in DeliveryState],
)
def test_media_stay_as_long_as_a_delivery_that_names_them_is_open(
    state: DeliveryState, kept: int, rows: Rows, app: Flask, client: FlaskClient
) -> None:
    log = Log(rows)
    text = log.incoming(days_ago(1))
    media = Media(
        client_id=log.client_id, source=MediaSource.STORED, content_type="image/png", content=b"x",
        size=1, incoming_id=text.id, expires_at=days_ago(0.5),
    )  # fmt: skip
    rows.add(media)
    log.delivery(days_ago(1), state, incoming_id=text.id)
    assert client.get(f"/media/{media.code}").status_code == (200 if kept else 404)
    run(app)
    assert rows.count(Media) == kept


def test_nobody_waits_for_a_pass_that_finds_nothing(
    rows: Rows, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    Log(rows).incoming(days_ago(1))
    for one in (retention, steps):
        monkeypatch.setattr(one, "unit_of_work", lambda: pytest.fail("a transaction"))
    with app.app_context():
        assert retention.run() == ({}, True)


def test_it_goes_in_small_transactions(
    rows: Rows, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "CHUNK", 3)
    log = Log(rows)
    for _ in range(10):
        log.incoming(days_ago(50))
    with app.app_context():
        removed, finished = retention.run(seconds=0)
        assert (dict(removed), finished) == ({"incoming": 3}, False)
        assert rows.count(Incoming) == 7
        removed, finished = retention.run()
        assert (dict(removed), finished) == ({"incoming": 7}, True)


def test_the_clock_makes_a_pass_now_and_then(rows: Rows, app: Flask, time_machine: Any) -> None:
    start = utcnow()
    time_machine.move_to(start, tick=False)
    log = Log(rows)
    log.incoming(days_ago(50))
    with app.app_context():
        retention.tick()
    assert rows.count(Incoming) == 0
    assert retention.BOOKMARK in [bookmark.name for bookmark in rows.all(Bookmark)]
    log.incoming(days_ago(50))
    with app.app_context():
        retention.tick()
        assert rows.count(Incoming) == 1
        time_machine.move_to(start + retention.PAUSE + timedelta(seconds=1), tick=False)
        db.session.remove()
        retention.tick()
    assert rows.count(Incoming) == 0


def test_the_command_says_what_went(rows: Rows, flask_command: FlaskCliRunner) -> None:
    Log(rows).incoming(days_ago(50))
    done = flask_command.invoke(args=["retention", "run"])
    assert (done.exit_code, done.output) == (0, "incoming: 1\n")
    done = flask_command.invoke(args=["retention", "run"])
    assert done.output == "Nothing was old enough to go.\n"
