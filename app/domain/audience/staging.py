"""People of a file on their way into a population: written aside in pieces, then there at once.

Nobody waits long for the database meanwhile, and nobody sees half of a file: whoever was there
stays until all others have come. Few changes are made in one short transaction; many are written
to a roll of their own (:mod:`app.domain.audience.rolls`), together with who stays, and that roll
takes the place of the one before. If somebody else changes the population in between, it is done
anew, and at last with the population reserved.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import insert, literal, select, update
from sqlalchemy.orm import Session

from app.domain import chores
from app.domain.attributes import PHONE
from app.domain.audience import arrivals, members, rolls, taking
from app.domain.audience.arrivals import CHUNK, TakenIn
from app.domain.mistakes import Refused
from app.extensions import db, unit_of_work
from app.models.audience import Member, Population, phone_key
from app.models.base import new_id, utcnow
from app.models.chore import Chore, ChoreKind

_TRIES = 3
"""How often it is tried while others may change the population; after that they may not."""
PAUSE = 0.005
"""Seconds between two transactions, so that others have their turn."""
Finish = Callable[[Session, Population, TakenIn], None]


@dataclass
class _Changes:
    """What a file changes, where that is little."""

    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.new) + len(self.changed) + len(self.gone)


@dataclass(frozen=True)
class _File:
    population_id: str
    people: Iterable[dict[str, Any]]
    finish: Finish
    replace: bool


def take_in(
    population_id: str, people: Iterable[dict[str, Any]], finish: Finish, *, replace: bool
) -> TakenIn:
    """Take the people of a file in; it owns its transactions.

    :param people: as :func:`app.domain.audience.population_files.read_people` returns them; they
        are gone through twice for each try.
    :param finish: what else is written in the transaction in which they are there.
    :param replace: also remove everybody else, and every attribute that is not named.
    :raises Refused: when the population is gone, others' changes never end, or somebody would
        have too many attributes.
    """
    file = _File(population_id, people, finish, replace)
    for tried in range(_TRIES + 1):
        taking.ahead(population_id)
        if (done := _alone(file) if tried == _TRIES else _try(file)) is not None:
            return done
    raise Refused.because(
        "Others kept changing this population while the file was put in place. Nothing of it was"
        " taken in. Try again in a quieter moment."
    )


def _alone(file: _File) -> TakenIn | None:
    """Take the people in while nobody else may change the population."""
    with unit_of_work() as session:
        members.reserve(session, _locked(session, file))
    try:
        return _try(file, alone=True)
    finally:
        with unit_of_work() as session:
            session.execute(
                update(Population)
                .where(Population.id == file.population_id)
                .values(reserved_until=None)
                .execution_options(synchronize_session=False)
            )


def _try(file: _File, *, alone: bool = False) -> TakenIn | None:
    """Take the people in; return None where somebody else changed the population meanwhile.

    :param alone: it is reserved for this file.
    """
    reading: Session = db.session()
    rested = reading.execute(
        select(Population.revision, Population.roll).where(Population.id == file.population_id)
    ).one_or_none()
    if rested is None:
        raise _deleted()
    revision, before = rested
    done = TakenIn()
    changes = _few(reading, file, before, done)
    if changes is not None:
        with unit_of_work() as session:
            population = _locked(session, file, alone=alone)
            if population.revision != revision:
                return None
            _make(session, population, changes)
            return _finished(session, population, file, done)
    run = new_id()
    try:
        done = _write_down(run, before, file)
        with unit_of_work() as session:
            population = _locked(session, file, alone=alone)
            if population.revision != revision or not rolls.exchange(session, population, run):
                return None
            return _finished(session, population, file, done)
    finally:
        _give_up(run)


def _finished(session: Session, population: Population, file: _File, done: TakenIn) -> TakenIn:
    if done.added or done.changed or done.removed:
        members.moved(session, population)
    file.finish(session, population, done)
    return done


def _deleted() -> Refused:
    return Refused.because("This population has been deleted meanwhile.")


def _locked(session: Session, file: _File, *, alone: bool = False) -> Population:
    population = session.get(Population, file.population_id)
    if population is None:
        raise _deleted()
    members.lock(session, population, reserved=alone)
    return population


def _few(session: Session, file: _File, roll: str, done: TakenIn) -> _Changes | None:
    """Return what the file changes, and count it; None where that is more than a few rows."""
    present, others = arrivals.present_in(session, roll)
    session.rollback()
    found = _Changes()
    stream = iter(file.people)
    while chunk := list(islice(stream, CHUNK)):
        new, changed = arrivals.compare(
            session, chunk, present, done, replace=file.replace, as_text=True
        )
        session.rollback()
        found.new += new
        found.changed += changed
        if len(found) > CHUNK:
            return None
    if file.replace:
        found.gone = [*present.values(), *others]
        done.removed = len(found.gone)
    return found if len(found) <= CHUNK else None


def _make(session: Session, population: Population, changes: _Changes) -> None:
    arrivals.write(session, population.roll, changes.new, changes.changed)
    arrivals.forget(session, changes.gone)


def _write_down(run: str, before: str, file: _File) -> TakenIn:
    """Write a roll: who is there and stays, with what the file changes, then who comes."""
    with unit_of_work() as session:
        rolls.open_one(session, run)
    after: int | None = 0
    while after is not None:
        with unit_of_work() as session:
            after = _copy_some(session, before, run, after)
        time.sleep(PAUSE)
    done = TakenIn()
    reading: Session = db.session()
    present, others = arrivals.present_in(reading, run)
    reading.rollback()
    stream = iter(file.people)
    while chunk := list(islice(stream, CHUNK)):
        new, changed = arrivals.compare(
            reading, chunk, present, done, replace=file.replace, as_text=True
        )
        reading.rollback()
        if new or changed:
            with unit_of_work() as session:
                _add(session, run, new)
                arrivals.write(session, run, [], changed)
            time.sleep(PAUSE)
    if file.replace:
        gone = [*present.values(), *others]
        done.removed = len(gone)
        for start in range(0, len(gone), CHUNK):
            with unit_of_work() as session:
                arrivals.forget(session, gone[start : start + CHUNK])
            time.sleep(PAUSE)
    return done


def _copy_some(session: Session, before: str, run: str, after: int) -> int | None:
    """Copy the next members of a roll to another; return the last one, None at the end."""
    here = (Member.roll == before, Member.id > after)
    ids = session.scalars(select(Member.id).where(*here).order_by(Member.id).limit(CHUNK)).all()
    if ids:
        copied = select(literal(run), Member.attributes, Member.phone_key)
        session.execute(
            insert(Member).from_select(
                ["roll", "attributes", "phone_key"],
                copied.where(*here, Member.id <= ids[-1]).order_by(Member.id),
                include_defaults=False,
            )
        )
    return ids[-1] if len(ids) == CHUNK else None


def _add(session: Session, run: str, new: list[dict[str, Any]]) -> None:
    """Write new people; by COPY on PostgreSQL, which takes it a third of the time of INSERT."""
    if session.get_bind().dialect.name != "postgresql":
        arrivals.write(session, run, new, [])
        return
    connection: Any = session.connection().connection.driver_connection
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY member (roll, attributes, phone_key) FROM STDIN") as copy,
    ):
        for person in new:
            copy.write_row((run, json.dumps(person), phone_key(person.get(PHONE))))


def _give_up(run: str) -> None:
    """Have what was written aside deleted, unless it is the population's roll by now."""
    reading: Session = db.session()
    reading.rollback()
    if chores.is_under_way(reading, ChoreKind.MEMBERS, run):
        with unit_of_work() as session:
            session.execute(
                update(Chore)
                .where(Chore.kind == ChoreKind.MEMBERS, Chore.subject == run)
                .values(due_at=utcnow())
                .execution_options(synchronize_session=False)
            )
