"""A batch takes over the members of its population: as they are when it begins, in pieces.

A hundred thousand people in one statement held SQLite's only write lock for as long as a second,
and whoever texted meanwhile waited. So it is done piece by piece; whoever is about to change some
of the members before the last piece has the rest taken over first (:func:`ahead`), and takes over
what came in between (:func:`finish`). A roll that takes the place of this one changes nothing:
this one stays until everybody is taken over.
"""

from __future__ import annotations

import time

from sqlalchemy import ColumnElement, func, insert, literal, select, update
from sqlalchemy.orm import Session

from app.domain.audience import dated
from app.domain.audience.dated import Dated
from app.extensions import db, unit_of_work
from app.models.audience import Member, Population, people_of
from app.models.batch import Batch, BatchMember, BatchState, BatchTaking

CHUNK = 1000
"""Members in one transaction: about 5 ms of SQLite's write lock."""
PAUSE = 0.005
"""Seconds between two transactions, so that others have their turn."""


def begin(
    session: Session, batch: Batch, population_id: str, total: int | None = None
) -> int | None:
    """Give a scheduled batch its members: those that the population has now.

    :param total: how many they are, where somebody has counted them who knows that they still are.
    :returns: how many they are; None where the batch is not scheduled any more.
    """
    population = session.get_one(Population, population_id)
    # Whoever changes the members holds this row, and ends before.
    session.refresh(population, with_for_update={"read": True})
    if total is None:
        total = count(session, population_id, dated.of_plan(batch.plan))
    begun = session.scalars(
        update(Batch)
        .where(Batch.id == batch.id, Batch.state == BatchState.SCHEDULED)
        .values(total=total)
        .returning(Batch.id)
        .execution_options(synchronize_session="fetch")
    ).all()
    if not begun:
        return None
    session.add(BatchTaking(batch_id=batch.id, roll=population.roll, after=0))
    session.flush()
    take(session, batch.id)
    return total


def count(session: Session, population_id: str, about: Dated | None = None) -> int:
    """Count the members of a population: all, or those of a date."""
    query = select(func.count()).where(*_of(people_of(population_id), about))
    return session.scalar(query) or 0


def has_any(session: Session, population_id: str) -> bool:
    """Tell whether anybody is in a population."""
    anybody = select(Member.id).where(people_of(population_id)).limit(1)
    return session.scalar(anybody) is not None


def take(session: Session, batch_id: str) -> bool:
    """Take over the next members; return whether there was anything to take over."""
    here = _lock(session, batch_id)
    if here is None:
        return False
    about = _about(session, batch_id)
    # Those looked at, whether they are of the date or not: so each piece is short.
    ids = session.scalars(
        select(Member.id)
        .where(Member.roll == here.roll, Member.id > here.after)
        .order_by(Member.id)
        .limit(CHUNK)
    ).all()
    if ids:
        _copy(session, here, about, ids[-1])
        here.after = ids[-1]
    if len(ids) < CHUNK:
        session.delete(here)
    session.flush()
    return True


def ahead(population_id: str) -> None:
    """Have every batch take over who is left, in pieces of their own; before members change."""
    roll = select(Population.roll).where(Population.id == population_id).scalar_subquery()
    beginning = select(BatchTaking.batch_id).where(BatchTaking.roll == roll)
    while batches := db.session.scalars(beginning.order_by(BatchTaking.batch_id)).all():
        db.session.rollback()
        for batch_id in batches:
            with unit_of_work() as session:
                take(session, batch_id)
            time.sleep(PAUSE)
    db.session.rollback()


def finish(session: Session, roll: str) -> None:
    """Have every batch take over all who are left, since somebody is about to change them."""
    batches = session.scalars(
        select(BatchTaking.batch_id).where(BatchTaking.roll == roll).order_by(BatchTaking.batch_id)
    ).all()
    for batch_id in batches:
        if (here := _lock(session, batch_id)) is not None:
            _copy(session, here, _about(session, batch_id), None)
            session.delete(here)
    session.flush()


def _lock(session: Session, batch_id: str) -> BatchTaking | None:
    """Return where a batch stands, for this transaction alone; None where it wants nobody more.

    A paused one goes on, and one that waits for approval: who its members are is settled.
    """
    batch = session.get_one(Batch, batch_id, with_for_update=True, populate_existing=True)
    here = session.get(BatchTaking, batch_id, populate_existing=True)
    if here is not None and batch.state in (BatchState.CANCELED, BatchState.REFUSED):
        session.delete(here)
        return None
    return here


def _about(session: Session, batch_id: str) -> Dated | None:
    return dated.of_plan(session.get_one(Batch, batch_id).plan)


def _of(them: ColumnElement[bool], about: Dated | None) -> list[ColumnElement[bool]]:
    """Match members, of a date those whose it is."""
    return [them] if about is None else [them, about.is_of_member()]


def _copy(session: Session, here: BatchTaking, about: Dated | None, to: int | None) -> None:
    last = session.scalar(
        select(func.max(BatchMember.position)).where(BatchMember.batch_id == here.batch_id)
    )
    members = select(
        literal(here.batch_id),
        func.row_number().over(order_by=Member.id) + (-1 if last is None else last),
        Member.attributes,
    ).where(*_of(Member.roll == here.roll, about), Member.id > here.after)
    if to is not None:
        members = members.where(Member.id <= to)
    session.execute(
        insert(BatchMember).from_select(["batch_id", "position", "attributes"], members)
    )
