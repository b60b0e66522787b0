"""Populations: people kept in a named list, one by one or from a CSV file.

A person is the same as another of the list when they have the same phone, or, where there is none,
the same e-mail address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain import attributes as attributes_of_people
from app.domain import named
from app.domain.attributes import ADDRESS, MAX_NAME, NAME, PHONE
from app.domain.mistakes import Mistake, Refused
from app.domain.phones import InvalidPhone, normalize
from app.models.audience import Member, Population, phone_key

MAX_ROWS = 20
"""How many rows with one phone are looked at; more are not one person's."""
_EMAIL = re.compile(r"[^@\s<>,;\"()\[\]\x00-\x1f]+@[^@\s<>,;\"()\[\]\x00-\x1f]+")

__all__ = [
    "ADDRESS",
    "NAME",
    "PHONE",
    "check",
    "create",
    "find_same",
    "key_of",
    "save_member",
    "size",
]


def create(session: Session, client_id: str, name: str) -> Population:
    """Make an empty population.

    :raises Refused: when the name is empty, too long or taken.
    """
    name = named.new_name(session, Population, client_id, name)
    population = Population(client_id=client_id, name=name)
    session.add(population)
    session.flush()
    return population


def size(session: Session, population_id: str) -> int:
    """Return how many members a population has."""
    query = select(func.count()).where(Member.population_id == population_id)
    return session.scalar(query) or 0


def save_member(
    session: Session, population_id: str, attributes: Mapping[str, Any], member: Member | None
) -> Member:
    """Add a person, or give ``member`` new attributes.

    :raises Refused: when they cannot be reached, or are in the population already.
    """
    clean = check(attributes)
    same = find_same(session, population_id, clean)
    if same is not None and (member is None or same.id != member.id):
        raise Refused.because("This person is in the population already.", key_of(clean)[0])
    if member is None:
        member = Member(population_id=population_id, attributes=clean)
        session.add(member)
    else:
        member.attributes = attributes_of_people.like(member.attributes, clean)
    session.flush()
    return member


def find_same(session: Session, population_id: str, attributes: Mapping[str, Any]) -> Member | None:
    """Return the member with the same phone or, without one, the same address; None if none is."""
    name, value = key_of(attributes)
    column = Member.attributes[name].as_string()
    return session.scalar(
        select(Member)
        .where(
            Member.population_id == population_id,
            column == value if name == PHONE else func.lower(column) == value,
        )
        .order_by(Member.id)
        .limit(1)
    )


def only_person(session: Session, client_id: str, phone: str) -> dict[str, Any] | None:
    """Return the attributes of the only person in a client's lists who has ``phone`` (E.164).

    None when it stands in nobody's row, or in those of several: a family may share one.
    """
    found: dict[str, Any] | None = None
    rows = session.scalars(
        select(Member.attributes)
        .join(Population, Population.id == Member.population_id)
        .where(Population.client_id == client_id, Member.phone_key == phone_key(phone))
        .limit(MAX_ROWS)
    )
    for attributes in rows:
        if not _has(attributes, phone) or attributes == found:
            continue
        if found is not None:
            return None
        found = attributes
    return found


def _has(attributes: Mapping[str, Any], phone: str) -> bool:
    try:
        return normalize(str(attributes.get(PHONE) or "")) == phone
    except InvalidPhone:
        return False


def check(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a person's attributes, tidied: the phone as E.164, empty ones left out.

    :raises Refused: with every mistake, each at the attribute it is about.
    """
    clean = {
        name.strip(): attributes_of_people.read(value) if isinstance(value, str) else value
        for name, value in attributes.items()
        if value not in ("", None)
    }
    wrong = list(_mistakes(clean))
    if phone := clean.get(PHONE):
        try:
            clean[PHONE] = normalize(str(phone))
        except InvalidPhone as error:
            wrong.append(Mistake((PHONE,), error.reason))
    if wrong:
        raise Refused(wrong)
    return clean


def _mistakes(attributes: Mapping[str, Any]) -> Iterable[Mistake]:
    if not attributes.get(PHONE) and not attributes.get(ADDRESS):
        yield Mistake((PHONE,), "There is neither a phone nor an e-mail address.")
    address = attributes.get(ADDRESS)
    if address and (not _EMAIL.fullmatch(str(address)) or len(str(address)) > 254):
        yield Mistake((ADDRESS,), f"“{str(address)[:100]}” is not an e-mail address.")
    yield from attributes_of_people.mistakes(attributes)
    for name in attributes:
        if name and len(name) <= MAX_NAME and (not name.isidentifier() or name.startswith("_")):
            yield Mistake(
                (name,),
                f"“{name[:100]}” cannot be the name of an attribute: use letters, digits and _,"
                " beginning with a letter.",
            )


def key_of(attributes: Mapping[str, Any]) -> tuple[str, str]:
    """Return what makes somebody the same person: the attribute's name and its value."""
    if attributes.get(PHONE):
        return PHONE, str(attributes[PHONE])
    return ADDRESS, str(attributes[ADDRESS]).strip().lower()
