"""Communications that go out by themselves: each run once, as a batch of its own, by all rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, event, select, update

from app.domain import clocks, mistakes
from app.domain.persons import erasing
from app.domain.persons import known as persons
from app.domain.sending import approval, scheduling
from app.domain.sending.recurrence import RelativeSpec, RepeatSpec
from app.extensions import db, unit_of_work
from app.maintenance import ahead, retention
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.communication import Communication
from app.models.delivery import Delivery
from app.models.house import AuditEntry
from app.models.installation import Hold, Installation
from app.models.message import Message, MessageState
from app.models.run import CommunicationRun, DatedSend, RunState
from app.outbound import batches, due
from app.outbound.send import drains
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, communication, furnish, join
from tests.support.rows import Rows

PAT = "pat@example.edu"
BEFORE = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
"""Monday, 8:00 in Chicago: an hour before the first run."""
ANN, BEN = "+13195550101", "+13195550102"
WEEKLY = {"every": "week", "on": ["mon", "wed"], "at": "09:00"}
Clock = Callable[..., None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Put the time, the database's too, at Monday morning; called, it goes on by so much."""
    monkeypatch.setattr(clocks, "db_now_us", lambda _session: time.time_ns() // 1000)
    now = [BEFORE]
    with time_machine.travel(BEFORE, tick=True) as travel:

        def go_on(**delta: float) -> None:
            now[0] += timedelta(**delta)
            travel.move_to(now[0])

        yield go_on


@pytest.fixture
def house(rows: Rows, clock: Clock) -> House:
    return furnish(rows, rate=100, time_zone="America/Chicago")


@pytest.fixture
def made(rows: Rows, house: House) -> Communication:
    return communication(rows, house, "Hi {{ toName }}")


def schedule(app: Flask, made: Communication, by: str = PAT, **given: dict[str, Any]) -> None:
    repeat = mistakes.parse(RepeatSpec, given["repeat"]) if "repeat" in given else None
    relative = mistakes.parse(RelativeSpec, given["relative"]) if "relative" in given else None
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        scheduling.save(session, found, repeat, relative, by)


def by_appointment(days: int, at: str = "09:00") -> dict[str, Any]:
    return {"attribute": "appointment", "days": days, "at": at}


def person(phone: str, **more: Any) -> dict[str, Any]:
    return {"toName": phone[-2:], "toPhone": phone, **more}


def keep_house(app: Flask) -> None:
    with app.app_context():
        batches.drain()


def work(app: Flask) -> None:
    """Let everything happen that is due now."""
    keep_house(app)
    with app.app_context():
        drains.drain()
        drains._posting(app).finish(10)
    keep_house(app)


def runs(rows: Rows) -> list[tuple[str, str]]:
    found = rows.all(select(CommunicationRun).order_by(CommunicationRun.at))
    return [(one.key, one.state.value) for one in found]


def mails(rows: Rows) -> list[str]:
    return [one.body or "" for one in rows.all(select(Delivery).order_by(Delivery.id))]


def test_each_run_is_a_batch_of_the_list_as_it_is_that_day(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication, clock: Clock
) -> None:
    join(rows, made, person(ANN))
    schedule(app, made, repeat=WEEKLY)
    work(app)
    assert (runs(rows), fake.accepted) == ([], [])
    clock(hours=1)
    work(app)
    assert [one.to for one in fake.accepted] == [ANN]
    join(rows, made, person(BEN))
    clock(days=2)
    work(app)
    assert runs(rows) == [("2026-11-30T09:00", "started"), ("2026-12-02T09:00", "started")]
    assert sorted(one.to for one in fake.accepted) == [ANN, ANN, BEN]
    started = rows.all(select(Batch).order_by(Batch.id))
    assert [(one.state, one.total, one.created_by) for one in started] == [
        (BatchState.COMPLETE, 1, PAT), (BatchState.COMPLETE, 2, PAT),
    ]  # fmt: skip
    assert rows.one(Communication).next_run_at == datetime(2026, 12, 7, 15, tzinfo=UTC)


def test_nobody_in_the_list_makes_no_batch(
    app: Flask, rows: Rows, made: Communication, clock: Clock
) -> None:
    schedule(app, made, repeat=WEEKLY)
    clock(hours=1)
    work(app)
    assert (runs(rows), rows.count(Batch)) == ([("2026-11-30T09:00", "nobody")], 0)


def test_those_are_told_whose_date_is_near(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication, clock: Clock
) -> None:
    told = ["2026-12-02", "2026-12-02T16:30", "2026-12-02 16:30:00-06:00", " 2026-12-02 "]
    not_told = ["2026-12-03", "2026-12-020", "12/02/2026", "", None, 20261202, ["2026-12-02"]]
    people = [person(f"+13195550{n + 200}", appointment=day)
              for n, day in enumerate([*told, *not_told])]  # fmt: skip
    join(rows, made, *people, person("+13195550299"))
    schedule(app, made, relative=by_appointment(-2))
    clock(hours=1)
    work(app)
    assert sorted(one.to for one in fake.accepted) == [
        "+13195550200", "+13195550201", "+13195550202", "+13195550203",
    ]  # fmt: skip
    assert rows.one(Batch).total == 4


def test_a_phone_is_told_of_a_date_once_whatever_becomes_of_the_schedule(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication, clock: Clock
) -> None:
    join(rows, made, person(ANN, appointment="2026-12-02"))
    join(rows, made, person("(319) 555-0101", appointment="2026-12-02", toName="her child"))
    schedule(app, made, relative=by_appointment(-2))
    clock(hours=1)
    work(app)
    schedule(app, made, relative=by_appointment(-1))
    clock(days=1)
    work(app)
    assert runs(rows) == [("2026-11-30T09:00", "started"), ("2026-12-01T09:00", "started")]
    assert [one.to for one in fake.accepted] == [ANN]
    refused = rows.all(select(Message).where(Message.state == MessageState.REFUSED))
    assert {one.error_message for one in refused} == {
        "This phone gets this about 2026-12-02 already; it is told of a date once."
    }
    assert len(refused) == 3
    assert [(one.phone, one.date) for one in rows.all(DatedSend)] == [(ANN, date(2026, 12, 2))]
    with app.app_context(), unit_of_work() as session:
        client = session.scalars(select(Client)).one()
        known = persons.export(session, client, ANN, PAT) or {}
        assert [one["date"] for one in known["datesTold"]] == ["2026-12-02"]
    with app.app_context():
        assert erasing.erase(client.id, ANN, PAT)
    assert rows.count(DatedSend) == 0


def test_another_date_is_another_reminder(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication, clock: Clock
) -> None:
    join(rows, made, person(ANN, appointment="2026-12-02"), person(ANN, appointment="2026-12-03"))
    schedule(app, made, relative=by_appointment(-2))
    clock(hours=1)
    work(app)
    clock(days=1)
    work(app)
    assert [one.to for one in fake.accepted] == [ANN, ANN]


@pytest.mark.parametrize(("hours", "state"), [(11.9, RunState.STARTED), (12.1, RunState.SKIPPED)])
def test_what_was_missed_for_more_than_twelve_hours_is_skipped_and_told(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication, clock: Clock, hours: float,
    state: RunState,
) -> None:  # fmt: skip
    join(rows, made, person(ANN))
    schedule(app, made, repeat=WEEKLY)
    clock(hours=1 + hours)
    work(app)
    assert runs(rows) == [("2026-11-30T09:00", state.value)]
    assert len(fake.accepted) == (state is RunState.STARTED)
    told = [one for one in mails(rows) if "did not go out" in one]
    assert len(told) == 2 * (state is RunState.SKIPPED)  # the owner, and Pat
    assert rows.one(Communication).next_run_at == datetime(2026, 12, 2, 15, tzinfo=UTC)


def test_a_long_silence_is_told_once_for_all_its_runs(
    app: Flask, rows: Rows, made: Communication, clock: Clock
) -> None:
    schedule(app, made, "flask apply", repeat={"every": "day", "at": "09:00"})
    clock(days=30)
    work(app)
    assert runs(rows) == [("2026-12-29T09:00", "skipped")]
    (told,) = mails(rows)
    assert "30 runs since 2026-11-30T09:00" in told
    assert rows.one(select(AuditEntry).where(AuditEntry.action == "skip")).details["runs"] == 30


def test_more_than_may_be_reached_without_it_wait_for_approval_by_somebody_else(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication, clock: Clock
) -> None:
    rows.change(update(Client).values(approval_above=1))
    join(rows, made, person(ANN), person(BEN))
    schedule(app, made, repeat=WEEKLY)
    clock(hours=1)
    work(app)
    batch = rows.one(Batch)
    assert (batch.state, batch.total) == (BatchState.AWAITING_APPROVAL, 2)
    with app.app_context():
        assert approval.is_own(db.session(), batch, PAT)
    with app.app_context(), unit_of_work() as session:
        approval.approve(session, session.get_one(Batch, batch.id), "bo@example.edu")
    work(app)
    assert sorted(one.to for one in fake.accepted) == [ANN, BEN]


def test_only_those_of_the_day_count_for_approval(
    app: Flask, rows: Rows, made: Communication, clock: Clock
) -> None:
    rows.change(update(Client).values(approval_above=1))
    join(rows, made, person(ANN, appointment="2026-12-02"), person(BEN, appointment="2027-01-01"))
    schedule(app, made, relative=by_appointment(-2))
    clock(hours=1)
    work(app)
    assert (rows.one(Batch).state, rows.one(Batch).total) == (BatchState.COMPLETE, 1)


def test_people_are_reached_within_their_hours(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication, clock: Clock
) -> None:
    rows.change(update(Client).values(recipient_from="10:00", recipient_to="20:00"))
    join(rows, made, person(ANN))
    schedule(app, made, repeat=WEEKLY)
    clock(hours=1)
    work(app)
    assert fake.accepted == []
    clock(hours=1)
    work(app)
    assert [one.to for one in fake.accepted] == [ANN]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (update(Client).values(halted_at=BEFORE), "is halted"),
        (update(Client).values(twilio_enabled=False), "is not enabled"),
        (update(Communication).values(population_id=None), "no population"),
    ],
    ids=["halted", "not enabled", "no population"],
)
def test_what_cannot_go_out_at_its_time_is_told_and_does_not_come_later(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication, clock: Clock, change: Any,
    words: str,
) -> None:  # fmt: skip
    join(rows, made, person(ANN))
    schedule(app, made, repeat=WEEKLY)
    rows.change(change)
    clock(hours=1)
    work(app)
    run = rows.one(CommunicationRun)
    assert (run.state, run.batch_id) == (RunState.REFUSED, None)
    assert words in (run.reason or "")
    assert all(words in one for one in mails(rows))
    rows.change(update(Client).values(halted_at=None, twilio_enabled=True))
    work(app)
    assert fake.accepted == []


