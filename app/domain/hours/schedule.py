"""When somebody is there: open, closed or on holiday at a moment, and when that changes. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

DAY = 24 * 60
"""Minutes of a day, as its clock counts them."""
LOOK_AHEAD = timedelta(days=400)
"""Beyond this nothing is said of the next change: a year, its holidays and some days more."""
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*[-–]\s*([01]\d|2[0-3]|24):([0-5]\d)")


class State(enum.StrEnum):
    """What a moment is."""

    OPEN = "open"
    CLOSED = "closed"
    HOLIDAY = "holiday"


@dataclass(frozen=True, order=True)
class Span:
    """A part of a day, in minutes by its clock; what ends after midnight belongs to the day before.

    The start is included, the end is not.
    """

    start: int
    end: int
    """At most a day after the start."""

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read ``08:00-12:00``; an end that is not after the start is on the next day.

        :raises ValueError: with what is wrong, in a sentence.
        """
        found = _SPAN.fullmatch(text.strip())
        if found is None or (found[3] == "24" and found[4] != "00"):
            raise ValueError(f"“{text}” is no span of a day; write one as 08:00-17:00.")
        hour, minute, end_hour, end_minute = map(int, found.groups())
        start, end = hour * 60 + minute, end_hour * 60 + end_minute
        return cls(start, end if end > start else end + DAY)

    def __str__(self) -> str:
        end = self.end if self.end <= DAY else self.end - DAY
        return f"{_clock(self.start)}-{_clock(end)}"


def overlapping(spans: tuple[Span, ...]) -> tuple[Span, Span] | None:
    """Return two spans of one day that share a minute, if there are any."""
    for one, other in pairwise(sorted(spans)):
        if other.start < one.end:
            return one, other
    return None


@dataclass(frozen=True)
class Schedule:
    """Spans of each weekday (Monday is 0), dates that differ, and holidays, in one zone.

    A date with spans has these in place of its weekday's, whatever the calendar says; one with none
    is a holiday.
    """

    zone: ZoneInfo
    week: Mapping[int, tuple[Span, ...]]
    dates: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)
    holidays: frozenset[date] = frozenset()

    def spans_of(self, day: date) -> tuple[Span, ...]:
        """Return the spans that begin on this day."""
        if day in self.dates:
            return self.dates[day]
        return () if day in self.holidays else self.week.get(day.weekday(), ())

    def is_holiday(self, day: date) -> bool:
        """Tell whether the day is a holiday, by its own entry or by the calendar."""
        return not self.dates[day] if day in self.dates else day in self.holidays

    def state(self, moment: datetime) -> State:
        """Return what an aware moment is."""
        day = moment.astimezone(self.zone).date()
        for began in (day - timedelta(days=1), day):
            for span in self.spans_of(began):
                if self._instant(began, span.start) <= moment < self._instant(began, span.end):
                    return State.OPEN
        return State.HOLIDAY if self.is_holiday(day) else State.CLOSED

    def next_change(self, moment: datetime, to: State | None = None) -> datetime | None:
        """Return when next after ``moment`` it is something else (or just ``to``).

        None where that is not within :data:`LOOK_AHEAD`.
        """
        before = self.state(moment)
        for instant in self._boundaries(moment):
            after = self.state(instant)
            if after is not before and to in (None, after):
                return instant
            before = after
        return None

    def _boundaries(self, moment: datetime) -> Iterator[datetime]:
        """Yield every instant after ``moment`` at which something may change, in order."""
        day = moment.astimezone(self.zone).date() - timedelta(days=1)
        last = day + LOOK_AHEAD
        seen: set[datetime] = set()
        while day <= last:
            # What begins yesterday may end today: a day is told when the next can add nothing.
            tomorrow = self._instant(day, DAY)
            seen.add(self._instant(day, 0))
            for span in self.spans_of(day):
                seen.update((self._instant(day, span.start), self._instant(day, span.end)))
            for instant in sorted(one for one in seen if one < tomorrow):
                seen.discard(instant)
                if instant > moment:
                    yield instant
            day += timedelta(days=1)

    def _instant(self, day: date, minutes: int) -> datetime:
        return instant(self.zone, day, minutes)


def instant(zone: ZoneInfo, day: date, minutes: int) -> datetime:
    """Return the first instant at which the zone's clocks show that time, or a later one.

    An hour that is left out in spring begins when the clocks jump over it; of one that comes
    twice in autumn it is the first.
    """
    days, minute = divmod(minutes, DAY)
    wall = datetime.combine(day + timedelta(days=days), time(*divmod(minute, 60)))
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # No clock shows it. Seen with the offset after the jump, it lies before the jump.
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while instant - early > timedelta(minutes=1):
        middle = early + (instant - early) // 2
        shows = middle.astimezone(zone).replace(tzinfo=None) >= wall
        early, instant = (early, middle) if shows else (middle, instant)
    return instant.replace(second=0, microsecond=0)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
