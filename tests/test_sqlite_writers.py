"""SQLite has one writer at a time: how long each holds the lock, and who gets it next."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text

from app.domain.sending import communications
from app.extensions import db, unit_of_work
from app.maintenance import retention
from app.models.base import utcnow
from app.models.communication import Communication
from app.models.link import Link
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination
from app.outbound import batches
from app.outbound.afterwards import reports, sweep
from app.outbound.send.claims import Outgoing
from app.outbound.send.post import Taken
from app.outbound.send.posting import Posting
from app.twilio.client import NotSent, RefusedByTwilio, Uncertain
from tests.outbound.afterwards.test_reports import take
from tests.support import cost
from tests.support.house import communication, furnish, join
from tests.support.house import text as a_text
from tests.support.rows import Rows

pytestmark = pytest.mark.database("sqlite")
LONGEST = 6
"""Yardsticks (`tests.support.cost`) that half of all holds stay below: some 15 ms.

The longest of them is for `bench.full`, on a quiet machine.
"""


@contextmanager
def holds() -> Iterator[list[float]]:
    """Note for how long each transaction of this thread has held the lock, in processor seconds.

    Not in seconds by the clock: those would tell how busy the machine is.
    """
    held: list[float] = []
    began: dict[int, float] = {}

    def begin(session: Any, *_: object) -> None:
        if session.info.get("unit_of_work"):
            began[id(session)] = time.thread_time()

    def end(session: Any, transaction: Any) -> None:
        if transaction.parent is None and id(session) in began:
            held.append(time.thread_time() - began.pop(id(session)))

    event.listen(db.session, "after_begin", begin)
    event.listen(db.session, "after_transaction_end", end)
    try:
        yield held
    finally:
        event.remove(db.session, "after_begin", begin)
        event.remove(db.session, "after_transaction_end", end)


def usual(held: list[float]) -> float:
    """Return the median in yardsticks; the first, which has the statements compiled, left out."""
    return median(held[1:]) / cost.yardstick()


def test_preparing_a_batch_holds_it_briefly(app: Flask, rows: Rows) -> None:
    house = furnish(rows)
    made = communication(rows, house)
    join(rows, made, *({"toName": "P", "toPhone": f"+1319555{n:04}"} for n in range(3000)))
    with app.app_context():
        with unit_of_work() as session:
            communications.start_batch(session, session.get_one(Communication, made.id), "pat")
        with holds() as held:
            while batches.turn():
                pass
    assert rows.count(Message) == 3000
    assert usual(held) <= LONGEST


def test_applying_reports_holds_it_briefly(app: Flask, rows: Rows) -> None:
    house = furnish(rows)
    messages = [
        a_text(house, state=MessageState.ACCEPTED, sid=f"SM{n:032}", to=f"+1319555{n:04}")
        for n in range(500)
    ]
    rows.add(*messages)
    for message in messages:
        take(app, message, "delivered", message.sid)
    with app.app_context(), holds() as held:
        reports.drain()
    assert {one.status for one in rows.all(Message)} == {"delivered"}
    assert usual(held) <= LONGEST


def test_giving_up_lost_claims_holds_it_briefly(app: Flask, rows: Rows) -> None:
    house = furnish(rows)
    long_ago = utcnow() - timedelta(minutes=5)
    claimed = {"state": MessageState.CLAIMED, "claimed_at": long_ago, "check_at": long_ago}
    rows.add(*(a_text(house, **claimed, to=f"+1319555{n:04}") for n in range(500)))
    with app.app_context(), holds() as held:
        assert sweep.lost_claims() == 500
    assert usual(held) <= LONGEST


def test_writing_outcomes_down_holds_it_briefly(app: Flask, rows: Rows, posting: Posting) -> None:
    house = furnish(rows)
    claimed = {"state": MessageState.CLAIMED, "claim_token": "t", "claimed_at": utcnow()}
    messages = [a_text(house, **claimed, to=f"+1319555{n:04}") for n in range(240)]
    rows.add(*messages)
    kinds = [
        Uncertain("The connection broke."),
        NotSent("Nobody was there."),
        RefusedByTwilio(21211, 400, "Invalid"),
    ]
    found = [
        (
            Outgoing(
                message.id,
                Destination.SMS,
                message.lane_key or "",
                0,
                0,
                1,
                message.to,
                "",
                "",
                (),
                {},
                house.credential.id,
                "t",
                1,
            ),
            kinds[n % 10] if n % 10 < 3 else Taken(f"SM{n:032}", "queued", 1, None),
        )
        for n, message in enumerate(messages)
    ]
    with holds() as held:
        posting._write_all(found)
    states = Counter(one.state for one in rows.all(Message))
    ends = (MessageState.UNKNOWN, MessageState.WAITING, MessageState.FAILED)
    assert states == {**dict.fromkeys(ends, 24), MessageState.ACCEPTED: 168}
    assert usual(held) <= LONGEST


def test_retention_holds_it_briefly(app: Flask, rows: Rows) -> None:
    house = furnish(rows)
    old = {"created_at": utcnow() - timedelta(days=100)}
    messages = [
        a_text(house, **old, state=MessageState.ACCEPTED, sid=f"SM{n:032}", to=f"+1319555{n:04}")
        for n in range(1000)
    ]
    rows.add(*messages)
    rows.add(
        *(
            MessageReport(message_id=one.id, status=status, source="callback", details={})
            for one in messages
            for status in ("queued", "sent", "delivered")
        ),
        *(Link(client_id=one.client_id, code=f"c{n}", message_id=one.id, url="https://e.edu/")
          for n, one in enumerate(messages)),
    )  # fmt: skip
    with app.app_context(), holds() as held:
        retention.run()
    assert rows.count(Message) == 0
    assert usual(held) <= LONGEST


def test_who_waits_is_not_passed_over_by_a_busy_writer(app: Flask) -> None:
    """By SQLite's own way of waiting, one in ten was passed over three times or more."""
    stop, turns = threading.Event(), 0

    def write_all_the_time() -> None:
        nonlocal turns
        with app.app_context():
            while not stop.is_set():
                with unit_of_work() as session:
                    session.execute(text("UPDATE endpoint SET in_flight = in_flight"))
                    time.sleep(0.01)
                turns += 1
                time.sleep(0.002)

    busy = threading.Thread(target=write_all_the_time)
    busy.start()
    waited = []
    try:
        with app.app_context():
            for _ in range(30):
                before = turns
                with unit_of_work() as session:
                    session.execute(text("SELECT 1"))
                    waited.append(turns - before)
                time.sleep(0.005)
    finally:
        stop.set()
        busy.join()
    assert sorted(waited)[27] <= 2
