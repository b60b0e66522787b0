"""Times that a wrong clock has left behind: nothing that works waits for them.

Every column of the database that holds a time is named here, with what it is: whoever adds one
that work waits for has to say how that goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.domain import metrics
from app.extensions import Base, db
from app.inbound.afterwards import recovery
from app.maintenance import ahead
from app.models.base import UtcDateTime
from app.models.credential import Credential
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint, EndpointKind
from app.models.house import Bookmark
from app.models.message import Lane, Message, MessageState
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList
from app.models.user import LoginFailure
from app.outbound.afterwards import settle, sweep
from app.outbound.relay import claim
from app.outbound.relay import sweep as relay
from app.outbound.send import drains
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, furnish, text
from tests.support.rows import Rows
from tests.support.twilio import Twilio, sid

AHEAD = (timedelta(hours=1), timedelta(days=365))

BROUGHT_BACK = {str(mark.column) for mark in ahead.MARKS} | {
    "Message.due_at",  # singles that were never tried, and all that was written "later"
    "Communication.next_run_at",  # by what its schedule says
}
JUDGED_WHERE_READ = {
    "Client.texts_held_until", "Client.calls_held_until", "Lane.held_until", "Lane.lease_until",
    "Message.check_at", "Voicemail.check_at", "Delivery.lease_until",
    "Delivery.next_attempt_at", "Endpoint.open_until", "LastContact.sent_at",
    "Population.reserved_until", "Message.claimed_at",  # when a send is looked up
    "Message.created_at",  # when replies are counted
    "SuppressionEntry.since", "SuppressionEntry.lifted_at",  # live words go in order of arrival
}  # fmt: skip
CHOSEN_BY_PEOPLE = {
    "Batch.scheduled_at", "ApiKey.expires_at", "Client.closed_until", "Sender.closed_until",
    "Message.send_at",
}  # fmt: skip
ONLY_LONGER = {
    # What is kept or tried until then is kept or tried longer, and nothing waits for it.
    "Delivery.give_up_at", "Media.expires_at",
}  # fmt: skip


@pytest.fixture
def fake(twilio_port: int) -> Iterator[FakeTwilio]:
    with FakeTwilio(port=twilio_port) as twilio:
        yield twilio


@pytest.fixture
def environ(environ: dict[str, str], fake: FakeTwilio) -> dict[str, str]:
    return {**environ, "TWILIO_API_BASE_URL": fake.url}


@pytest.fixture
def house(rows: Rows) -> House:
    made = furnish(rows, rate=1)
    rows.add(Lane(key=f"sms:{made.sender.id}", rate=1))
    return made


def now() -> datetime:
    return datetime.now(UTC)


def send(app: Flask) -> None:
    with app.app_context():
        drains.drain()
        drains._posting(app).finish(10)


def test_what_is_brought_back_and_judged_are_columns() -> None:
    known = {
        f"{mapper.class_.__name__}.{column.key}"
        for mapper in Base.registry.mappers
        for column in mapper.columns
        if isinstance(column.type, UtcDateTime)
    }
    assert known >= BROUGHT_BACK | JUDGED_WHERE_READ | CHOSEN_BY_PEOPLE | ONLY_LONGER


def test_a_column_that_says_until_or_due_is_one_of_them() -> None:
    """By its name: what work waits for is called so in this project."""
    names = ("_until", "due_at", "check_at", "next_attempt_at", "expires_at", "scheduled_at")
    waits = {
        f"{mapper.class_.__name__}.{column.key}"
        for mapper in Base.registry.mappers
        for column in mapper.columns
        if isinstance(column.type, UtcDateTime) and column.key.endswith(names)
    }
    attempts = {"DeliveryAttempt.next_attempt_at"}  # only tells what was planned
    assert waits - attempts <= BROUGHT_BACK | JUDGED_WHERE_READ | CHOSEN_BY_PEOPLE | ONLY_LONGER


@pytest.mark.parametrize("by", AHEAD, ids=str)
@pytest.mark.parametrize("mark", ["next_slot_us", "held_until", "lease_until"])
def test_a_lane_goes_on(
    mark: str, by: timedelta, app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    later = now() + by
    value: Any = int(later.timestamp() * 1e6) if mark == "next_slot_us" else later
    rows.change(update(Lane).values({mark: value, "lease_token": "0" * 26}))
    rows.change(update(Lane).values(rate=100))
    rows.add(text(house))
    send(app)
    assert len(fake.accepted) == 1


@pytest.mark.parametrize("by", AHEAD, ids=str)
def test_a_text_of_a_clock_that_was_ahead_goes_out(
    by: timedelta, app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    rows.add(text(house, due_at=now() + by), text(house, to="+13195550151", tries=1))
    rows.change(
        update(Message)
        .where(Message.tries == 1)
        .values(due_at=now() + by + timedelta(seconds=1), updated_at=now() + by)
    )
    rows.change(update(Lane).values(rate=100))
    with app.app_context():
        assert ahead.tick() >= 2
    rows.change(update(Message).values(due_at=Message.due_at))
    send(app)
    assert "+13195550150" in {one.to for one in fake.accepted}
    (retried,) = rows.all(select(Message).where(Message.to == "+13195550151"))
    assert retried.due_at is not None
    assert retried.due_at <= now() + timedelta(seconds=2)


@pytest.mark.parametrize("by", AHEAD, ids=str)
@pytest.mark.parametrize(
    ("state", "job"),
    [(MessageState.CLAIMED, sweep.lost_claims), (MessageState.UNKNOWN, settle.run)],
    ids=["a lost claim", "an unknown send"],
)
def test_what_has_to_be_looked_at_is_looked_at(
    state: MessageState, job: Callable[[], object], by: timedelta,
    app: Flask, rows: Rows, house: House, fake: FakeTwilio,
) -> None:  # fmt: skip
    before = now() - timedelta(minutes=1)
    rows.add(text(house, state=state, claimed_at=before, check_at=now() + by))
    with app.app_context():
        job()
    message = rows.one(Message)
    assert (message.state, message.checks) == (
        MessageState.UNKNOWN, 0 if state is MessageState.CLAIMED else 1,
    )  # fmt: skip


@pytest.fixture
def delivery(rows: Rows, house: House) -> Delivery:
    endpoint = Endpoint(
        client_id=house.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    made = Delivery(
        client_id=house.client.id, type=EventType.MESSAGE_STATUS, endpoint_id=endpoint.id,
        occurred_at=now(), body="{}", next_attempt_at=now(), give_up_at=now() + timedelta(hours=96),
    )  # fmt: skip
    rows.add(made)
    return made


def is_due(app: Flask) -> bool:
    with app.app_context():
        found = claim.something_due(db.session(), now())
        db.session.rollback()
        return found


@pytest.mark.parametrize("by", AHEAD, ids=str)
def test_a_delivery_is_tried(by: timedelta, app: Flask, rows: Rows, delivery: Delivery) -> None:
    rows.change(update(Delivery).values(next_attempt_at=now() + by))
    assert not is_due(app)
    with app.app_context():
        relay.sweep()
    assert is_due(app)


def test_a_delivery_that_waits_for_its_next_try_goes_on_waiting(
    app: Flask, rows: Rows, delivery: Delivery
) -> None:
    rows.change(update(Delivery).values(next_attempt_at=now() + timedelta(hours=20), attempts=7))
    with app.app_context():
        relay.sweep()
    assert not is_due(app)


@pytest.mark.parametrize("by", AHEAD, ids=str)
def test_a_try_whose_process_died_is_given_back(
    by: timedelta, app: Flask, rows: Rows, delivery: Delivery
) -> None:
    rows.change(
        update(Delivery).values(
            state=DeliveryState.IN_FLIGHT, lease_token="0" * 26, lease_until=now() + by, attempts=1
        )
    )
    with app.app_context():
        relay.sweep()
    assert rows.one(Delivery).state is DeliveryState.PENDING


def test_a_breaker_of_a_clock_that_was_ahead_is_no_breaker(
    app: Flask, rows: Rows, delivery: Delivery
) -> None:
    rows.change(update(Endpoint).values(open_until=now() + timedelta(days=365)))
    assert is_due(app)


@pytest.mark.parametrize("by", AHEAD, ids=str)
def test_regular_jobs_and_limits_go_on(by: timedelta, app: Flask, rows: Rows) -> None:
    rows.add(
        Bookmark(name="recovery:AC1", at=now() + by),
        LoginFailure(account="pat@example.edu", address="192.0.2.1", at=now() + by),
    )
    with app.app_context():
        ahead.tick()
    assert rows.one(Bookmark).at <= now() - timedelta(hours=23)
    assert rows.one(LoginFailure).at <= now()


@pytest.fixture
def opted(rows: Rows, house: House) -> SuppressionList:
    made = SuppressionList(client_id=house.client.id, name="opted-out")
    rows.add(made)
    rows.change(update(Sender).values(suppression_list_id=made.id))
    return made


@pytest.mark.parametrize("by", [timedelta(seconds=5), *AHEAD], ids=str)
def test_live_keywords_go_in_order_of_arrival(
    by: timedelta, rows: Rows, opted: SuppressionList, house: House, twilio: Twilio
) -> None:
    """START came by a clock that was ahead; the STOP after it counts, and the next START too."""

    def says(word: str) -> bool:
        twilio.sms(Body=word, To=house.sender.address, From="+13195550150")
        return rows.one(SuppressionEntry).lifted_at is None

    assert says("STOP")
    assert not says("START")
    rows.change(update(SuppressionEntry).values(lifted_at=now() + by))
    assert says("STOP")
    rows.change(update(SuppressionEntry).values(since=now() + by))
    assert not says("START")


def test_the_difference_of_clocks_is_shown(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    fake.ahead = -3.0
    rows.add(text(house, state=MessageState.ACCEPTED, sid=sid("SM")))
    rows.change(update(Credential).values(created_at=now() - timedelta(days=1)))
    with app.app_context():
        recovery.tick()
        shown = metrics.exposition()[0].decode()
    (line,) = [
        one for one in shown.splitlines()
        if one.startswith('dispatch_clock_ahead_seconds{clock="twilio"}')
    ]  # fmt: skip
    assert -3.7 < float(line.split()[1]) < -2.3
    assert 'dispatch_clock_ahead_seconds{clock="database"}' in shown
