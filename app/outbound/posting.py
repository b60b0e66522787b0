"""The threads that post claimed messages at their slots and write down what came of it.

They belong to the process, not to one drain: a drain that ends does not wait for a slow Twilio.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

import structlog
from flask import Flask
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from app.extensions import db, unit_of_work
from app.outbound import outcomes
from app.outbound.claims import Outgoing
from app.outbound.send import Outcome, Poster
from app.twilio.client import NotSent

log = structlog.get_logger(__name__)

MAX_LANES = 128
"""Lanes that one process serves at once; each may always have one request out."""
THREADS = 192
_SHARED = THREADS - MAX_LANES
"""Further requests at once, for lanes that have one out already: a lane whose Twilio account
hangs can use these up, and still no other lane waits for it."""
SETTLED_TOGETHER = 60
TOGETHER_SECONDS = 0.02
"""How long an outcome waits for others, so that one commit serves several."""
LATEST_US = 10_000_000
"""How late a message is still posted. The claim of one that is later, because the process stood
still, may count as lost already; its person may have been written to by hand meanwhile."""
_DATABASE_AWAY = (OperationalError, InterfaceError, TimeoutError)
_LEAST_IN_FLIGHT, _MOST_IN_FLIGHT = 2, 64


class Clock:
    """The database's clock as this process sees it: lanes go by that one alone."""

    def __init__(self) -> None:
        self._offset_us = time.time_ns() // 1000 - int(time.monotonic() * 1e6)

    def set(self, before: float, after: float, now_us: int) -> None:
        """Learn the database's time, which was asked for between two moments of our own."""
        self._offset_us = now_us - int((before + after) * 5e5)

    def now_us(self) -> int:
        """Return the database's time: microseconds since 1970."""
        return self.at(time.monotonic())

    def at(self, moment: float) -> int:
        """Return the database's time at a moment of ``time.monotonic()``."""
        return int(moment * 1e6) + self._offset_us

    def moment(self, slot_us: int) -> float:
        """Return when `slot_us` is, by ``time.monotonic()``."""
        return (slot_us - self._offset_us) / 1e6


class Gate:
    """Keeps the distance between two messages of a lane where a thread was late.

    A late message pushes the next ones away, except for a quarter of its time that may be caught
    up: so that whoever counts at the other end never sees more than one message too many.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def earliest(self, cost: float) -> float:
        """Return the first moment at which a message may pass."""
        return self._next - cost / 4

    def passed(self, at: float, cost: float) -> None:
        """Note that a message passed, which takes the lane for `cost` seconds."""
        self._next = max(self._next, at) + cost


class Posting:
    """Posts messages at their slots, from a bounded number of threads."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self.clock = Clock()
        self._poster = Poster(app)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="post")
        self._results: SimpleQueue[tuple[Outgoing, Outcome]] = SimpleQueue()
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Outgoing]] = []
        self._number = itertools.count()
        self._in_flight: Counter[str] = Counter()
        self._gates: dict[str, Gate] = {}
        for work in (self._pace, self._settle):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()

    def add(self, outgoing: Outgoing) -> None:
        """Post a claimed message at its slot."""
        with self._changed:
            self._in_flight[outgoing.lane_key] += 1
            entry = (self.clock.moment(outgoing.slot_us), next(self._number), outgoing)
            heapq.heappush(self._waiting, entry)
            self._changed.notify_all()

    def room(self, lane_key: str, rate: float) -> int:
        """Return how many more messages of a lane may be claimed now."""
        with self._changed:
            mine, all_ = self._in_flight[lane_key], self._in_flight.total()
            beyond_first = all_ - len(self._in_flight)
        most = max(_LEAST_IN_FLIGHT, min(_MOST_IN_FLIGHT, int(rate)))
        room = min(most - mine, _SHARED - beyond_first)
        return max(room, 1) if mine == 0 else room

    def earliest_us(self, lane_key: str) -> int:
        """Return the first moment, by the database's clock, at which the lane's gate is free."""
        gate = self._gates.get(lane_key)
        return 0 if gate is None else self.clock.at(gate.earliest(0))

    def busy(self) -> bool:
        """Tell whether any message is on its way, or its outcome not yet written down."""
        with self._changed:
            return bool(self._in_flight)

    def finish(self, seconds: float) -> bool:
        """Wait until nothing is on its way; return whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._in_flight, seconds)

    def _pace(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                moment, _, outgoing = self._waiting[0]
                cost = outgoing.cost_us / 1e6
                gate = self._gates.setdefault(outgoing.lane_key, Gate())
                at = max(moment, gate.earliest(cost))
                now = time.monotonic()
                if now < at:
                    if at > moment:  # the gate is closed: others may go first meanwhile
                        heapq.heapreplace(self._waiting, (at, next(self._number), outgoing))
                    self._changed.wait(at - now)
                    continue
                heapq.heappop(self._waiting)
                gate.passed(now, cost)
            self._pool.submit(self._post, outgoing)

    def _post(self, outgoing: Outgoing) -> None:
        if self.clock.now_us() - outgoing.slot_us > LATEST_US:
            outcome: Outcome = NotSent("The process stood still, and its turn has passed.")
        else:
            outcome = self._poster.post(outgoing)
        self._results.put((outgoing, outcome))

    def _settle(self) -> None:
        """Write outcomes down, many in one commit, for as long as it takes."""
        while True:
            found = [self._results.get()]
            time.sleep(TOGETHER_SECONDS)
            try:
                while len(found) < SETTLED_TOGETHER:
                    found.append(self._results.get_nowait())
            except Empty:
                pass
            self._write(found)
            with self._changed:
                for outgoing, _ in found:
                    self._in_flight[outgoing.lane_key] -= 1
                    if not self._in_flight[outgoing.lane_key]:
                        del self._in_flight[outgoing.lane_key]
                self._changed.notify_all()

    def _write(self, found: list[tuple[Outgoing, Outcome]]) -> None:
        """Write outcomes down, however long the database is away.

        Where one of them is at fault, it must not take the others along.
        """
        while True:
            try:
                self._commit(found)
            except _DATABASE_AWAY as error:
                log.warning("outcomes wait for the database", error=type(error).__name__)
                time.sleep(0.5)
                continue
            except Exception:
                log.exception("outcomes not written", messages=[one.id for one, _ in found])
                for pair in found if len(found) > 1 else ():
                    self._write([pair])
            return

    def _commit(self, found: list[tuple[Outgoing, Outcome]]) -> None:
        with self._app.app_context():
            try:
                with unit_of_work() as session:
                    outcomes.settle(session, found)
            finally:
                db.session.remove()
