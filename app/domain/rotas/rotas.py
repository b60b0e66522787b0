"""Rotas as clients keep them: written down, saved, read, and who is on duty by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from sqlalchemy.orm import Session

from app.domain import changes, named, reach
from app.domain.changes import Change
from app.domain.hours.hours import DAYS, OneStepName
from app.domain.mistakes import Reasons
from app.domain.rotas import duty
from app.domain.rotas.duty import Turn
from app.domain.specs import Empty, Phone, Spec
from app.models.base import utcnow
from app.models.client import Client
from app.models.rota import Rota
from app.models.route import Destination

MOST_PEOPLE, MOST_WEEKS = 50, 12


def _plain(name: str) -> str:
    if "," in name or ";" in name:
        raise ValueError("must be without a comma: names are listed with commas.")
    return name


def _turn(text: str) -> str:
    return str(Turn.parse(text))


def _turns(texts: list[str]) -> list[str]:
    turns = sorted(map(Turn.parse, texts))
    if two := duty.overlapping(turns):
        raise ValueError(f"{two[0]} and {two[1]} overlap.")
    return [str(turn) for turn in turns]


PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=60),
    AfterValidator(_plain),
]
Turns = Annotated[
    list[Annotated[str, StringConstraints(max_length=100), AfterValidator(_turn)]],
    Field(max_length=50),
    AfterValidator(_turns),
]


class OnCallSpec(Spec):
    """Somebody who may be on duty."""

    name: PersonName
    phone: Phone


class WeekSpec(Spec):
    """Who is on duty on each weekday of one week: ``08:00-17:00 Pat``."""

    mon: Annotated[Turns, Empty] = Field(default_factory=list)
    tue: Annotated[Turns, Empty] = Field(default_factory=list)
    wed: Annotated[Turns, Empty] = Field(default_factory=list)
    thu: Annotated[Turns, Empty] = Field(default_factory=list)
    fri: Annotated[Turns, Empty] = Field(default_factory=list)
    sat: Annotated[Turns, Empty] = Field(default_factory=list)
    sun: Annotated[Turns, Empty] = Field(default_factory=list)

    def turns(self) -> dict[str, list[str]]:
        """Return the turns of the days that have any."""
        return {day: turns for day in DAYS if (turns := getattr(self, day))}


class RosterSpec(Spec):
    """People, and the weeks in which they take turns."""

    people: Annotated[list[OnCallSpec], Field(min_length=1, max_length=MOST_PEOPLE)]
    weeks: Annotated[list[WeekSpec], Field(min_length=1, max_length=MOST_WEEKS)]
    begins: date | None = None
    """A day of a week that is the first of several."""

    @model_validator(mode="after")
    def _known_people(self) -> Self:
        names = [one.name for one in self.people]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{' and '.join(twice)} is there twice.")
        for at, week in enumerate(self.weeks, 1):
            for day, turns in week.turns().items():
                for turn in map(Turn.parse, turns):
                    if turn.name not in names:
                        where = f"week {at}, {day}" if len(self.weeks) > 1 else day
                        raise ValueError(f"“{turn.name}” ({where}) is none of the people.")
        return self


class RotaSpec(RosterSpec):
    """A roster with its name."""

    name: OneStepName


def save(
    session: Session, client_id: str, spec: RotaSpec, known: Rota | None, by: str
) -> Change[Rota]:
    """Make a rota, or let a known one be as the specification says.

    :raises Refused: when the name is taken, or somebody may not be called.
    """
    named.refuse_taken(session, Rota, client_id, spec.name, known)
    _refuse_unreachable(session, client_id, spec)
    row = known or Rota(client_id=client_id)
    values: dict[str, Any] = {
        "name": spec.name,
        "people": [one.model_dump() for one in spec.people],
        "weeks": [week.turns() for week in spec.weeks],
        "begins": spec.begins,
    }
    told = changes.write(session, row, values)
    words = {"weeks": "other turns", "people": "other people", "begins": "another first week"}
    details = {name: words.get(name, said) for name, said in told.items()}
    change = Change(row, f"rota {spec.name}", details, is_new=known is None)
    return changes.note(session, change, by)


def describe(row: Rota) -> dict[str, Any]:
    """Return a rota as people write it."""
    begins = {"begins": row.begins} if row.begins else {}
    return {"name": row.name, "people": row.people, "weeks": row.weeks, **begins}


def roster(
    zone: str,
    people: Sequence[Mapping[str, str]],
    weeks: Sequence[Mapping[str, Sequence[str]]],
    begins: date | None,
) -> duty.Rota:
    """Return what is stored as something that can be asked."""
    return duty.Rota(
        ZoneInfo(zone),
        [one["name"] for one in people],
        [{DAYS.index(day): _parsed(tuple(turns)) for day, turns in week.items()} for week in weeks],
        begins or duty.FIRST_MONDAY,
    )


def of(row: Rota, client: Client) -> duty.Rota:
    """Return the roster of a client's rota."""
    return roster(client.time_zone, row.people, row.weeks, row.begins)


def phones_on_duty(
    people: Sequence[Mapping[str, str]], asked: duty.Rota, moment: datetime
) -> list[dict[str, str]]:
    """Return name and phone of each who is on duty."""
    phones = {one["name"]: one["phone"] for one in people}
    return [{"name": name, "to": phones[name]} for name in asked.on_duty(moment)]


def now_words(row: Rota, client: Client) -> str:
    """Say who is on duty just now, and until when: ``Pat and Kim, until Monday 08:00``."""
    now, asked = utcnow(), of(row, client)
    who = " and ".join(asked.on_duty(now)) or "nobody"
    change = asked.next_change(now)
    if change is None:
        return who
    zone = ZoneInfo(client.time_zone)
    return f"{who}, until {_when(change.astimezone(zone), now.astimezone(zone))}"


def _when(moment: datetime, now: datetime) -> str:
    days = (moment.date() - now.date()).days
    clock = f"{moment:%H:%M}"
    if days == 0:
        return clock
    return f"{moment:%A} {clock}" if days < 7 else f"{moment:%A, %-d %B %Y}, {clock}"


def _refuse_unreachable(session: Session, client_id: str, spec: RotaSpec) -> None:
    reasons = Reasons()
    standing = reach.standing(session.get_one(Client, client_id))
    ours = reach.own_numbers(session, {one.phone for one in spec.people})
    for at, one in enumerate(spec.people):
        if refusal := reach.why_not(standing, one.phone, Destination.VOICE, ours):
            reasons.add(refusal.sentence, "people", at, "phone")
    reasons.refuse_if_any()


@lru_cache(maxsize=1000)
def _parsed(turns: tuple[str, ...]) -> tuple[Turn, ...]:
    return tuple(map(Turn.parse, turns))
