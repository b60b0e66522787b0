"""Batches reach people in the hours of where they are; who is outside waits, one by one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from app.domain import clocks
from app.domain.sending import communications, running
from app.extensions import db, unit_of_work
from app.models.base import new_id
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.communication import Communication
from app.models.message import Lane, Message, MessageState
from app.outbound import batches
from app.outbound.send import claims, drains, recipients_hours
from app.outbound.send.claims import LaneView
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, communication, furnish, join, text
from tests.support.rows import Rows

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
"""9:30 in Iowa, 7:30 in Seattle."""
SEATTLE_OPENS = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
IOWA, SEATTLE = "+1319555{:04}", "+1206555{:04}"


class Clock:
    """One clock for the processes and for the database."""

    def __init__(self, travel: Any) -> None:
        self.travel = travel

    def to(self, at: datetime) -> None:
        self.travel.move_to(at)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The database's clock shows what that of the process does."""
    monkeypatch.setattr(clocks, "db_now_us", lambda _session: time.time_ns() // 1000)
    with time_machine.travel(NOW, tick=True) as travel:
        yield Clock(travel)


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows, rate=100, recipient_from="09:00", recipient_to="20:00")


def start(app: Flask, rows: Rows, made: Communication, *phones: str) -> None:
    join(rows, made, *[{"toName": phone, "toPhone": phone} for phone in phones])
    with app.app_context():
        with unit_of_work() as session:
            found = session.get_one(Communication, made.id)
            communications.start_batch(session, found, "pat@example.edu")
        batches.drain()


def go_on(app: Flask) -> None:
    with app.app_context():
        drains.drain()
        batches.drain()


def reached(fake: FakeTwilio) -> list[str]:
    return sorted(one.to for one in fake.accepted)


def test_each_waits_until_it_is_time_where_they_are(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    iowa, seattle = IOWA.format(1), SEATTLE.format(1)
    start(app, rows, communication(rows, house), seattle, iowa)
    go_on(app)
    assert reached(fake) == [iowa]
    batch = rows.one(Batch)
    assert batch.state is BatchState.RUNNING
    with app.app_context():
        eta = running.progress(db.session(), batch).eta
    assert eta == SEATTLE_OPENS
    clock.to(SEATTLE_OPENS - timedelta(seconds=10))
    go_on(app)
    assert reached(fake) == [iowa]
    clock.to(SEATTLE_OPENS)
    go_on(app)
    go_on(app)
    assert reached(fake) == [seattle, iowa]
    assert rows.one(Batch).state is BatchState.COMPLETE


def test_what_is_left_when_their_day_ends_waits_until_the_next(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    """Prepared in time, paused, and resumed when it is too late in Iowa but not in Seattle."""
    clock.to(datetime(2026, 11, 23, 18, 0, tzinfo=UTC))
    start(app, rows, communication(rows, house), IOWA.format(1), SEATTLE.format(1))
    clock.to(datetime(2026, 11, 24, 2, 0, tzinfo=UTC))  # 20:00 in Iowa
    go_on(app)
    assert reached(fake) == [SEATTLE.format(1)]
    (left,) = rows.all(select(Message).where(Message.state == MessageState.WAITING))
    assert (left.to, left.tries) == (IOWA.format(1), 0)
    assert left.due_at == datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
    clock.to(datetime(2026, 11, 24, 15, 0, tzinfo=UTC))
    go_on(app)
    assert reached(fake) == [SEATTLE.format(1), IOWA.format(1)]


def test_single_messages_go_at_any_time(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    key = f"sms:{house.sender.id}"
    rows.add(Lane(key=key, rate=100), text(house, to=SEATTLE.format(1), due_at=NOW))
    go_on(app)
    assert reached(fake) == [SEATTLE.format(1)]


def test_thousands_of_one_zone_do_not_hold_up_those_of_another(
    app: Flask, rows: Rows, house: House, clock: Clock, statements: list[str]
) -> None:
    """They are put off many at once, and a claim that puts off costs few statements."""
    made = communication(rows, house)
    start(app, rows, made, IOWA.format(1))
    batch = rows.one(Batch)
    rows.change(update(Message).values(position=10_000))
    common = {"batch_id": batch.id, "communication_id": made.id, "due_at": NOW}
    rows.add(*[text(house, to=SEATTLE.format(n), position=n, **common) for n in range(300)])
    token = new_id()
    with app.app_context():
        with unit_of_work() as session:
            session.execute(update(Lane).values(lease_token=token))
        rounds = 0
        while True:
            view = LaneView(f"sms:{house.sender.id}", 100, 0, None, [batch.id])
            statements.clear()
            with unit_of_work() as session:
                now_us = clocks.microseconds(clocks.db_now(session))
                got = claims.claim(session, [(view, 2)], now_us, token)
            rounds += 1
            assert len(statements) <= 40
            if got:
                break
    assert [one.to for one in got] == [IOWA.format(1)]
    assert rounds <= 300 // recipients_hours.AHEAD_ON_SQLITE + 2
    waiting = rows.all(select(Message.due_at).where(Message.state == MessageState.WAITING))
    assert set(waiting) == {SEATTLE_OPENS}


def test_hours_that_go_let_nobody_wait_any_more(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    rows.change(update(Client).values(recipient_from=None, recipient_to=None))
    start(app, rows, communication(rows, house), SEATTLE.format(1))
    go_on(app)
    assert reached(fake) == [SEATTLE.format(1)]
