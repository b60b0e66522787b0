"""Nobody looks again and again at what cannot go out yet: idling costs next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import Engine, event, insert, update

from app.domain import clocks, wake
from app.domain.sending import communications
from app.domain.sending.texts import queue_text
from app.extensions import db, unit_of_work
from app.models.batch import Batch
from app.models.client import Client
from app.models.communication import Communication
from app.models.credential import Credential
from app.models.message import Lane, Message, MessageState
from app.models.sender import Sender
from app.outbound import batches
from app.outbound.send import agenda, drains
from app.outbound.send.posting import Posting
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, communication, furnish, join, text
from tests.support.rows import Rows

LOOK = 4
"""Statements of one look: the time, the lanes, what is set aside, the batches."""


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Count what is sent to the database, transactions' beginnings and ends aside."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows, rate=1)


@pytest.fixture
def waiting(app: Flask, house: House, rows: Rows) -> str:
    """A text that waits; returns the key of its lane."""
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        sender = session.get_one(Sender, house.sender.id)
        queue_text(session, client, sender, "+13195550150", body="Hello")
    return f"sms:{house.sender.id}"


HOUR = timedelta(hours=1)


def later(seconds: float = 3600) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


CANNOT_GO = {
    "the lane is held": lambda: update(Lane).values(held_until=later(50)),
    "its next slot is far": lambda: update(Lane).values(
        next_slot_us=clocks.microseconds(later(20))
    ),
    "another process is at work": lambda: update(Lane).values(
        lease_token="another", lease_until=later(5)
    ),
    "it is due later": lambda: update(Message).values(due_at=later()),
    "the client is halted": lambda: update(Client).values(halted_at=datetime.now(UTC)),
    "the sender is stopped": lambda: update(Sender).values(stopped_at=datetime.now(UTC)),
    "the account is stopped": lambda: update(Credential).values(stopped_at=datetime.now(UTC)),
}


@pytest.mark.parametrize("reason", CANNOT_GO)
def test_what_cannot_go_keeps_nobody_busy(
    reason: str,
    app: Flask,
    rows: Rows,
    waiting: str,
    fake: FakeTwilio,
    redis_url: str,
    posting: Posting,
) -> None:
    """Sixty statements a second, and more for each process, it was before."""
    rows.change(CANNOT_GO[reason]())
    looks: list[int] = []
    with app.app_context(), statements(db.engine) as seen:
        for _ in range(4):  # four processes
            drain = drains.Drain(posting)
            assert drain.may_send()
            seen_before = len(seen)
            assert not drain.turn()
            looks.append(len(seen) - seen_before)
            drain.release()
        assert max(looks) <= LOOK
        assert not any("UPDATE lane" in statement for statement in seen)
        seen.clear()
        assert not agenda.wake_due()
        assert len(seen) <= LOOK
    assert fake.tried == []
    assert wake.queue("send", Redis.from_url(redis_url)).jobs == []


def test_the_clock_wakes_a_worker_when_it_can_go(
    app: Flask, rows: Rows, waiting: str, redis_url: str
) -> None:
    jobs = wake.queue("send", Redis.from_url(redis_url))
    jobs.empty()
    rows.change(update(Lane).values(held_until=datetime.now(UTC) + timedelta(seconds=1)))
    with app.app_context():
        assert agenda.wake_due()
        assert len(jobs.jobs) == 1
        jobs.empty()
        rows.change(update(Lane).values(held_until=None, lease_token="dead", lease_until=later(5)))
        assert not agenda.wake_due()
        rows.change(update(Lane).values(lease_until=datetime.now(UTC) - timedelta(seconds=1)))
        assert agenda.wake_due()


def test_a_drain_waits_for_what_falls_due_soon(
    app: Flask, rows: Rows, waiting: str, fake: FakeTwilio
) -> None:
    rows.change(update(Lane).values(held_until=datetime.now(UTC) + timedelta(seconds=0.6)))
    with app.app_context():
        drains.drain()
    assert len(fake.accepted) == 1


def test_a_batch_in_quiet_hours_keeps_nobody_busy(
    app: Flask, rows: Rows, house: House, posting: Posting
) -> None:
    made = communication(rows, house)
    join(rows, made, {"toName": "Ann", "toPhone": "+13195550150"})
    with app.app_context():
        with unit_of_work() as session:
            communications.start_batch(session, session.get_one(Communication, made.id), "pat")
        batches.drain()
        now = datetime.now(UTC)
        assert agenda.due(db.session(), now)
        begin, end = (f"{now + hours:%H:%M}" for hours in (-HOUR, HOUR))
        rows.change(update(Client).values(time_zone="UTC", quiet_from=begin, quiet_to=end))
        assert not agenda.wake_due()
        assert not drains.Drain(posting).turn()
    assert rows.one(Batch).lane_key == f"sms:{house.sender.id}"


def test_a_look_costs_the_same_with_many_idle_lanes(app: Flask, rows: Rows, waiting: str) -> None:
    """Half a second with 100,000 of them it was before."""
    rows.change(
        insert(Lane).values(
            [{"key": f"sms:{n:026}", "rate": 1, "next_slot_us": 0} for n in range(5000)]
        )
    )
    with app.app_context(), statements(db.engine) as seen:
        assert list(agenda.due(db.session(), datetime.now(UTC))) == [waiting]
        assert len(seen) <= LOOK
        steps = _rows_read(seen[0] if "lane" in seen[0] else seen[1], app)
    assert steps < 100


def _rows_read(statement: str, app: Flask) -> int:
    """Ask the planner how many lanes it reads: all of them only where it scans the table."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            now = datetime.now(UTC).replace(tzinfo=None)
            plan = connection.exec_driver_sql(
                "EXPLAIN QUERY PLAN " + statement, (now.isoformat(" "),) * statement.count("?")
            ).all()
            return 5000 * any("SCAN lane" in row[-1] for row in plan)
    return 0  # PostgreSQL decides by what it knows of the table; see bench.lanes


def test_dead_lanes_go_and_living_ones_stay(app: Flask, rows: Rows, waiting: str) -> None:
    past = clocks.microseconds(datetime.now(UTC) - 2 * HOUR)
    rows.change(update(Lane).values(next_slot_us=past))
    rows.add(
        Lane(key="sms:idle", rate=1, next_slot_us=past),
        Lane(key="sms:held", rate=1, next_slot_us=past, held_until=later()),
        Lane(key="sms:leased", rate=1, next_slot_us=past, lease_until=later()),
        Lane(key="sms:recent", rate=1, next_slot_us=past + 90 * 60_000_000),
    )
    with app.app_context():
        assert agenda.forget_dead_lanes() == 1
        assert agenda.forget_dead_lanes() == 0
    kept = {lane.key for lane in rows.all(Lane)}
    assert kept == {waiting, "sms:held", "sms:leased", "sms:recent"}


def test_a_message_whose_lane_went_is_sent_nevertheless(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    """It was being written while its lane was removed."""
    rows.add(text(house))
    with app.app_context():
        assert not agenda.wake_due()  # makes the lane
        assert agenda.wake_due()
        drains.drain()
    assert rows.one(Message).state is MessageState.ACCEPTED
    assert rows.one(Lane).rate == 1