def test_two_clocks_at_once_start_it_once(
    app: Flask, rows: Rows, made: Communication, clock: Clock
) -> None:
    join(rows, made, person(ANN))
    schedule(app, made, repeat=WEEKLY)
    clock(hours=1)

    def turn(_number: int) -> bool:
        with app.app_context():
            return due.turn()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(turn, range(4))) == 1
    assert (runs(rows), rows.count(Batch)) == ([("2026-11-30T09:00", "started")], 1)


class Killed(BaseException):
    """The process is no more."""


@contextmanager
def killed_at(app: Flask, statement: int) -> Iterator[None]:
    """Kill the process before the so-manieth statement or commit."""
    seen = [0]

    def die(*_: Any) -> None:
        seen[0] += 1
        if seen[0] == statement:
            raise Killed

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", die)
    event.listen(engine, "commit", die)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", die)
        event.remove(engine, "commit", die)


def turn_and_be_killed(app: Flask, statement: int) -> bool:
    """Do a turn in which the process is killed; return whether it was."""
    with killed_at(app, statement), app.app_context():
        try:
            due.turn()
        except Killed:
            return True
        finally:
            db.session.remove()
    return False


@pytest.mark.parametrize("kind", ["repeat", "relative"])
def test_killed_between_any_two_statements_it_happens_once(
    app: Flask, rows: Rows, made: Communication, clock: Clock, kind: str
) -> None:
    join(rows, made, person(ANN, appointment="2026-12-02"))
    schedule(app, made, **{kind: WEEKLY if kind == "repeat" else by_appointment(-2)})
    clock(hours=1)
    number, was_killed = 0, True
    while was_killed:
        number += 1
        rows.change(delete(CommunicationRun))
        rows.change(update(Communication).values(next_run_at=BEFORE + timedelta(hours=1)))
        before = rows.count(Batch)
        was_killed = turn_and_be_killed(app, number)
        with app.app_context():
            due.turn()
            assert not due.turn()
        assert rows.count(Batch) - before == 1, number
        assert runs(rows) == [("2026-11-30T09:00", "started")], number
    assert number > 20


