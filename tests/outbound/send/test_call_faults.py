"""A batch of calls while everything breaks: nobody is called twice.

The same processes, kill -9s and faults as for texts; here Twilio also asks what to say, now and
then before the POST is answered and often twice. `FAULT_SEEDS=5` runs five histories.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time

import pytest
import requests
from flask import Flask
from sqlalchemy import func, select, update

from app.domain.sending import communications
from app.extensions import unit_of_work
from app.models.batch import Batch, BatchState
from app.models.communication import Communication, MachineDetection
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.models.route import Destination
from tests.outbound.send.test_faults import (
    WORKERS,
    Redis,
    at_work,
    break_something,
    faults,
    is_prepared,
    look_up_at_once,
    redis_server,
    redis_url,
)
from tests.support.fake_twilio import Accepted, FakeTwilio
from tests.support.house import communication, furnish, join
from tests.support.processes import Processes, wait_until
from tests.support.rows import Rows
from tests.support.twilio import signed

__all__ = ["redis_server", "redis_url"]  # fixtures

MEMBERS = 150
SEEDS = range(1, 1 + int(os.environ.get("FAULT_SEEDS", "1")))
TEMPLATE = (
    "<Response><Say>Hello {{ toName }}.</Say>"
    "{% if AnsweredBy == 'machine' %}<Say>Please call back.</Say>{% endif %}</Response>"
)
pytestmark = [
    pytest.mark.processes,
    pytest.mark.database("postgresql"),
    pytest.mark.timeout(400),
]


class People:
    """They take every second call; what they hear is kept by phone."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.heard: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def take(self, made: Accepted) -> None:
        if self.chance.random() < 0.5:
            return
        time.sleep(self.chance.random())
        who = self.chance.choice(["human", "machine_start"])
        for _ in range(self.chance.choice([1, 2])):
            said = self._post(made, made.form["Url"], CallStatus="in-progress", AnsweredBy=who)
            if said is not None:
                with self._lock:
                    self.heard.setdefault(made.to, set()).add(said)
        numbers = [(1, "ringing"), (2, "in-progress"), (3, "completed"), (3, "completed")]
        self.chance.shuffle(numbers)
        for number, word in numbers:
            more = {"CallDuration": "9"} if word == "completed" else {}
            self._post(made, made.callback, CallStatus=word, SequenceNumber=str(number), **more)

    def _post(self, made: Accepted, url: str, **more: str) -> str | None:
        form = {
            "CallSid": made.sid, "AccountSid": made.form["_account"], "To": made.to,
            "From": made.sender, "Direction": "outbound-api", "ApiVersion": "2010-04-01", **more,
        }  # fmt: skip
        with contextlib.suppress(requests.RequestException):  # the web is being killed as well
            answer = requests.post(url, data=form, headers=signed(url, form), timeout=5)
            return answer.text if answer.status_code == 200 else None
        return None


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_is_called_twice(
    seed: int, app: Flask, rows: Rows, fake: FakeTwilio, processes: Processes, redis_server: Redis
) -> None:
    chance = random.Random(seed)
    people = People(chance)
    fake.latency = 0.08
    fake.plan = faults(chance)
    fake.tells = people.take
    start_batch(app, rows)
    running = [processes.procfile(name) for name in WORKERS]
    web = processes.web()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        time.sleep(chance.uniform(0.2, 1.5))
        web = break_something(chance, processes, running, web, redis_server)
    wait_until(
        lambda: is_prepared(rows) and rows.one(select(func.count()).where(at_work())) == 0,
        "nothing waits or is claimed",
        120,
    )
    look_up_at_once(rows)
    check(rows, fake, people)
    wait_until(lambda: rows.one(Batch).state is BatchState.COMPLETE, "the batch is complete")


def start_batch(app: Flask, rows: Rows) -> None:
    house = furnish(rows)
    rows.change(update(Credential).values(calls_per_second=20))
    made = communication(
        rows, house, TEMPLATE, destination=Destination.VOICE,
        machine_detection=MachineDetection.CONTINUE,
    )  # fmt: skip
    join(rows, made, *({"toName": f"P{n}", "toPhone": f"+1319556{n:04}"} for n in range(MEMBERS)))
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        communications.start_batch(session, found, "pat")


def check(rows: Rows, fake: FakeTwilio, people: People) -> None:
    messages = rows.all(Message)
    assert len(messages) == MEMBERS
    called = [made.to for made in fake.accepted]
    assert len(called) == len(set(called))
    taken = {made.to: made.sid for made in fake.accepted}
    for message in messages:
        if message.state is MessageState.ACCEPTED:
            assert message.sid == taken.pop(message.to)
        else:
            assert message.state is MessageState.FAILED
            assert message.to not in taken
    assert taken == {}
    assert people.heard
    for phone, said in people.heard.items():
        name = f"P{int(phone[-4:])}"
        assert len(said) == 1, phone  # a repeat hears the same
        assert f"Hello {name}." in said.pop()
