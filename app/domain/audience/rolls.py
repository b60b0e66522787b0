"""Rolls: which members are a population's people now, and those that are so no longer.

A population names a roll, and its members are those that name the same. So a hundred thousand
people take the place of others in one moment, however long it took to write them down; and who
reads sees either the ones or the others.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from app.domain import chores, leftovers
from app.models.audience import Population
from app.models.base import utcnow
from app.models.chore import Chore, ChoreKind

UNFINISHED_LASTS = timedelta(days=1)
"""A roll that is not in force by then belongs to an import that died."""


def open_one(session: Session, roll: str) -> None:
    """Note that a roll is being written, in the first transaction: what is left of one goes."""
    due = utcnow() + UNFINISHED_LASTS
    session.add(Chore(kind=ChoreKind.MEMBERS, subject=roll, details={}, due_at=due))


def exchange(session: Session, population: Population, roll: str) -> bool:
    """Let a roll that was written take the place of the one before, whose members go.

    The caller has locked the population. Returns False where the roll was given up meanwhile.
    """
    if not chores.is_under_way(session, ChoreKind.MEMBERS, roll):
        return False
    chores.drop(session, ChoreKind.MEMBERS, roll)
    before, population.roll = population.roll, roll
    session.flush()
    leftovers.let_go_of_roll(session, before)
    return True
