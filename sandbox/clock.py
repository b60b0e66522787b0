"""Simulated time and one thread that does things later."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

log = logging.getLogger("sandbox")


class Clock:
    """Seconds that pass `speed` times as fast as real ones. Dates on records stay real."""

    def __init__(self, speed: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._speed = speed
        self._real = time.monotonic()
        self._simulated = 0.0

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Change the pace from now on; raises ValueError unless it is above 0."""
        if speed <= 0:
            raise ValueError("speed must be above 0")
        with self._lock:
            self._simulated, self._real = self._now(), time.monotonic()
            self._speed = speed

    def now(self) -> float:
        """Simulated seconds since the start."""
        with self._lock:
            return self._now()

    def _now(self) -> float:
        return self._simulated + (time.monotonic() - self._real) * self._speed

    def real(self, seconds: float) -> float:
        """How long so many simulated seconds take in real seconds."""
        return max(0.0, seconds) / self._speed


class Timer:
    """A handle of something planned; `cancel()` drops it if it has not begun."""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Drop it if it has not begun."""
        self.call = None


class Scheduler:
    """One thread that starts short calls when they are due, whatever their number."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._closed = False
        threading.Thread(target=self._run, name="sandbox-scheduler", daemon=True).start()

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Run `call` on the scheduler's thread in so many simulated seconds. It must be quick."""
        return self.at(self.clock.now() + seconds, call)

    def at(self, due: float, call: Callable[[], None]) -> Timer:
        """Run `call` at a simulated time of the scheduler's clock."""
        timer = Timer(due, call)
        with self._wake:
            heapq.heappush(self._heap, (due, next(self._order), timer))
            if self._heap[0][2] is timer:
                self._wake.notify()
        return timer

    def close(self) -> None:
        """Start nothing more: the thread ends."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def poke(self) -> None:
        """Look at the clock again (its speed has changed)."""
        with self._wake:
            self._wake.notify()

    def _run(self) -> None:
        while (timer := self._next()) is not None:
            call = timer.call
            if call is None:
                continue
            try:
                call()
            except Exception:
                log.exception("a planned step failed")

    def _next(self) -> Timer | None:
        with self._wake:
            while not self._closed:
                if not self._heap:
                    self._wake.wait()
                    continue
                wait = self._heap[0][0] - self.clock.now()
                if wait <= 0:
                    return heapq.heappop(self._heap)[2]
                self._wake.wait(self.clock.real(wait))
            return None


def utcnow() -> datetime:
    """The present moment, aware, to the second as Twilio shows it."""
    return datetime.now(UTC)


def rfc2822(moment: datetime | None) -> str | None:
    """`Thu, 24 Aug 2023 05:01:45 +0000`, the form of dates in the 2010-04-01 API."""
    return format_datetime(moment.astimezone(UTC)) if moment else None


def iso8601(moment: datetime | None) -> str | None:
    """`2015-07-30T20:12:31Z`, the form of dates in the v1 APIs."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
