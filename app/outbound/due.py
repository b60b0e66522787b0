"""What people have set a time for: runs of communications, and texts that wait for their hour.

Found by their times, each moved on in a transaction of its own by the drain of ``house``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import select

from app.domain import aside
from app.domain.clients.spending import Limited
from app.domain.restoring import hold
from app.domain.sending import later, runs
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.communication import Communication

PAUSE = 0.01
"""Seconds between two transactions, so that others have their turn."""
AT_ONCE = 50
LOOP = "run"


def turn() -> bool:
    """Let happen what is due now; return whether anything did."""
    now = utcnow()
    due = Communication.next_run_at <= now
    free = aside.free(LOOP, Communication.id)
    communications = db.session.scalars(
        select(Communication.id).where(due, free).order_by(Communication.next_run_at).limit(AT_ONCE)
    ).all()
    texts = later.due(db.session(), now)
    db.session.rollback()
    begun = _start(communications) if communications else []
    gone = aside.one_by_one("send", texts, str, _release)
    if any(gone):
        wake("send")
    return any((*begun, *gone))


def _start(communications: Sequence[str]) -> list[bool]:
    """Start what is due; a database that went back is noticed before, not only by the clock."""
    hold.look()
    held = hold.state()
    held_since = held.since if held else None
    db.session.rollback()

    def start(communication_id: str) -> bool:
        time.sleep(PAUSE)
        counted = runs.count(db.session(), communication_id)
        db.session.rollback()
        with unit_of_work() as session:
            return runs.start(session, communication_id, held_since, counted)

    return aside.one_by_one(LOOP, communications, str, start)


def _release(message_id: str) -> bool:
    time.sleep(PAUSE)
    try:
        with unit_of_work() as session:
            return later.release(session, message_id)
    except Limited as limited:
        with unit_of_work() as session:
            later.put_off(session, message_id, limited.until)
        return False
