"""Work on many rows, some at a time: what one statement would do to a hundred thousand.

One statement over all of them would hold SQLite's only write lock for seconds, or rows that an
answer to Twilio needs. So the first rows are done with the request, in its transaction, and for
what is left a row says so: the clock has it done, a piece in each transaction, whoever dies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.models.base import new_id, utcnow
from app.models.chore import Chore, ChoreKind

PIECE = 500
"""Rows that one transaction changes at most."""

Piece = Callable[[Session, Chore], bool]
"""Does some of the work; returns whether there may be more of it."""


def begin(
    session: Session, kind: ChoreKind, subject: str, piece: Piece, **details: Any
) -> Chore:  # fmt: skip
    """Do the first of some work now, and have the rest done by the clock."""
    chore = Chore(
        id=new_id(), kind=kind, subject=subject, details=details, after="", due_at=utcnow()
    )
    session.add(chore)
    session.flush()
    go_on(session, chore, piece)
    return chore


def go_on(session: Session, chore: Chore, piece: Piece) -> None:
    """Do a piece; the last one takes the chore away. The caller has locked it, or just made it."""
    if not piece(session, chore):
        session.delete(chore)
    session.flush()


def drop(session: Session, kind: ChoreKind, subject: str) -> None:
    """Do no more of what was begun: it is not wanted any more."""
    session.execute(
        delete(Chore)
        .where(Chore.kind == kind, Chore.subject == subject)
        .execution_options(synchronize_session=False)
    )


def is_under_way(session: Session, kind: ChoreKind, subject: str) -> bool:
    """Tell whether some work is not done yet."""
    there = select(Chore.id).where(Chore.kind == kind, Chore.subject == subject)
    return session.scalar(there.limit(1)) is not None
