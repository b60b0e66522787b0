"""People of a file on their way into a population: written aside in pieces, then there at once.

Nobody waits long for the database meanwhile, and nobody sees half of a file: whoever was there
stays until all others have come. If somebody else changes the population in between, what was
written aside is put together anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from app.domain.attributes import PHONE
from app.domain.audience import arrivals, members
from app.domain.audience.arrivals import CHUNK, TakenIn
from app.domain.mistakes import Refused
from app.extensions import db, unit_of_work
from app.models.audience import Member, Population, phone_key
from app.models.base import new_id
from app.models.upload import StagedMember

_TRIES = 2
_FORGOTTEN = 5000
"""Rows that are deleted in one transaction."""
_COLUMNS = ("run", "position", "member_id", "attributes", "phone_key")
Staged = tuple[int | None, dict[str, Any] | None]
"""A member's id, or None for a new one; and the attributes they get, or None where they go."""
Finish = Callable[[Session, Population, TakenIn], None]


def take_in(
    population_id: str, people: Iterable[dict[str, Any]], finish: Finish, *, replace: bool
) -> TakenIn:
    """Take the people of a file in; it owns its transactions.

    :param people: as :func:`app.domain.audience.population_files.read_people` returns them; they
        are gone through once for each try.
    :param finish: what else is written in the transaction in which they are there.
    :param replace: also remove everybody else, and every attribute that is not named.
    :raises Refused: when the population is gone, or somebody would have too many attributes.
    """
    for _ in range(_TRIES):
        run = new_id()
        try:
            done, revision = _stage(run, population_id, people, replace=replace)
            with unit_of_work() as session:
                population = _locked(session, population_id)
                if population.revision == revision:
                    _put(session, population, run)
                    finish(session, population, done)
                    return done
        finally:
            _forget(run)
    with unit_of_work() as session:  # others do not leave it alone: they wait for this one
        population = _locked(session, population_id)
        done = arrivals.take_in(session, population, people, replace=replace, as_text=True)
        finish(session, population, done)
        return done


def _locked(session: Session, population_id: str) -> Population:
    population = session.get(Population, population_id)
    if population is None:
        raise Refused.because("This population has been deleted meanwhile.")
    members.lock(session, population)
    return population


def _stage(
    run: str, population_id: str, people: Iterable[dict[str, Any]], *, replace: bool
) -> tuple[TakenIn, int]:
    """Write aside what is to become of whom; return what was counted, and on what it rests."""
    done = TakenIn()
    session = db.session()
    revision = session.scalar(select(Population.revision).where(Population.id == population_id))
    present, others = arrivals.present_in(session, population_id)
    session.rollback()
    position = 0
    stream = iter(people)
    while chunk := list(islice(stream, CHUNK)):
        new, changed = arrivals.compare(
            session, chunk, present, done, replace=replace, as_text=True
        )
        session.rollback()
        rows: list[Staged] = [(None, person) for person in new]
        rows += changed
        position = _write(run, position, rows)
    if replace:
        going = iter([*present.values(), *others])
        done.removed = len(present) + len(others)
        while gone := list(islice(going, CHUNK)):
            position = _write(run, position, [(member_id, None) for member_id in gone])
    return done, revision or 0


def _write(run: str, position: int, rows: list[Staged]) -> int:
    """Write some aside in a short transaction of their own; return the next position."""
    if not rows:
        return position
    with unit_of_work() as session:
        if session.get_bind().dialect.name == "postgresql":
            _copy(session, run, position, rows)
        else:
            session.execute(insert(StagedMember), list(_values(run, position, rows)))
    return position + len(rows)


def _values(run: str, position: int, rows: list[Staged]) -> Iterator[dict[str, Any]]:
    for number, (member_id, person) in enumerate(rows, position):
        key = phone_key(person.get(PHONE)) if person else None
        yield dict(zip(_COLUMNS, (run, number, member_id, person, key), strict=True))


def _copy(session: Session, run: str, position: int, rows: list[Staged]) -> None:
    """Write rows by COPY, which takes PostgreSQL a third of the time of INSERT."""
    connection: Any = session.connection().connection.driver_connection
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY staged_member ({', '.join(_COLUMNS)}) FROM STDIN") as copy,
    ):
        for row in _values(run, position, rows):
            person = row["attributes"]
            row["attributes"] = None if person is None else json.dumps(person)
            copy.write_row(tuple(row.values()))


def _put(session: Session, population: Population, run: str) -> None:
    """Let what was written aside become the population's members."""
    staged = StagedMember
    here = staged.run == run
    ours = {"synchronize_session": False}
    going = select(staged.member_id).where(
        here, staged.member_id.is_not(None), staged.attributes.is_(None)
    )
    session.execute(delete(Member).where(Member.id.in_(going)), execution_options=ours)
    session.execute(
        update(Member)
        .where(Member.id == staged.member_id, here, staged.attributes.is_not(None))
        .values(attributes=staged.attributes, phone_key=staged.phone_key),
        execution_options=ours,
    )
    new = (
        select(db.literal(population.id), staged.attributes, staged.phone_key)
        .where(here, staged.member_id.is_(None))
        .order_by(staged.position)
    )
    names = ["population_id", "attributes", "phone_key"]
    session.execute(insert(Member).from_select(names, new, include_defaults=False))
    members.moved(session, population)


def forget_some(session: Session, run: str) -> int:
    """Delete some of what a try wrote aside; return how many rows there still were."""
    first = (
        select(StagedMember.position)
        .where(StagedMember.run == run)
        .order_by(StagedMember.position)
        .limit(_FORGOTTEN)
    )
    gone = session.execute(
        delete(StagedMember)
        .where(StagedMember.run == run, StagedMember.position.in_(first))
        .returning(StagedMember.position),
        execution_options={"synchronize_session": False},
    )
    return len(gone.all())


def _forget(run: str) -> None:
    gone = _FORGOTTEN
    while gone == _FORGOTTEN:
        with unit_of_work() as session:
            gone = forget_some(session, run)
