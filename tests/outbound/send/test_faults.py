"""A batch of 500 while everything breaks: each member exactly once, or in a state that says why.

Real processes on PostgreSQL and Valkey. Each seed is another history of kill -9s, lost wake-ups and
faults of Twilio's. `FAULT_SEEDS=20` runs twenty of them instead of one.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import requests
from flask import Flask
from sqlalchemy import func, select, update

from app.domain.sending import communications
from app.extensions import unit_of_work
from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.communication import Communication
from app.models.message import Message, MessageState
from embedded import valkey
from tests.support import fake_twilio
from tests.support.fake_twilio import Accepted, FakeTwilio, Fault, Form
from tests.support.house import communication, furnish, join
from tests.support.processes import Processes, Running, wait_until
from tests.support.rows import Rows
from tests.support.twilio import signed

MEMBERS = 500
SEEDS = range(int(os.environ.get("FAULT_SEEDS", "1")))
WORKERS = ("worker-send", "worker-send", "worker-house", "clock")
pytestmark = [
    pytest.mark.processes,
    pytest.mark.database("postgresql"),
    pytest.mark.timeout(400),
]


class Redis:
    """A server of this test's own, which may lose everything or go away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = valkey.start(folder)

    def flush(self) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            client.flushall()

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server = valkey.start(self.folder)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path / "redis")
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    return redis_server.server.url


def faults(chance: random.Random) -> fake_twilio.Plan:
    kinds = [
        (0.01, fake_twilio.TOO_MANY),
        (0.03, fake_twilio.FAILS_BEFORE),
        (0.03, fake_twilio.FAILS_AFTER),
        (0.01, fake_twilio.HANGS_AFTER),
        (0.02, fake_twilio.RESETS_BEFORE),
        (0.03, fake_twilio.RESETS_AFTER),
    ]

    def plan(_form: Form, _number: int) -> Fault | None:
        point = chance.random()
        for share, fault in kinds:
            if point < share:
                return fault
            point -= share
        return None

    return plan


def calling_back(chance: random.Random) -> fake_twilio.Callable[[Accepted], None]:
    """Report every second text, as Twilio does: now and then before the POST is answered."""

    def tell(made: Accepted) -> None:
        if chance.random() < 0.5:
            return
        time.sleep(chance.random())
        form = {
            "MessageSid": made.sid, "SmsSid": made.sid, "MessageStatus": "delivered",
            "SmsStatus": "delivered", "To": made.to, "From": made.sender,
            "AccountSid": made.form["_account"], "ApiVersion": "2010-04-01",
        }  # fmt: skip
        with contextlib.suppress(requests.RequestException):  # the web is being killed as well
            requests.post(made.callback, data=form, headers=signed(made.callback, form), timeout=5)

    return tell


@pytest.mark.parametrize("seed", SEEDS)
def test_each_member_gets_exactly_one_text_or_a_state_that_says_why(
    seed: int, app: Flask, rows: Rows, fake: FakeTwilio, processes: Processes, redis_server: Redis
) -> None:
    chance = random.Random(seed)
    fake.latency = 0.08
    fake.plan = faults(chance)
    fake.tells = calling_back(chance)
    batch_id = start_batch(app, rows)
    running = [processes.procfile(name) for name in WORKERS]
    web = processes.web()
    deadline = time.monotonic() + 25
    while time.monotonic() < deadline:
        time.sleep(chance.uniform(0.2, 1.5))
        web = break_something(chance, processes, running, web, redis_server)
        if rows.one(select(func.count()).where(at_work())) == 0 and is_prepared(rows):
            break
    wait_until(
        lambda: is_prepared(rows) and rows.one(select(func.count()).where(at_work())) == 0,
        "nothing waits or is claimed",
        120,
    )
    assert twice(fake) == {}
    look_up_at_once(rows)
    check(rows, fake)
    wait_until(lambda: rows.one(Batch).state is BatchState.COMPLETE, "the batch is complete")
    assert rows.one(Batch).id == batch_id


def start_batch(app: Flask, rows: Rows) -> str:
    house = furnish(rows, rate=60)
    made = communication(rows, house)
    join(rows, made, *({"toName": f"P{n}", "toPhone": f"+1319556{n:04}"} for n in range(MEMBERS)))
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        return communications.start_batch(session, found, "pat").id


def break_something(
    chance: random.Random,
    processes: Processes,
    running: list[Running],
    web: Running,
    server: Redis,
) -> Running:
    """Kill a process and start it again, or take Redis's memory, or Redis itself, away."""
    what = chance.choice(["worker"] * 6 + ["web", "flush", "redis"])
    if what == "worker":
        which = chance.randrange(len(running))
        running[which].kill()
        running[which] = processes.procfile(WORKERS[which])
    elif what == "web":
        web.kill()
        return processes.web()
    elif what == "flush":
        server.flush()
    else:
        server.stop()
        time.sleep(chance.uniform(0, 2))
        server.start()
    return web


def at_work() -> object:
    return Message.state.in_((MessageState.WAITING, MessageState.CLAIMED))


def is_prepared(rows: Rows) -> bool:
    return rows.one(Batch).state not in (BatchState.SCHEDULED, BatchState.PREPARING)


def look_up_at_once(rows: Rows) -> None:
    """Let the half hour pass in which Twilio's log is asked about what is unknown.

    A look that had begun before sets its own next time, so the half hour passes again and again.
    """
    unknown = select(Message).where(Message.state == MessageState.UNKNOWN)

    def settled() -> bool:
        if not rows.all(unknown):
            return True
        rows.change(
            update(Message)
            .where(Message.state == MessageState.UNKNOWN, Message.checks < 4)
            .values(check_at=utcnow(), checks=3)
        )
        time.sleep(1)
        return False

    try:
        wait_until(settled, "everything unknown is settled", 60)
    except AssertionError as error:
        left = [(m.to, m.checks, m.check_at, m.error_message) for m in rows.all(unknown)]
        raise AssertionError(f"still unknown: {left}") from error


def twice(fake: FakeTwilio) -> dict[str, int]:
    """Return the phones that got more than one text."""
    counts = Counter(made.to for made in fake.accepted)
    return {to: count for to, count in counts.items() if count > 1}


def check(rows: Rows, fake: FakeTwilio) -> None:
    messages = rows.all(Message)
    assert len(messages) == MEMBERS
    assert twice(fake) == {}
    taken = {made.to: made.sid for made in fake.accepted}
    for message in messages:
        if message.state is MessageState.ACCEPTED:
            assert message.sid == taken.pop(message.to)
        else:
            assert message.state is MessageState.FAILED
            assert message.to not in taken
            assert "no trace" in (message.error_message or "")
    assert taken == {}
