"""The people of populations: who is the same person as whom, and how each is kept.

A person is the same as another of the list when they have the same phone, or, where there is none,
the same e-mail address, however these are written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from app.domain import attributes as attributes_of_people
from app.domain import audit, mail_addresses
from app.domain.attributes import ADDRESS, KNOWN, NAME, PHONE
from app.domain.audience import taking
from app.domain.changes import Change
from app.domain.mistakes import INVALID_PHONE, Mistake, Refused
from app.domain.one_line import one_line
from app.domain.phone_spellings import texted
from app.domain.phones import InvalidPhone, normalize
from app.domain.specs import is_email, told_in_place
from app.models.audience import Member, Population, phone_key
from app.models.base import utcnow

MAX_ROWS = 20
"""How many rows with one phone are looked at; more are not one person's."""
RESERVED = timedelta(minutes=5)
"""How long a population is kept for one file, at most."""
BUSY_CODE = "busy"
BUSY = (
    "A large file is being put into this population just now, so nobody else can change it. Try"
    " again in a minute."
)
_E164 = re.compile(r"\+[1-9]\d{7,14}")
Attributes = Mapping[str, Any]


def check(attributes: Attributes) -> dict[str, Any]:
    """Return a person's attributes as they are kept: the phone as E.164, the name on one line.

    :raises Refused: with every mistake, each at the attribute it is about.
    """
    wrong = list(attributes_of_people.mistakes(attributes))
    clean = dict(attributes)
    for name in KNOWN:
        if isinstance(clean.get(name), str):
            clean[name] = one_line(clean[name]) if name == NAME else clean[name].strip()
    phone, address = clean.get(PHONE), clean.get(ADDRESS)
    if not phone and not address:
        said = "There is neither a phone nor an e-mail address."
        wrong.append(Mistake((PHONE,), said, "missing"))
    if isinstance(phone, str) and phone:
        try:
            clean[PHONE] = normalize(phone)
        except InvalidPhone as error:
            wrong.append(Mistake((PHONE,), error.reason, INVALID_PHONE))
    if isinstance(address, str) and address:
        address = clean[ADDRESS] = mail_addresses.alone(address)
    if isinstance(address, str) and address and not is_email(address):
        wrong.append(Mistake((ADDRESS,), f"“{address[:100]}” is not an e-mail address."))
    if wrong:
        raise Refused(wrong)
    return clean


def check_all(people: list[object] | None) -> list[dict[str, Any]]:
    """Read people as :func:`check` does, nobody twice.

    :raises Refused: with every mistake, each at its place.
    """
    read, first, wrong = list[dict[str, Any]](), dict[tuple[str, str], int](), list[Mistake]()
    for place, one in enumerate(people or []):
        if not isinstance(one, dict):
            said = f"Item {place + 1} must hold names with values."
            wrong.append(Mistake((place,), said, "dict_type"))
            continue
        try:
            read.append(check(one))
        except Refused as refused:
            wrong += [mistake.under(place) for mistake in refused.mistakes]
            continue
        key = key_of(read[-1])
        if first.setdefault(key, place) != place:
            said = f"{key[1]} is listed twice; the first is item {first[key] + 1}."
            wrong.append(Mistake((place, key[0]), said, "twice"))
    if wrong:
        raise Refused(wrong)
    return read


Person = Annotated[dict[str, Any], told_in_place(check, dict)]
"""Somebody who can be reached."""
People = Annotated[list[dict[str, Any]], told_in_place(check_all, list, type(None))]
"""People who can be reached, each once."""


def key_of(attributes: Attributes) -> tuple[str, str]:
    """Return what makes somebody the same person: the attribute's name and its value."""
    if attributes.get(PHONE):
        return PHONE, texted(str(attributes[PHONE]))
    return ADDRESS, str(attributes[ADDRESS]).strip().lower()


def called(attributes: Attributes) -> str:
    """Return what to call somebody: their name, or else their phone or address."""
    return str(next(filter(None, map(attributes.get, KNOWN)), "somebody"))[:100]


def save(
    session: Session,
    population: Population,
    attributes: Attributes,
    member: Member | None,
    by: str,
) -> Member:
    """Add a person, or give ``member`` other attributes in place of theirs.

    :raises Refused: when they cannot be reached, or are in the population already.
    """
    lock(session, population)
    clean = check(attributes)
    same = _find_same(session, population, clean)
    if same is not None and (member is None or same.id != member.id):
        raise Refused.because("This person is in the population already.", key_of(clean)[0])
    return _keep(session, population, clean, member, by).row


