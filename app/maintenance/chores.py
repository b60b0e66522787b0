"""Chores: work on many rows that was begun, gone on with a piece at a time until it is done."""

from __future__ import annotations

import time
from collections.abc import Mapping

from sqlalchemy import select

from app.domain import aside, chores, leftovers, wake
from app.domain.chores import Piece
from app.domain.conversations import mass
from app.domain.relaying import together
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.chore import Chore, ChoreKind

LOOP = "chores"
PAUSE = 0.005
"""Seconds between two transactions, so that others have their turn."""
AT_ONCE = 50
"""Chores that take turns."""
SECONDS = 3.0
"""How long they are gone on with before the worker looks after something else."""

PIECES: Mapping[ChoreKind, Piece] = {
    ChoreKind.MEMBERS: leftovers.forget_members,
    ChoreKind.ENTRIES: leftovers.forget_entries,
    ChoreKind.UPLOAD: leftovers.forget_parts,
    ChoreKind.HOLD: together.hold_some,
    ChoreKind.RELEASE: together.release_some,
    ChoreKind.PROLONG: together.prolong_some,
    ChoreKind.WORDS: mass.read_some,
    ChoreKind.REPLAY: together.replay_some,
}


def are_due() -> bool:
    """Tell whether there is anything to do."""
    return bool(_due())


def run() -> None:
    """Do a piece of each chore in turn, until all are done or the time is up."""
    end = time.monotonic() + SECONDS
    while (due := _due()) and not wake.stopping.is_set():
        for chore_id in due:
            with aside.set_aside(LOOP, chore_id):
                _do(chore_id)
            time.sleep(PAUSE)
            if time.monotonic() > end:
                return


def _due() -> list[str]:
    found = db.session.scalars(
        select(Chore.id)
        .where(Chore.kind.in_(PIECES), Chore.due_at <= utcnow(), aside.free(LOOP, Chore.id))
        .order_by(Chore.due_at)
        .limit(AT_ONCE)
    ).all()
    db.session.rollback()
    return list(found)


def _do(chore_id: str) -> None:
    with unit_of_work() as session:
        chore = session.get(
            Chore, chore_id, with_for_update={"skip_locked": True}, populate_existing=True
        )
        if chore is not None:  # else somebody else does it, or has done it
            chores.go_on(session, chore, PIECES[chore.kind])
