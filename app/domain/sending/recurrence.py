"""When a communication goes out by itself: on which days, and at which instants those are.

Pure: data in, instants out. A time that the clocks of the client's zone leave out in spring, or
show twice in autumn, is read as RFC 5545 (3.3.5) has it: by the offset before the gap, and the
first of the two.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from app.domain.mistakes import Mistake, Refused
from app.domain.specs import Empty, Line, Spec, TimeOfDay, Trimmed

Every = Literal["day", "week", "month"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[str, ...] = get_args(Weekday)
DAY_NAMES = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
FARTHEST_DAYS = 365
"""How many days before or after a date something may go out."""
LAST_DAY = date(2199, 12, 31)
ONE_DAY = timedelta(days=1)


def _on(value: object) -> object:
    """Read a weekday or a day of the month."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        text = str(value).strip().lower()
        if text in WEEKDAYS:
            return text
        if text.isdecimal() and len(text) <= 2 and 1 <= int(text) <= 31:
            return int(text)
    raise ValueError(
        f"“{str(value)[:20]}” is neither a weekday (mon, tue, wed, thu, fri, sat, sun) nor a day"
        " of the month (1 to 31)."
    )


def _day(value: object) -> object:
    """Read an ISO date."""
    if value is None or type(value) is date:
        return value
    try:
        found = date.fromisoformat(str(value).strip())
    except ValueError:
        found = date.min
    if not 2000 <= found.year < 2200:
        raise ValueError(f"“{str(value)[:20]}” is no date; write it like 2027-05-31.")
    return found


def _attribute(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(
            f"“{name}” is no attribute that a template could use: letters, digits and _ alone."
        )
    return name


On = Annotated[
    str | int,
    BeforeValidator(_on),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "enum": list(WEEKDAYS)},
                   {"type": "integer", "minimum": 1, "maximum": 31}]}
    ),
]  # fmt: skip
Attribute = Annotated[
    str, StringConstraints(min_length=1, max_length=100), Line, AfterValidator(_attribute)
]


class _Scheduled(Spec):
    """What both kinds share."""

    at: Annotated[TimeOfDay, Trimmed]
    """By the clocks of the client's zone."""

    def as_json(self) -> dict[str, Any]:
        """Return what the communication stores."""
        return self.model_dump(mode="json")


class RepeatSpec(_Scheduled):
    """Again and again: each day, on these weekdays, or on these days of each month.

    A day that a month does not have is its last.
    """

    every: Every
    on: Annotated[list[On], Empty] = Field(default_factory=list, max_length=31)
    until: Annotated[date | None, BeforeValidator(_day)] = None
    """The last day on which it may go out."""

    @model_validator(mode="after")
    def _fits(self) -> RepeatSpec:
        days = [one for one in self.on if isinstance(one, int)]
        wrong: str | None = None
        if self.every == "day" and self.on:
            wrong = "“on” is for weeks and months; leave it out where it goes out each day."
        elif self.every == "week" and (days or not self.on):
            wrong = "Say on which weekdays it goes out."
        elif self.every == "month" and (len(days) != len(self.on) or not self.on):
            wrong = "Say on which days of the month it goes out; 31 is always the last."
        if wrong is not None:
            raise ValueError(wrong)
        place = {name: number for number, name in enumerate(WEEKDAYS)}
        self.on = sorted(set(self.on), key=lambda one: place.get(str(one), one))
        return self

    def falls_on(self, day: date) -> bool:
        """Tell whether it goes out on a day, if it has not ended before."""
        if self.every == "day":
            return True
        if self.every == "week":
            return WEEKDAYS[day.weekday()] in self.on
        last = calendar.monthrange(day.year, day.month)[1]
        return day.day in self.on or (day.day == last and any(int(one) > last for one in self.on))

    @property
    def last_day(self) -> date:
        """The last day on which it may go out."""
        return min(self.until or LAST_DAY, LAST_DAY)

    @property
    def words(self) -> str:
        """Say it: “each Monday and Thursday at 09:00, until 2027-05-31”."""
        days = "day"
        if self.every == "week":
            days = _listed([DAY_NAMES[WEEKDAYS.index(str(one))] for one in self.on])
        until = f", until {self.until}" if self.until else ""
        if self.every == "month":
            ordinals = ["the last day" if one == 31 else f"the {_ordinal(int(one))}"
                        for one in self.on]  # fmt: skip
            return f"on {_listed(ordinals)} of each month at {self.at}{until}"
        return f"each {days} at {self.at}{until}"


class RelativeSpec(_Scheduled):
    """By a date of each member: so many days before (negative) or after it."""

    attribute: Attribute
    days: Annotated[int, Field(ge=-FARTHEST_DAYS, le=FARTHEST_DAYS)] = 0

    def date_of(self, run: Occurrence) -> date:
        """Return which date of a member a run is about."""
        return run.local.date() - timedelta(days=self.days)

    @property
    def last_day(self) -> date:
        """The last day on which it may go out."""
        return LAST_DAY

    @property
    def words(self) -> str:
        """Say it: “2 days before appointment at 09:00”."""
        if self.days == 0:
            return f"on the day of {self.attribute} at {self.at}"
        days = "1 day" if abs(self.days) == 1 else f"{abs(self.days)} days"
        return f"{days} {'before' if self.days < 0 else 'after'} {self.attribute} at {self.at}"


Schedule = RepeatSpec | RelativeSpec


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time at which it goes out."""

    local: datetime
    """What the clocks of the zone are to show, without a zone."""
    at: datetime
    """The instant, in UTC."""

    @property
    def key(self) -> str:
        """What tells it from all others of its communication: ``2026-11-30T09:00``."""
        return f"{self.local:%Y-%m-%dT%H:%M}"


def check(repeat: RepeatSpec | None, relative: RelativeSpec | None) -> None:
    """Let a communication have one of the two at most.

    :raises Refused: when both are given.
    """
    if repeat is not None and relative is not None:
        said = "Give “repeat” or “relative”, not both: it goes out in one of the two ways."
        raise Refused([Mistake(("relative",), said, "one_of")])


def stored(repeat: dict[str, Any] | None, relative: dict[str, Any] | None) -> Schedule | None:
    """Return what a communication stores, or None where it is started by hand only."""
    if repeat is not None:
        return RepeatSpec.model_validate(repeat)
    return None if relative is None else RelativeSpec.model_validate(relative)


def occurrences(schedule: Schedule, zone: str, since: datetime) -> Iterator[Occurrence]:
    """Yield when it goes out, from ``since`` on, in order; for ever where it has no end.

    :param zone: whose clocks count.
    """
    clock, there = time.fromisoformat(schedule.at), ZoneInfo(zone)
    day = since.astimezone(there).date() - ONE_DAY
    while day <= schedule.last_day:
        if isinstance(schedule, RelativeSpec) or schedule.falls_on(day):
            local = datetime.combine(day, clock)
            at = local.replace(tzinfo=there, fold=0).astimezone(UTC)
            if at >= since:
                yield Occurrence(local, at)
        day += ONE_DAY


def next_after(schedule: Schedule, zone: str, moment: datetime) -> Occurrence | None:
    """Return the first time at which it goes out later than at ``moment``, if there is one."""
    return next((one for one in occurrences(schedule, zone, moment) if one.at > moment), None)


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _ordinal(day: int) -> str:
    ending = "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"
