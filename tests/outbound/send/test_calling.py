"""A call from its lane to Twilio, and what each outcome makes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.extensions import unit_of_work
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.communication import MachineDetection
from app.models.message import Message, MessageState
from app.models.sender import Sender
from app.outbound.afterwards import settle
from app.outbound.send import drains
from tests.support import fake_twilio
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, furnish
from tests.support.our_calls import queued
from tests.support.rows import Rows

Queue = Callable[..., str]
PHONE = "+13195550150"


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


@pytest.fixture
def queue(app: Flask, house: House) -> Queue:
    def put(to: str = PHONE, **more: Any) -> str:
        with app.app_context(), unit_of_work() as session:
            client = session.get_one(Client, house.client.id)
            sender = session.get_one(Sender, house.sender.id)
            source = "<Response><Say>Hello</Say></Response>"
            return queued(session, client, sender, to, **{"source": source, **more}).id

    return put


def drain(app: Flask) -> None:
    with app.app_context():
        drains.drain()


@pytest.mark.parametrize(
    ("detection", "told"),
    [
        (MachineDetection.OFF, None),
        (MachineDetection.CONTINUE, "Enable"),
        (MachineDetection.HANG_UP, "Enable"),
        (MachineDetection.WAIT_FOR_BEEP, "DetectMessageEnd"),
    ],
    ids=str,
)
def test_a_call_is_placed_with_all_that_twilio_needs(
    detection: MachineDetection,
    told: str | None,
    app: Flask,
    rows: Rows,
    fake: FakeTwilio,
    queue: Queue,
) -> None:
    id_ = queue(machine_detection=detection, options={"timeout": 25, "machineDetectionTimeout": 20})
    drain(app)
    form = fake.accepted[0].form
    ours = f"{PUBLIC_BASE_URL}/inbound/voice"
    assert {name: form.get(name) for name in EXPECTED} == {
        "To": PHONE,
        "From": "+13195550100",
        "Url": f"{ours}/answer/{id_}",
        "FallbackUrl": f"{ours}/answer/{id_}",
        "StatusCallback": f"{ours}/status/{id_}",
        "StatusCallbackEvent": "initiated ringing answered completed",
        "MachineDetection": told,
        "MachineDetectionTimeout": "20",
        "Timeout": "25",
        "Twiml": None,
    }
    message = rows.one(Message)
    assert (message.state, message.status, message.sid) == (
        MessageState.ACCEPTED, "queued", fake.accepted[0].sid,
    )  # fmt: skip


EXPECTED = (
    "To", "From", "Url", "FallbackUrl", "StatusCallback", "StatusCallbackEvent",
    "MachineDetection", "MachineDetectionTimeout", "Timeout", "Twiml",
)  # fmt: skip


def test_an_account_places_one_call_a_second(app: Flask, fake: FakeTwilio, queue: Queue) -> None:
    for number in range(3):
        queue(to=f"+1319555015{number}")
    drain(app)
    times = [at for at, _ in fake.tried]
    assert len(times) == 3
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) > 0.45  # half a slot may be caught up
    assert max(gaps) < 3


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (fake_twilio.TOO_MANY, MessageState.WAITING),
        (fake_twilio.FAILS_BEFORE, MessageState.UNKNOWN),
        (fake_twilio.FAILS_AFTER, MessageState.UNKNOWN),
        (fake_twilio.RESETS_AFTER, MessageState.UNKNOWN),
        (fake_twilio.refuses(21217), MessageState.FAILED),
        (fake_twilio.refuses(21202), MessageState.FAILED),
        (fake_twilio.refuses(10004), MessageState.WAITING),
    ],
    ids=["429", "500 before", "500 after", "reset after", "invalid", "premium", "concurrency"],
)
def test_each_outcome_has_its_state(
    fault: fake_twilio.Fault,
    state: MessageState,
    app: Flask,
    rows: Rows,
    fake: FakeTwilio,
    queue: Queue,
) -> None:
    fake.plan = lambda form, number: fault if number == 0 else fake_twilio.FAILS_BEFORE
    queue()
    with app.app_context():
        work = drains.Drain(drains._posting(app))
        work.turn()
        assert work.posting.finish(5)
        work.release()
    assert rows.one(Message).state is state
    assert len(fake.tried) == 1


def look_up(app: Flask, rows: Rows) -> Message:
    rows.change(update(Message).values(check_at=utcnow()))
    with app.app_context():
        settle.run()
    return rows.one(Message)


def test_a_lost_answer_is_found_in_twilios_log_and_nobody_is_called_twice(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue
) -> None:
    fake.plan = lambda form, number: fake_twilio.RESETS_AFTER
    queue()
    drain(app)
    assert rows.one(Message).state is MessageState.UNKNOWN
    found = look_up(app, rows)
    assert (found.state, found.sid) == (MessageState.ACCEPTED, fake.accepted[0].sid)
    drain(app)
    assert len(fake.tried) == 1


def test_two_calls_in_the_log_are_not_told_apart(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue
) -> None:
    fake.plan = lambda form, number: fake_twilio.RESETS_AFTER
    queue()
    drain(app)
    fake._take(dict(fake.accepted[0].form), 0)
    for _ in settle.LOOKS:
        found = look_up(app, rows)
        assert (found.state, found.sid) == (MessageState.UNKNOWN, None)
    assert len(fake.tried) == 1


def test_no_trace_is_a_failure_that_only_staff_may_repeat(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue
) -> None:
    fake.plan = lambda form, number: fake_twilio.FAILS_BEFORE
    queue()
    drain(app)
    for _ in settle.LOOKS:
        found = look_up(app, rows)
    assert found.state is MessageState.FAILED
    drain(app)
    assert len(fake.tried) == 1


def test_another_call_whose_fate_is_unknown_leaves_both_open(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio, queue: Queue
) -> None:
    fake.plan = lambda form, number: fake_twilio.RESETS_AFTER
    id_ = queue()
    drain(app)
    first = rows.one(Message)
    rows.add(
        Message(
            id=new_id(), client_id=house.client.id, destination=first.destination,
            sender_id=house.sender.id, credential_id=house.credential.id, to=PHONE,
            from_=first.from_, body="<Response><Hangup/></Response>", lane_key=first.lane_key,
            state=MessageState.UNKNOWN,
        )
    )  # fmt: skip
    rows.change(update(Message).where(Message.id == id_).values(check_at=utcnow()))
    with app.app_context():
        settle.run()
    assert {message.state for message in rows.all(Message)} == {MessageState.UNKNOWN}


def test_a_call_that_others_placed_later_is_not_taken_for_ours(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue
) -> None:
    fake.plan = lambda form, number: fake_twilio.FAILS_BEFORE
    queue()
    drain(app)
    fake._take(dict(fake.tried[0][1]), 0)
    fake.accepted[0].created += timedelta(minutes=5)
    for _ in settle.LOOKS:
        found = look_up(app, rows)
    assert (found.state, found.sid) == (MessageState.FAILED, None)


def test_an_old_call_whose_fate_stays_unknown_is_no_obstacle(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio, queue: Queue
) -> None:
    fake.plan = lambda form, number: fake_twilio.RESETS_AFTER
    id_ = queue()
    drain(app)
    lost = rows.one(Message)
    rows.add(
        Message(
            id=new_id(), client_id=house.client.id, destination=lost.destination,
            sender_id=house.sender.id, credential_id=house.credential.id, to=PHONE,
            from_=lost.from_, body=lost.body, lane_key=lost.lane_key, state=MessageState.UNKNOWN,
            claimed_at=utcnow() - timedelta(days=1),
        )
    )  # fmt: skip
    rows.change(update(Message).where(Message.id == id_).values(check_at=utcnow()))
    with app.app_context():
        settle.run()
    found = rows.one(select(Message).where(Message.id == id_))
    assert (found.state, found.sid) == (MessageState.ACCEPTED, fake.accepted[0].sid)
