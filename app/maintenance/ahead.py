"""Times that lie farther ahead than any clock that is right can have put them.

A clock that was wrong for a moment leaves times behind that others then wait for: an hour, a year.
What is read often judges them where it is read (:func:`app.domain.clocks.has_come`); all other
times that work waits for are named here, and brought back to now by the clock.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from sqlalchemy import ColumnElement, select, text, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain import aside, clocks
from app.domain.provisioning.verifications import OPEN
from app.domain.relaying.endpoints import SECRET_OVERLAP
from app.domain.sending import runs
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.chore import Chore
from app.models.communication import Communication
from app.models.credential import Credential
from app.models.endpoint import Endpoint, EndpointSecret
from app.models.house import Bookmark, IdempotencyKey, SetAside
from app.models.incoming import Incoming
from app.models.message import Lane, Message
from app.models.number import Verification
from app.models.user import LoginFailure

log = structlog.get_logger(__name__)

LOOP = "ahead"
LOOK_BACK = timedelta(days=1)
"""Where a regular job begins again whose bookmark lies ahead: nobody knows how far it had got."""
AT_ONCE = 500
CHOSEN = "send_at"
"""The hour that somebody chose for a text: no clock of ours has put it there."""
SECONDS = 3.0
"""How long one table may take at a time: the clock has other things to do."""
NOTHING = timedelta(0)
Written = TypeVar("Written", Message, Incoming)


@dataclass(frozen=True)
class Mark:
    """A column that work waits for, and how far ahead of now it may rightly lie."""

    column: InstrumentedAttribute[Any]
    furthest: timedelta = NOTHING
    back_to: timedelta = NOTHING
    """How long before now it is put."""
    when: ColumnElement[bool] | None = None


MARKS = (
    Mark(Bookmark.at, back_to=LOOK_BACK),
    Mark(LoginFailure.at),
    Mark(IdempotencyKey.created_at),
    Mark(Verification.created_at, when=Verification.state.in_(OPEN)),
    Mark(Endpoint.last_claim_at),
    Mark(Endpoint.first_failure_at),
    Mark(EndpointSecret.expires_at, furthest=SECRET_OVERLAP),
    Mark(SetAside.until, furthest=aside.PAUSES[-1]),
    Mark(Credential.asked_at),
    Mark(Chore.due_at, furthest=timedelta(days=1)),
)
"""Those of tables that stay small, or have an index on the column."""


def tick() -> int:
    """Bring back what lies too far ahead; return how many times did."""
    now = utcnow()
    with unit_of_work() as session:
        found = sum(_bring_back(session, mark, now) for mark in MARKS)
        found += _bring_back_singles(session, now)
    found += _shift_all(Message, now) + _shift_all(Incoming, now)
    found += _bring_back_runs(now)
    if found:
        log.warning("times of a clock that was ahead were brought back", count=found)
    return found


def _bring_back(session: Session, mark: Mark, now: datetime) -> int:
    changed = session.execute(
        update(mark.column.class_)
        .where(mark.column > now + mark.furthest + clocks.MOST_APART, *_also(mark))
        .values({mark.column.key: now + mark.furthest - mark.back_to})
        .execution_options(synchronize_session=False, preserve_rowcount=True)
    )
    return int(getattr(changed, "rowcount", 0))


def _also(mark: Mark) -> tuple[ColumnElement[bool], ...]:
    return () if mark.when is None else (mark.when,)


def _bring_back_singles(session: Session, now: datetime) -> int:
    """Let single messages go that were never tried: they wait for nothing but their turn."""
    waiting = (
        select(Message.id)
        .join(Lane, Lane.key == Message.lane_key)
        .where(
            text("coalesce(message.batch_id, '') = ''"),
            text("message.state = 'waiting'"),
            Message.due_at > now + clocks.MOST_APART,
            Message.tries == 0,
        )
        .limit(AT_ONCE)
    )
    changed = session.execute(
        update(Message)
        .where(Message.id.in_(waiting.scalar_subquery()), text("message.state = 'waiting'"))
        .values(due_at=now)
        .execution_options(synchronize_session=False, preserve_rowcount=True)
    )
    return int(getattr(changed, "rowcount", 0))


def _bring_back_runs(now: datetime) -> int:
    """Mend when the next runs of communications are due; also after a change of a client's zone."""
    session = db.session()
    armed = session.scalars(
        select(Communication)
        .where(Communication.next_run_at > now, aside.free(LOOP, Communication.id))
        .order_by(Communication.next_run_at)
    ).all()
    late = [one.id for one in armed if runs.is_too_late(session, one, now)]
    session.rollback()
    return sum(aside.one_by_one(LOOP, late, str, _bring_back_run))


def _bring_back_run(communication_id: str) -> bool:
    with unit_of_work() as session:
        return runs.bring_back(session, communication_id)


def _shift_all(model: type[Written], now: datetime) -> int:
    """Go through the rows that were written "later", many in a transaction, for some seconds."""
    end, found = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        later = model.updated_at > now + clocks.MOST_APART
        ids = db.session.scalars(
            select(model.id)
            .where(later, aside.free(LOOP, model.id))
            .order_by(model.id)
            .limit(AT_ONCE)
        ).all()
        db.session.rollback()
        found += sum(aside.together(LOOP, ids, str, lambda some: _shift(model, some, now)))
        if len(ids) < AT_ONCE:
            break
    return found


def _shift(model: type[Written], ids: Sequence[str], now: datetime) -> int:
    """Move all times of rows that were written "later" back by as much as they were ahead."""
    with unit_of_work() as session:
        rows = session.scalars(
            select(model)
            .where(model.id.in_(ids), model.updated_at > now + clocks.MOST_APART)
            .order_by(model.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()
        for row in rows:
            ahead = row.updated_at - now
            for column in model.__table__.columns:
                value = getattr(row, column.key, None)
                if column.key == CHOSEN:
                    continue
                if isinstance(value, datetime) and value > now:
                    setattr(row, column.key, value - ahead)
            row.updated_at = now
    return len(rows)
