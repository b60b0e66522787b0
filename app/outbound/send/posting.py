"""The threads that post claimed messages at their slots and write down what came of it.

They belong to the process, not to one drain: a drain that ends does not wait for a slow Twilio.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue

import structlog
from flask import Flask
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from app.domain import aside
from app.domain.sending import breaker
from app.extensions import db, unit_of_work
from app.outbound.send import outcomes
from app.outbound.send.claims import Outgoing
from app.outbound.send.pace import Clock, Gate, suspended
from app.outbound.send.post import Outcome, Poster, Taken
from app.twilio import errors
from app.twilio.client import NotSent, RefusedByTwilio

log = structlog.get_logger(__name__)

MAX_LANES = 128
"""Lanes that one process serves at once; each may always have one request out."""
THREADS = 256
_SHARED = THREADS - MAX_LANES
"""Further requests at once, for lanes that have one out already: a lane whose Twilio account
hangs can use these up, and still no other lane waits for it."""
LEAD_SECONDS = 0.03
"""How long before its slot a thread begins with a message: to make the request, to find a
connection for it. It is written at the slot."""
SETTLED_TOGETHER = 250
TOGETHER_SECONDS = 0.1
"""How soon after the last commit outcomes are written down again, so that one serves several."""
LATEST_SECONDS = 4.0
"""How late a message is still posted. Its process stood still; the lease of its lane has run out,
and another process goes on with the lane in its place."""
_DATABASE_AWAY = (OperationalError, InterfaceError, TimeoutError)
_LEAST_IN_FLIGHT, _MOST_IN_FLIGHT = 2, 96
PROVEN_SECONDS = 60.0
"""For how long a lane may have many out at once after Twilio has taken one. Else no more are out
than are enough for a breaker to trip, so that what is refused for everybody costs no more texts."""


class Posting:
    """Posts messages at their slots, from a bounded number of threads."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self.clock = Clock()
        self._poster = Poster(app)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="post")
        self._results: SimpleQueue[tuple[Outgoing, Outcome] | None] = SimpleQueue()
        self._closed = False
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Outgoing, float]] = []
        self._number = itertools.count()
        self._in_flight: Counter[str] = Counter()
        self._gates: dict[str, Gate] = {}
        self._proven: dict[str, float] = {}
        """Until when, by lane, it counts that Twilio has taken something."""
        for work in (self._pace, self._settle):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()

    def add(self, outgoing: Outgoing) -> None:
        """Post a claimed message at its slot."""
        moment, cost = self.clock.moment(outgoing.slot_us), outgoing.cost_us / 1e6
        with self._changed:
            gate = self._gates.setdefault(outgoing.lane_key, Gate())
            gate.expect(outgoing.id, moment, cost, cost / max(outgoing.segments, 1))
            self._in_flight[outgoing.lane_key] += 1
            heapq.heappush(self._waiting, (moment, next(self._number), outgoing, suspended()))
            self._changed.notify_all()

    def give_back(self, outgoing: Outgoing, why: str) -> None:
        """Have a message wait again that may be claimed and surely was not posted."""
        with self._changed:
            self._gates.setdefault(outgoing.lane_key, Gate())
            self._in_flight[outgoing.lane_key] += 1
        self._results.put((outgoing, NotSent(why)))

    def room(self, lane_key: str, rate: float) -> int:
        """Return how many more messages of a lane may be claimed now."""
        with self._changed:
            mine, all_ = self._in_flight[lane_key], self._in_flight.total()
            beyond_first = all_ - len(self._in_flight)
        most = max(_LEAST_IN_FLIGHT, min(_MOST_IN_FLIGHT, int(rate)))
        if self._proven.get(lane_key, 0.0) < time.monotonic():
            most = min(most, breaker.IN_A_ROW)
        room = min(most - mine, _SHARED - beyond_first)
        return max(room, 1) if mine == 0 else room

    def earliest_us(self, lane_key: str) -> int:
        """Return the first slot, by the database's clock, that the lane's gate leaves free."""
        gate = self._gates.get(lane_key)
        return 0 if gate is None else self.clock.at(gate.opens_next())

    def busy(self) -> bool:
        """Tell whether any message is on its way, or its outcome not yet written down."""
        with self._changed:
            return bool(self._in_flight)

    def finish(self, seconds: float) -> bool:
        """Wait until nothing is on its way; return whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._in_flight, seconds)

    def close(self) -> None:
        """End the threads, those with a request out when it is over; nothing more may be added."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._results.put(None)
        self._pool.shutdown(wait=False)

    def _pace(self) -> None:
        while not self._closed:
            with self._changed:
                if not self._waiting:
                    self._changed.wait()
                    continue
                moment, _, outgoing, slept = self._waiting[0]
                at = max(moment, self._gates[outgoing.lane_key].opens())
                wait = at - LEAD_SECONDS - time.monotonic()
                if wait > 0 and at > moment:  # the gate is closed: others may go first meanwhile
                    heapq.heapreplace(self._waiting, (at, next(self._number), outgoing, slept))
                    continue
                if wait > 0:
                    self._changed.wait(wait)
                    continue
                heapq.heappop(self._waiting)
            self._pool.submit(self._post, outgoing, slept)

    def _post(self, outgoing: Outgoing, slept: float) -> None:
        outcome = self._poster.post(outgoing, partial(self._turn, outgoing, slept))
        self._gates[outgoing.lane_key].forget(outgoing.id)
        if isinstance(outcome, Taken):
            self._proven[outgoing.lane_key] = time.monotonic() + PROVEN_SECONDS
        elif isinstance(outcome, RefusedByTwilio) and not errors.rule(outcome.code).recipient:
            self._proven.pop(outgoing.lane_key, None)
        self._results.put((outgoing, outcome))

    def _turn(self, outgoing: Outgoing, slept: float) -> None:
        """Return at the message's slot.

        :param slept: what :func:`suspended` said when it was claimed.
        :raises NotSent: when that is long over, by any clock.
        """
        late = self._gates[outgoing.lane_key].wait(outgoing.id) + suspended() - slept
        if late > LATEST_SECONDS:
            raise NotSent("The process stood still, and its turn has passed.")

    def _settle(self) -> None:
        """Write outcomes down, many in one commit, for as long as it takes."""
        written = 0.0
        while (first := self._results.get()) is not None:
            found = [first]
            time.sleep(max(written + TOGETHER_SECONDS - time.monotonic(), 0.0))
            with contextlib.suppress(Empty):
                while len(found) < SETTLED_TOGETHER:
                    if (more := self._results.get_nowait()) is not None:
                        found.append(more)
            self._write_all(found)
            written = time.monotonic()
            with self._changed:
                for outgoing, _ in found:
                    self._in_flight[outgoing.lane_key] -= 1
                    if not self._in_flight[outgoing.lane_key]:
                        del self._in_flight[outgoing.lane_key]
                self._changed.notify_all()

    def _write_all(self, found: list[tuple[Outgoing, Outcome]]) -> None:
        with self._app.app_context():
            pieces = list(aside.few(found))
        for some in pieces:
            self._write(some)

    def _write(self, found: Sequence[tuple[Outgoing, Outcome]]) -> None:
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

    def _commit(self, found: Sequence[tuple[Outgoing, Outcome]]) -> None:
        with self._app.app_context():
            try:
                with unit_of_work() as session:
                    outcomes.write_down(session, found)
            finally:
                db.session.remove()
