"""The database's clock as a process sees it, and the gates that keep its lanes' distances."""

from __future__ import annotations

import threading
import time

_TRUSTED_SECONDS = 10.0
_LEAP_US = 100_000
_TOLERANCE = 0.25


class Clock:
    """The database's clock as this process sees it: lanes go by that one alone.

    Of the times that were asked for within ten seconds the one with the shortest round trip counts,
    as it can be wrong by the least.
    """

    def __init__(self) -> None:
        self._offset_us = time.time_ns() // 1000 - int(time.monotonic() * 1e6)
        self._trip = float("inf")
        self._learned_at = 0.0

    def set(self, before: float, after: float, now_us: int) -> None:
        """Learn the database's time, which was asked for between two moments of our own."""
        offset_us = now_us - int((before + after) * 5e5)
        if (
            after - before <= self._trip
            or after - self._learned_at > _TRUSTED_SECONDS
            or abs(offset_us - self._offset_us) > _LEAP_US
        ):
            self._offset_us, self._trip, self._learned_at = offset_us, after - before, after

    def now_us(self) -> int:
        """Return the database's time: microseconds since 1970."""
        return self.at(time.monotonic())

    def at(self, moment: float) -> int:
        """Return the database's time at a moment of ``time.monotonic()``."""
        return int(moment * 1e6) + self._offset_us

    def moment(self, slot_us: int) -> float:
        """Return when `slot_us` is, by ``time.monotonic()``."""
        return (slot_us - self._offset_us) / 1e6


def suspended() -> float:
    """Return for how many seconds this machine has slept since it started.

    ``time.monotonic()`` stands still meanwhile, and would call a message of an hour ago punctual.
    """
    if not hasattr(time, "CLOCK_BOOTTIME"):  # pragma: no cover - only Linux tells
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


class Gate:
    """Keeps the distance between the messages of a lane where a thread was late.

    A late message pushes the next ones away, except for a quarter of a segment's time that may be
    caught up: so that whoever counts at the other end never sees more than one message too many.
    Times are of ``time.monotonic()``, in seconds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0
        self._tolerance = 0.0
        self._coming: dict[str, tuple[float, float]] = {}

    def expect(self, name: str, moment: float, cost: float, segment: float) -> None:
        """Note that a message will pass at ``moment`` and take the lane for ``cost`` seconds.

        :param segment: how long a single segment takes the lane.
        """
        with self._lock:
            self._coming[name] = (moment, cost)
            self._tolerance = segment * _TOLERANCE

    def opens(self) -> float:
        """Return the first moment at which a message may pass."""
        return self._next - self._tolerance

    def wait(self, name: str) -> float:
        """Return when the turn of an expected message has come; it counts as passed then.

        :returns: by how many seconds it is late.
        """
        while True:
            with self._lock:
                moment, cost = self._coming[name]
                now = time.monotonic()
                at = max(moment, self.opens())
                if now >= at:
                    del self._coming[name]
                    self._next = max(self._next, now) + cost
                    return now - moment
            time.sleep(at - now)

    def forget(self, name: str) -> None:
        """Expect a message no more: it did not get as far as the gate."""
        with self._lock:
            self._coming.pop(name, None)

    def opens_next(self) -> float:
        """Return when it opens for a message that is not expected yet."""
        with self._lock:
            free = self._next
            for moment, cost in self._coming.values():
                free = max(free, moment) + cost
            return free - self._tolerance
