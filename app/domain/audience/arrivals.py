"""People who come into a population together: who of them is new, and who gets what.

From a file, the configuration file, or wherever many come at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from app.domain import attributes as attributes_of_people
from app.domain.audience import members
from app.domain.audience.members import Attributes
from app.models.audience import Member, Population

CHUNK = 1000
"""People who are compared and written together."""


@dataclass
class TakenIn:
    """What became of people who were taken in: how many are new, changed or as before."""

    added: int = 0
    changed: int = 0
    same: int = 0
    removed: int = 0


def take_in(
    session: Session,
    population: Population,
    people: Iterable[dict[str, Any]],
    *,
    replace: bool = False,
    as_text: bool = False,
) -> TakenIn:
    """Take people in; somebody who is there already gets the new attributes beside the others.

    :param people: as :func:`app.domain.audience.members.check` returns them, nobody twice.
    :param replace: also remove everybody else, and every attribute that is not named.
    :param as_text: they come from a file of text, in which a 7 is no other value than "7".
    :raises Refused: when somebody would have too many attributes.
    """
    members.lock(session, population)
    done = TakenIn()
    present, others = present_in(session, population.roll)
    stream = iter(people)
    while chunk := list(islice(stream, CHUNK)):
        new, changed = compare(session, chunk, present, done, replace=replace, as_text=as_text)
        write(session, population.roll, new, changed)
    if replace:
        gone = [*present.values(), *others]
        forget(session, gone)
        done.removed = len(gone)
    if done.added or done.changed or done.removed:
        members.moved(session, population)
    return done


def write(
    session: Session,
    roll: str,
    new: list[dict[str, Any]],
    changed: list[tuple[int, dict[str, Any]]],
) -> None:
    """Write what :func:`compare` found: people who come to a roll, and who gets what."""
    if new:
        session.execute(insert(Member), [{"roll": roll, "attributes": person} for person in new])
    if changed:
        session.execute(
            update(Member), [{"id": key, "attributes": wanted} for key, wanted in changed]
        )


def compare(
    session: Session,
    chunk: list[dict[str, Any]],
    present: dict[int, int],
    done: TakenIn,
    *,
    replace: bool,
    as_text: bool,
) -> tuple[list[dict[str, Any]], list[tuple[int, dict[str, Any]]]]:
    """Return who of some people is new, and who that is there gets which other attributes.

    :param present: as :func:`present_in` returns it; who is met is taken out of it.
    :param done: counts them.
    :raises Refused: when somebody would have too many attributes.
    """
    keys = [hash(members.key_of(person)) for person in chunk]
    known = {key: present.pop(key) for key in keys if key in present}
    before = _attributes(session, list(known.values()))
    new: list[dict[str, Any]] = []
    changed: list[tuple[int, dict[str, Any]]] = []
    for key, person in zip(keys, chunk, strict=True):
        if key not in known:
            new.append(person)
            continue
        old = before.get(known[key], {})
        written = attributes_of_people.like(old, person) if as_text else person
        if replace and as_text:
            written = {**_empty(old, written), **written}
        wanted = written if replace else members.joined(old, written)
        if wanted != old:
            changed.append((known[key], wanted))
    done.added += len(new)
    done.changed += len(changed)
    done.same += len(known) - len(changed)
    return new, changed


def _empty(old: Attributes, written: Attributes) -> dict[str, Any]:
    """Return the attributes of somebody that a file of text shows as empty cells."""
    return {name: one for name, one in old.items() if one in (None, "") and name not in written}


def _attributes(session: Session, ids: list[int]) -> dict[int, dict[str, Any]]:
    if not ids:
        return {}
    rows = session.execute(select(Member.id, Member.attributes).where(Member.id.in_(ids)))
    return {row.id: row.attributes for row in rows}


def forget(session: Session, ids: list[int]) -> None:
    """Delete members."""
    for start in range(0, len(ids), CHUNK):
        session.execute(
            delete(Member)
            .where(Member.id.in_(ids[start : start + CHUNK]))
            .execution_options(synchronize_session=False)
        )


def present_in(session: Session, roll: str) -> tuple[dict[int, int], list[int]]:
    """Return who is there: the id of the first with each key, by its hash, and all other ids."""
    query = select(Member.id, Member.attributes).where(Member.roll == roll)
    found: dict[int, int] = {}
    others: list[int] = []
    stream = session.execute(query.order_by(Member.id).execution_options(yield_per=CHUNK))
    for member_id, person in stream:
        key = members.stored_key(person)
        if key is None or found.setdefault(hash(key), member_id) != member_id:
            others.append(member_id)
    return found, others