def test_what_may_have_gone_out_before_a_restore_is_skipped_and_what_is_due_since_waits(
    app: Flask, rows: Rows, made: Communication, clock: Clock
) -> None:
    join(rows, made, person(ANN))
    schedule(app, made, repeat=WEEKLY)
    clock(hours=2)
    held_at = BEFORE + timedelta(hours=2)
    rows.change(delete(Installation))
    rows.add(Installation(held_at=held_at, held_because=Hold.WENT_BACK))
    work(app)
    assert runs(rows) == [("2026-11-30T09:00", "skipped")]
    assert any("restored from a backup" in one for one in mails(rows))
    clock(days=2)
    work(app)
    assert rows.count(Batch) == 0
    rows.change(update(Installation).values(held_at=None, held_because=None))
    work(app)
    assert runs(rows)[1:] == [("2026-12-02T09:00", "started")]


def test_saving_the_same_once_more_changes_nothing(
    app: Flask, rows: Rows, made: Communication, clock: Clock
) -> None:
    schedule(app, made, repeat=WEEKLY)
    clock(hours=1)
    schedule(app, made, "flask apply", repeat=WEEKLY)
    one = rows.one(Communication)
    assert (one.next_run_at, one.scheduled_by) == (BEFORE + timedelta(hours=1), PAT)
    assert len(rows.all(AuditEntry)) == 1


