"""Members by a date of theirs, such as an appointment: ISO dates, or ISO times of a day.

``2026-12-24``, ``2026-12-24T14:30`` and ``2026-12-24 14:30:00-06:00`` are all of that day, as it is
written: a time is not moved into another zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from app.models.audience import Member, people_of
from app.models.base import insert_into
from app.models.run import DatedSend


@dataclass(frozen=True, slots=True)
class Dated:
    """A date, and the attribute in which members have theirs."""

    attribute: str
    date: date

    def is_of_member(self) -> ColumnElement[bool]:
        """Return the condition on a Member that it is theirs."""
        return and_(_day(self.attribute) == self.date.isoformat(), _is_date(self.attribute))


def of_plan(plan: Mapping[str, Any]) -> Dated | None:
    """Return whom a batch is for, by its plan; None where it is for the whole population."""
    on = plan.get("dated_on")
    return None if on is None else Dated(plan["dated_by"], date.fromisoformat(on))


def how_many(
    session: Session, population_id: str, attribute: str, first: date, last: date
) -> dict[date, int]:
    """Count the members of a population by their date, from ``first`` to ``last``."""
    day = _day(attribute)
    rows = session.execute(
        select(day, func.count())
        .where(
            people_of(population_id),
            day >= first.isoformat(),
            day <= last.isoformat(),
            _is_date(attribute),
        )
        .group_by(day)
    )
    found = {}
    for text, count in rows:
        with suppress(ValueError):  # such as 2026-02-30
            found[date.fromisoformat(text)] = count
    return found


def without(session: Session, population_id: str, attribute: str) -> int:
    """Count the members of a population that have no such date."""
    everybody = select(func.count()).where(people_of(population_id))
    has_one = and_(_day(attribute).like("____-__-__"), _is_date(attribute))
    return (session.scalar(everybody) or 0) - (session.scalar(everybody.where(has_one)) or 0)


def reserve(
    session: Session, client_id: str, communication_id: str, on: date, phones: Sequence[str]
) -> set[str]:
    """Note that these phones get a communication about a date; return those that had not yet.

    In the transaction that writes their messages: of two at once, one has them.
    """
    if not phones:
        return set()
    rows = [
        {"client_id": client_id, "communication_id": communication_id, "phone": phone, "date": on}
        for phone in sorted(set(phones))
    ]
    made = insert_into(session, DatedSend).values(rows)
    return set(session.scalars(made.on_conflict_do_nothing().returning(DatedSend.phone)))


def _written(attribute: str) -> ColumnElement[str]:
    return func.trim(Member.attributes[attribute].as_string())


def _day(attribute: str) -> ColumnElement[str]:
    return func.substr(_written(attribute), 1, 10)


def _is_date(attribute: str) -> ColumnElement[bool]:
    """Match what ends behind the date, or goes on as an ISO time does."""
    written = _written(attribute)
    return or_(func.length(written) == 10, func.substr(written, 11, 1).in_(("T", " ")))
