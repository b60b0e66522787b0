"""Office hours as clients keep them: written down, saved, read, and what they say of a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import changes, named
from app.domain.changes import Change
from app.domain.hours.schedule import Schedule, Span, State, overlapping
from app.domain.mistakes import Refused
from app.domain.specs import Empty, Name, Spec
from app.models.base import utcnow
from app.models.client import Client
from app.models.hours import Hours
from app.models.sender import Sender

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOSED = "closed"
MOST_DATES = 1000
AHEAD, RENEWED = timedelta(days=5 * 366), timedelta(days=2 * 366)
"""How far a calendar is read, and when less than this is left of that, it is read again."""
BEHIND = timedelta(days=7)


def _span(text: str) -> str:
    return str(Span.parse(text))


def _spans(texts: list[str]) -> list[str]:
    spans = tuple(Span.parse(text) for text in texts)
    if two := overlapping(spans):
        raise ValueError(f"{two[0]} and {two[1]} overlap.")
    return [str(span) for span in sorted(spans)]


def _one_step(name: str) -> str:
    if "/" in name:
        raise ValueError("must be without a slash: the name is a part of web addresses.")
    return name


Spans = Annotated[
    list[Annotated[str, StringConstraints(max_length=20), AfterValidator(_span)]],
    Field(max_length=20),
    AfterValidator(_spans),
]


class PlanSpec(Spec):
    """When somebody is there: spans of each weekday, dates that differ, a calendar of holidays."""

    mon: Annotated[Spans, Empty] = Field(default_factory=list)
    tue: Annotated[Spans, Empty] = Field(default_factory=list)
    wed: Annotated[Spans, Empty] = Field(default_factory=list)
    thu: Annotated[Spans, Empty] = Field(default_factory=list)
    fri: Annotated[Spans, Empty] = Field(default_factory=list)
    sat: Annotated[Spans, Empty] = Field(default_factory=list)
    sun: Annotated[Spans, Empty] = Field(default_factory=list)
    dates: Annotated[
        dict[date, Annotated[Spans, Field(min_length=1)] | Literal["closed"]],
        Field(max_length=MOST_DATES),
        Empty,
    ] = Field(default_factory=dict)
    calendar: str | None = None
    """The text of an iCalendar file."""

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        self.dates = dict(sorted(self.dates.items()))
        return self


OneStepName = Annotated[Name, AfterValidator(_one_step)]
"""A name that is a part of web addresses."""


class HoursSpec(PlanSpec):
    """A plan with its name."""

    name: OneStepName


def save(
    session: Session, client_id: str, spec: HoursSpec, known: Hours | None, by: str
) -> Change[Hours]:
    """Make office hours, or let known ones be as the specification says.

    :raises Refused: when the name is taken, or the calendar cannot be read.
    """
    named.refuse_taken(session, Hours, client_id, spec.name, known)
    row = known or Hours(client_id=client_id)
    values: dict[str, Any] = {
        "name": spec.name,
        "week": {day: spans for day in DAYS if (spans := getattr(spec, day))},
        "dates": {
            day.isoformat(): [] if spans == CLOSED else spans for day, spans in spec.dates.items()
        },
    }
    read_anew = known is None or known.calendar != spec.calendar
    details = {
        name: "another week" if name == "week" else "other dates" if name == "dates" else words
        for name, words in changes.write(session, row, values).items()
    }
    if read_anew:
        row.calendar = spec.calendar
        read_calendar(row)
        session.flush()
        if known is not None:
            details["calendar"] = f"{changes.count(len(row.holidays), 'holiday')} in its calendar"
    change = Change(row, f"hours {spec.name}", details, is_new=known is None)
    return changes.note(session, change, by)


def read_calendar(row: Hours) -> None:
    """Note the holidays of the row's calendar, years ahead.

    :raises Refused: when it cannot be read.
    """
    today = utcnow().date()
    if not row.calendar:
        row.holidays, row.holidays_until = [], None
        return
    from app.domain.hours import calendars

    try:
        found = calendars.holidays(row.calendar, today - BEHIND, today + AHEAD)
    except calendars.CalendarError as error:
        raise Refused.because(str(error), "calendar") from None
    row.holidays, row.holidays_until = sorted(map(date.isoformat, found)), today + AHEAD


def running_out(session: Session) -> Sequence[Hours]:
    """Return the hours whose calendar has to be read further."""
    soon = utcnow().date() + RENEWED
    return session.scalars(select(Hours).where(Hours.holidays_until < soon).limit(100)).all()


def describe(row: Hours) -> dict[str, Any]:
    """Return hours as people write them."""
    dates = {day: spans or CLOSED for day, spans in row.dates.items()}
    calendar = {} if row.calendar is None else {"calendar": row.calendar}
    return {"name": row.name, **row.week, **({"dates": dates} if dates else {}), **calendar}


def schedule(
    zone: str,
    week: Mapping[str, Sequence[str]],
    dates: Mapping[str, Sequence[str]],
    holidays: Sequence[str],
) -> Schedule:
    """Return what is stored as something that can be asked."""
    return Schedule(
        ZoneInfo(zone),
        {DAYS.index(day): _parsed(tuple(spans)) for day, spans in week.items()},
        {date.fromisoformat(day): _parsed(tuple(spans)) for day, spans in dates.items()},
        frozenset(map(date.fromisoformat, holidays)),
    )


def of(row: Hours, client: Client) -> Schedule:
    """Return the schedule of a client's hours."""
    return schedule(client.time_zone, row.week, row.dates, row.holidays)


def close_until(owner: Client | Sender, until: datetime | None) -> None:
    """Let a client, or one number, be closed until then whatever its hours say; None ends that.

    :raises Refused: when that has passed, or is more than a year away.
    """
    now = utcnow()
    if until is not None and not now < until <= now + timedelta(days=366):
        raise Refused.because("Choose a time to come, within a year.", "until")
    owner.closed_until = until and until.astimezone(UTC)


def now_words(row: Hours, client: Client, sender: Sender | None = None) -> str:
    """Say what it is just now, and when that changes: ``closed, opens Monday 08:00``."""
    now, plan = utcnow(), of(row, client)
    zone = ZoneInfo(client.time_zone)
    shut = [
        one.closed_until
        for one in (client, sender)
        if one is not None and one.closed_until is not None and one.closed_until > now
    ]
    if shut:
        until = _when(max(shut).astimezone(zone), now.astimezone(zone)).removeprefix("at ")
        return f"closed until {until}"
    state = plan.state(now)
    words = {State.OPEN: "open", State.CLOSED: "closed", State.HOLIDAY: "closed for a holiday"}
    change = plan.next_change(now, None if state is State.OPEN else State.OPEN)
    if change is None:
        return words[state]
    verb = "closes" if state is State.OPEN else "opens"
    return f"{words[state]}, {verb} {_when(change.astimezone(zone), now.astimezone(zone))}"


def _when(moment: datetime, now: datetime) -> str:
    days = (moment.date() - now.date()).days
    clock = f"{moment:%H:%M}"
    if days == 0:
        return f"at {clock}"
    return f"{moment:%A} {clock}" if days < 7 else f"on {moment:%A, %-d %B %Y}, {clock}"


@lru_cache(maxsize=1000)
def _parsed(spans: tuple[str, ...]) -> tuple[Span, ...]:
    return tuple(Span.parse(span) for span in spans)
