"""Populations: named lists of people. Who they are is in :mod:`app.domain.audience.members`."""

from __future__ import annotations

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain import changes, named
from app.domain.audience import arrivals
from app.domain.audience.members import People
from app.domain.changes import Change
from app.domain.specs import Name, Spec
from app.models.audience import Member, Population, people_of

SEEN = 20
"""How many populations are looked at for the attributes that people have."""


class PopulationSpec(Spec):
    """People, each with whatever attributes the client knows."""

    name: Name
    members: People = Field(default_factory=list)


def save(
    session: Session, client_id: str, spec: PopulationSpec, known: Population | None, by: str
) -> Change[Population]:
    """Make a population, or add people to a known one; nobody is ever removed.

    :raises Refused: when the name is taken, or somebody would have too many attributes.
    """
    named.refuse_taken(session, Population, client_id, spec.name, known)
    row = known or Population(client_id=client_id)
    details = changes.write(session, row, {"name": spec.name})
    if spec.members:
        done = arrivals.take_in(session, row, spec.members)
        told = {"added": done.added, "changed": done.changed}
        details |= {
            word: f"{changes.count(number, 'member')} {word}"
            for word, number in told.items()
            if number
        }
    change = Change(row, f"population {spec.name}", details, is_new=known is None)
    return changes.note(session, change, by)


def size(session: Session, population_id: str) -> int:
    """Return how many members a population has."""
    query = select(func.count()).where(people_of(population_id))
    return session.scalar(query) or 0


def columns(session: Session, client_id: str) -> tuple[str, ...]:
    """Return the attributes that people of a client's lists have, seen from each one's newest."""
    lists = session.scalars(
        select(Population.id).where(Population.client_id == client_id).limit(SEEN)
    ).all()
    found: dict[str, None] = {}
    for population_id in lists:
        newest = select(Member.attributes).where(people_of(population_id))
        found |= dict.fromkeys(session.scalar(newest.order_by(Member.id.desc()).limit(1)) or {})
    return tuple(found)
