"""Populations: people kept in a named list, one by one or from a CSV file.

A person is the same as another of the list when they have the same phone, or, where there is none,
the same e-mail address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from app.domain import named
from app.domain.csv_files import RowMistake, Table
from app.domain.mistakes import Mistake, Refused
from app.domain.phones import InvalidPhone, normalize
from app.models.audience import Member, Population

MAX_VALUE = 10_000
MAX_ATTRIBUTES = 200
NAME, PHONE, ADDRESS = "toName", "toPhone", "toAddress"
"""The attributes that Dispatch itself knows."""

_EMAIL = re.compile(r"[^@\s<>,;\"()\[\]\x00-\x1f]+@[^@\s<>,;\"()\[\]\x00-\x1f]+")
_KNOWN_COLUMNS = {
    NAME: {"toname", "name", "fullname"},
    PHONE: {"tophone", "phone", "phonenumber", "mobile", "mobilephone", "cell", "cellphone"},
    ADDRESS: {"toaddress", "email", "emailaddress", "mail"},
}
_CHUNK = 1000


@dataclass
class Imported:
    """What became of the people of a file: how many are new, changed or the same as before."""

    added: int = 0
    changed: int = 0
    same: int = 0
    removed: int = 0


def create(session: Session, client_id: str, name: str) -> Population:
    """Make an empty population.

    :raises Refused: when the name is empty, too long or taken.
    """
    name = name.strip()
    if not name or len(name) > 100:
        raise Refused.because("Give the population a name of at most 100 characters.", "name")
    if named.find(session, Population, client_id, name) is not None:
        raise Refused.because(f"There is a population “{name}” already.", "name")
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
        raise Refused.because("This person is in the population already.", _key(clean)[0])
    if member is None:
        member = Member(population_id=population_id, attributes=clean)
        session.add(member)
    else:
        member.attributes = clean
    session.flush()
    return member


def find_same(session: Session, population_id: str, attributes: Mapping[str, Any]) -> Member | None:
    """Return the member with the same phone or, without one, the same address; None if none is."""
    name, value = _key(attributes)
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


def check(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a person's attributes, tidied: the phone as E.164, empty ones left out.

    :raises Refused: with every mistake, each at the attribute it is about.
    """
    clean = {name.strip(): value for name, value in attributes.items() if value not in ("", None)}
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
    if len(attributes) > MAX_ATTRIBUTES:
        yield Mistake((), f"A person can have {MAX_ATTRIBUTES} attributes at most.")
    for name, value in attributes.items():
        if not name.isidentifier() or name.startswith("_") or len(name) > 100:
            yield Mistake(
                (name,),
                f"“{name[:100]}” cannot be the name of an attribute: use letters, digits and _,"
                " beginning with a letter.",
            )
        if len(str(value)) > MAX_VALUE:
            yield Mistake((name,), f"“{name}” is longer than {MAX_VALUE:,} characters.")
        if "\x00" in str(value):
            yield Mistake((name,), f"“{name}” holds a character that cannot be kept.")


def _key(attributes: Mapping[str, Any]) -> tuple[str, str]:
    if attributes.get(PHONE):
        return PHONE, str(attributes[PHONE])
    return ADDRESS, str(attributes[ADDRESS]).strip().lower()


def attribute_names(columns: Iterable[str]) -> dict[str, str]:
    """Return the attribute that each column of a file becomes.

    ``Phone``, ``E-mail`` and ``Name`` become the attributes that Dispatch knows; of other names
    what a template could not use is replaced: ``First name`` becomes ``First_name``.
    """
    columns = list(columns)
    names = {column: _attribute(column) for column in columns}
    for known, spellings in _KNOWN_COLUMNS.items():
        fitting = [column for column in columns if _letters(column) in spellings]
        exact = [column for column in fitting if _letters(column) == known.lower()]
        if len(fitting) == 1 or exact:
            names[(exact or fitting)[0]] = known
    return names


def _letters(column: str) -> str:
    return re.sub(r"[\W_]", "", column).lower()


def _attribute(column: str) -> str:
    name = re.sub(r"\W+", "_", column).strip("_")
    return f"column_{name}" if name[:1].isdigit() else name


def read_people(table: Table) -> tuple[list[dict[str, Any]], list[RowMistake]]:
    """Return the people of a file and what is wrong with its rows; those are left out.

    :raises Refused: when no column holds phones or e-mail addresses, or two mean the same.
    """
    names = attribute_names(table.columns)
    if not {PHONE, ADDRESS} & set(names.values()):
        raise Refused.because(
            "No column is called toPhone or toAddress. Name the column with the phones toPhone, or"
            " the one with the e-mail addresses toAddress, in the first line.",
            "file",
        )
    for column, name in names.items():
        others = [other for other, same in names.items() if same == name and other != column]
        if others or not name:
            twin = f"“{others[0]}” and it mean the same" if others else "it has no letters"
            raise Refused.because(f"The column “{column}” cannot be used: {twin}.", "file")
    people: dict[tuple[str, str], dict[str, Any]] = {}
    seen: dict[tuple[str, str], int] = {}
    mistakes: list[RowMistake] = []
    for row in table.rows:
        try:
            person = check({names[column]: value for column, value in row.values.items()})
        except Refused as refused:
            mistakes += [RowMistake(row.line, wrong.message) for wrong in refused.mistakes]
            continue
        key = _key(person)
        if key in seen:
            told = f"{key[1]} is listed twice; the first time on line {seen[key]}."
            mistakes.append(RowMistake(row.line, told))
            continue
        seen[key] = row.line
        people[key] = person
    return list(people.values()), mistakes


def merge(
    session: Session, population_id: str, people: Sequence[dict[str, Any]], *, replace: bool
) -> Imported:
    """Take people in; somebody who is there already gets the new attributes.

    :param people: as :func:`read_people` returns them.
    :param replace: also remove everybody else, and every attribute that is not named.
    """
    done = Imported()
    present = _present(session, population_id)
    new: list[dict[str, Any]] = []
    for person in people:
        found = present.pop(_key(person), None)
        if found is None:
            new.append({"population_id": population_id, "attributes": person})
        elif (wanted := person if replace else {**found[1], **person}) == found[1]:
            done.same += 1
        else:
            session.execute(update(Member).where(Member.id == found[0]).values(attributes=wanted))
            done.changed += 1
    for start in range(0, len(new), _CHUNK):
        session.execute(insert(Member), new[start : start + _CHUNK])
    done.added = len(new)
    if replace:
        gone = [member_id for member_id, _ in present.values()]
        for start in range(0, len(gone), _CHUNK):
            session.execute(delete(Member).where(Member.id.in_(gone[start : start + _CHUNK])))
        done.removed = len(gone)
    return done


def _present(
    session: Session, population_id: str
) -> dict[tuple[str, str], tuple[int, dict[str, Any]]]:
    query = select(Member.id, Member.attributes).where(Member.population_id == population_id)
    found: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
    for member_id, attributes in session.execute(query.order_by(Member.id)):
        if attributes.get(PHONE) or attributes.get(ADDRESS):
            found.setdefault(_stored_key(attributes), (member_id, attributes))
        else:
            found[("", str(member_id))] = (member_id, attributes)
    return found


def _stored_key(attributes: Mapping[str, Any]) -> tuple[str, str]:
    """Return the key of somebody who came in by another way, whose phone may be written freely."""
    name, value = _key(attributes)
    if name == PHONE:
        try:
            return name, normalize(value)
        except InvalidPhone:
            return name, value
    return name, value