def test_a_run_that_is_due_stays_due_when_only_its_end_is_moved(
    app: Flask, rows: Rows, made: Communication, clock: Clock
) -> None:
    schedule(app, made, repeat=WEEKLY)
    clock(hours=1, seconds=1)
    schedule(app, made, repeat={**WEEKLY, "until": "2027-05-31"})
    assert rows.one(Communication).next_run_at == BEFORE + timedelta(hours=1)
    schedule(app, made, relative=by_appointment(-2, at="08:00"))
    one = rows.one(Communication)
    assert (one.repeat, one.next_run_at) == (None, datetime(2026, 12, 1, 14, tzinfo=UTC))
    schedule(app, made)
    one = rows.one(Communication)
    assert (one.relative, one.next_run_at) == (None, None)


@pytest.mark.parametrize(
    ("change", "mended"),
    [
        (update(Communication).values(next_run_at=BEFORE + timedelta(days=365)),
         BEFORE + timedelta(hours=1)),
        (update(Client).values(time_zone="America/New_York"), BEFORE),
    ],
    ids=["a clock that was ahead", "another zone"],
)  # fmt: skip
def test_a_time_after_the_next_one_is_mended(
    app: Flask, rows: Rows, made: Communication, clock: Clock, change: Any, mended: datetime
) -> None:
    clock(hours=-1)
    schedule(app, made, repeat=WEEKLY)
    rows.change(change)
    with app.app_context():
        assert [ahead.tick(), ahead.tick()] == [1, 0]
    assert rows.one(Communication).next_run_at == mended


def test_who_was_told_is_forgotten_when_no_run_can_come_back_to_the_date(
    app: Flask, rows: Rows, made: Communication, clock: Clock
) -> None:
    join(rows, made, person(ANN, appointment="2026-12-02"))
    schedule(app, made, relative=by_appointment(-2))
    clock(hours=1)
    work(app)
    for days, left in ((360, 1), (10, 0)):
        clock(days=days)
        with app.app_context():
            retention.run()
        assert rows.count(DatedSend) == left


def test_whoever_comes_to_the_list_after_the_run_of_their_day_has_none(
    app: Flask, rows: Rows, fake: FakeTwilio, made: Communication, clock: Clock
) -> None:
    join(rows, made, person(ANN, appointment="2026-12-02"))
    schedule(app, made, relative=by_appointment(-2))
    clock(hours=1)
    work(app)
    join(rows, made, person(BEN, appointment="2026-12-02"))
    clock(days=1)
    work(app)
    assert [one.to for one in fake.accepted] == [ANN]
    assert runs(rows)[1:] == [("2026-12-01T09:00", "nobody")]
