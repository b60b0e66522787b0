"""Who is on duty: people by spans of weekdays, in weeks that take turns. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.domain.hours.schedule import LOOK_AHEAD, Span, instant

FIRST_MONDAY = date(2024, 1, 1)
"""When the first of several weeks began, where a rota does not say."""
_TURN = re.compile(r"([^\s–-]+\s*[-–]\s*[^\s–-]+)\s+(.+)", re.DOTALL)


@dataclass(frozen=True, order=True)
class Turn:
    """Somebody's span of a day."""

    span: Span
    name: str

    @classmethod
    def parse(cls, text: str) -> Turn:
        """Read ``08:00-17:00 Pat``.

        :raises ValueError: with what is wrong, in a sentence.
        """
        found = _TURN.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"“{text}” is no turn; write one as 08:00-17:00 and a name.")
        return cls(Span.parse(found[1]), found[2].strip())

    def __str__(self) -> str:
        return f"{self.span} {self.name}"


def overlapping(turns: Sequence[Turn]) -> tuple[Turn, Turn] | None:
    """Return two turns of one day and one person that share a minute, if there are any."""
    for one in turns:
        for other in turns:
            if one < other and one.name == other.name and other.span.start < one.span.end:
                return one, other
    return None


@dataclass(frozen=True)
class Rota:
    """Turns of each weekday (Monday is 0) in each week; the weeks take turns, in one zone.

    A turn belongs to the day, and the week, in which it begins: who has the night from Sunday has
    it until Monday morning. Its start is included, its end is not.
    """

    zone: ZoneInfo
    people: Sequence[str]
    """In the order in which those who are on duty together are named."""
    weeks: Sequence[Mapping[int, Sequence[Turn]]]
    begins: date = FIRST_MONDAY
    """A day of a week that is the first of them."""

    def week_of(self, day: date) -> int:
        """Return which of the weeks a day is in, from 0."""
        weeks = (_monday(day) - _monday(self.begins)).days // 7
        return weeks % len(self.weeks)

    def turns_of(self, day: date) -> Sequence[Turn]:
        """Return the turns that begin on this day."""
        return self.weeks[self.week_of(day)].get(day.weekday(), ())

    def on_duty(self, moment: datetime) -> list[str]:
        """Return who is on duty at an aware moment, in the order of the people."""
        today = moment.astimezone(self.zone).date()
        found = {
            turn.name
            for day in (today - timedelta(days=1), today)
            for turn in self.turns_of(day)
            if self._instant(day, turn.span.start) <= moment < self._instant(day, turn.span.end)
        }
        return [name for name in self.people if name in found]

    def next_change(self, moment: datetime) -> datetime | None:
        """Return when next after ``moment`` others are on duty.

        None where that is not within :data:`app.domain.hours.schedule.LOOK_AHEAD`.
        """
        before = self.on_duty(moment)
        for change in self._boundaries(moment):
            if self.on_duty(change) != before:
                return change
        return None

    def _boundaries(self, moment: datetime) -> Iterator[datetime]:
        """Yield every instant after ``moment`` at which something may change, day by day."""
        day = moment.astimezone(self.zone).date() - timedelta(days=1)
        seen: set[datetime] = set()
        for _ in range(LOOK_AHEAD.days):
            for turn in self.turns_of(day):
                seen |= {self._instant(day, turn.span.start), self._instant(day, turn.span.end)}
            day += timedelta(days=1)
            tomorrow = self._instant(day, 0)
            for one in sorted(one for one in seen if one < tomorrow):
                seen.discard(one)
                if one > moment:
                    yield one

    def _instant(self, day: date, minutes: int) -> datetime:
        return instant(self.zone, day, minutes)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
