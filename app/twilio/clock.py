"""Twilio's clock as this process sees it, told by the ``Date`` header of each of its answers.

Twilio stamps what it has by its own clock, in whole seconds. Whoever compares such a time with one
of ours has to know by how much the two differ, which is never known exactly, but between two
bounds.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Difference:
    """By how many seconds another clock is ahead of ours, at least and at most."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The best guess; off by :attr:`uncertainty` at most."""
        return (self.low + self.high) / 2

    @property
    def uncertainty(self) -> float:
        """Half the distance of the bounds, in seconds."""
        return (self.high - self.low) / 2

    def minus(self, other: "Difference") -> "Difference":
        """Return by how much the first clock is ahead of the one that ``other`` is about."""
        return Difference(self.low - other.high, self.high - other.low)

    def earliest(self, ours: datetime) -> datetime:
        """Return the first whole second that the other clock may have shown at a time of ours."""
        return (ours + timedelta(seconds=self.low)).replace(microsecond=0)

    def ours(self, theirs: datetime) -> datetime:
        """Return a time that the other clock has stamped by our own clock.

        Where both may well agree it is left alone.
        """
        if self.low <= 0 <= self.high:
            return theirs
        return theirs - timedelta(seconds=self.middle)

    def latest(self, ours: datetime) -> datetime:
        """Return the last moment that the other clock may have shown at a time of ours."""
        return ours + timedelta(seconds=self.high)


UNKNOWN = Difference(-1.0, 1.0)
"""What counts before anything was measured: clocks that NTP sets agree by far better."""


class Clock:
    """Learns the difference from the answers of one host, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: Difference | None = None

    def learn(self, before: float, after: float, header: str | None) -> None:
        """Learn from an answer that was asked for at ``before`` and had at ``after``.

        What several answers say is true together: the bounds come closer with each. Where two
        contradict each other, a clock was set in between, and only the later one counts.

        :param before, after: our own clock's seconds since 1970.
        :param header: the answer's ``Date``, in whole seconds; whatever cannot be read is left out.
        """
        try:
            shown = parsedate_to_datetime(header or "").timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        found = Difference(shown - max(after, before), shown + 1 - min(after, before))
        with self._lock:
            if self._known is not None:
                low, high = max(self._known.low, found.low), min(self._known.high, found.high)
                found = Difference(low, high) if low <= high else found
            self._known = found

    def difference(self) -> Difference | None:
        """Return the difference, Twilio's clock minus ours; None where nothing is known."""
        return self._known

    def known(self) -> Difference:
        """Return the difference, or what counts before anything was measured."""
        return self.difference() or UNKNOWN


@lru_cache(maxsize=8)
def clock(_base_url: str | None) -> Clock:
    """Return what this process knows of the clock behind a base address (None: Twilio itself)."""
    return Clock()