def subscribe(
    session: Session, population: Population, attributes: Attributes, by: str
) -> Change[Member]:
    """Add a person; whoever is there already gets the new attributes beside the others.

    :raises Refused: when they cannot be reached, or would have too many attributes.
    """
    lock(session, population)
    clean = check(attributes)
    member = _find_same(session, population, clean)
    whole = joined(member.attributes, clean) if member else clean
    return _keep(session, population, whole, member, by)


def remove(session: Session, population: Population, member: Member, by: str) -> None:
    """Take somebody out of a population."""
    lock(session, population)
    session.delete(member)
    moved(session, population)
    who = f"{called(member.attributes)} from population {population.name}"
    audit.record(session, by, "remove", who, population.client_id)


def lock(session: Session, population: Population, *, reserved: bool = False) -> None:
    """Let one at a time change the members, so that nobody comes in twice.

    Batches that have begun take over those that are here still, and get none of the change.

    :param reserved: by whom has reserved the population.
    :raises Refused: when somebody else has, for a file that is just being put in place.
    """
    session.refresh(population, with_for_update=True)
    if not reserved:
        refuse_reserved(population)
    taking.finish(session, population.roll)


def refuse_reserved(population: Population) -> None:
    """Let nobody change the members of a population that is reserved for a file.

    :raises Refused: when it is.
    """
    until, now = population.reserved_until, utcnow()
    if until is not None and now < until <= now + RESERVED:
        raise Refused.because(BUSY, code=BUSY_CODE)


def reserve(session: Session, population: Population) -> None:
    """Let nobody else change the members for a while; the caller has locked the population."""
    population.reserved_until = utcnow() + RESERVED
    session.flush()


def moved(session: Session, population: Population) -> None:
    """Say that the members of a population are others than before."""
    session.execute(
        update(Population)
        .where(Population.id == population.id)
        .values(revision=Population.revision + 1)
        .execution_options(synchronize_session=False)
    )


def _keep(
    session: Session, population: Population, attributes: Attributes, known: Member | None, by: str
) -> Change[Member]:
    row = known or Member(roll=population.roll)
    if known is None or known.attributes != attributes:
        row.attributes = dict(attributes)
        session.add(row)
        session.flush()
        moved(session, population)
        who, action = f"{called(attributes)} in population {population.name}", "change"
        audit.record(session, by, action if known else "add", who, population.client_id)
    return Change(row, called(attributes), is_new=known is None)


def joined(before: Attributes, more: Attributes) -> dict[str, Any]:
    """Return what is kept of somebody who had attributes before.

    :raises Refused: when they are too many together.
    """
    return attributes_of_people.check({**before, **more})


def _find_same(session: Session, population: Population, attributes: Attributes) -> Member | None:
    """Return the first member who is the same person; None if nobody is."""
    key = key_of(attributes)
    wanted: ColumnElement[bool] = Member.phone_key == phone_key(key[1])
    if key[0] == ADDRESS:
        wanted = func.lower(Member.attributes[ADDRESS].as_string()) == key[1]
    found = session.scalars(
        select(Member).where(Member.roll == population.roll, wanted).order_by(Member.id)
    )
    return next((one for one in found if stored_key(one.attributes) == key), None)


def only_person(session: Session, client_id: str, phone: str) -> dict[str, Any] | None:
    """Return the attributes of the only person in a client's lists who has ``phone`` (E.164).

    None when it stands in nobody's row, or in those of several: a family may share one.
    """
    found: dict[str, Any] | None = None
    rows = session.scalars(
        select(Member.attributes)
        .join(Population, Population.roll == Member.roll)
        .where(Population.client_id == client_id, Member.phone_key == phone_key(phone))
        .limit(MAX_ROWS)
    )
    for attributes in rows:
        if stored_key(attributes) != (PHONE, texted(phone)) or attributes == found:
            continue
        if found is not None:
            return None
        found = attributes
    return found


def stored_key(attributes: Attributes) -> tuple[str, str] | None:
    """Return the key of somebody who is there, whose phone may be written freely; None of none."""
    if not attributes.get(PHONE) and not attributes.get(ADDRESS):
        return None
    name, value = key_of(attributes)
    if name == ADDRESS or _E164.fullmatch(value):
        return name, value
    try:
        return name, texted(normalize(value))
    except InvalidPhone:
        return name, value
