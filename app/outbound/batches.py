"""The drain of the queue ``house``: batches from their time to begin to their end.

Everything is found by state and done in short transactions, so that a crash costs a repeat of at
most one chunk, which its own rollback has undone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import wraps

import structlog
from flask import Flask, current_app
from sqlalchemy import ColumnElement, delete, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.domain import aside, wake
from app.domain.audience import taking
from app.domain.reach import Refusal
from app.domain.relaying import announcements
from app.domain.sending import (
    approval,
    call_retries,
    communications,
    composing,
    preparation,
    running,
    statuses,
)
from app.domain.sending.composing import Plan
from app.domain.sending.messages import check_client, check_sender
from app.domain.sending.preparation import Judged
from app.domain.wake import DRAIN_SECONDS
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.batch import Batch, BatchMember, BatchState, BatchTaking
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.outbound import due as due_now
from app.outbound import line_types
from app.outbound.background import background

log = structlog.get_logger(__name__)

CHUNK, CHUNK_ON_SQLITE = 200, 40
"""Members prepared in one transaction: on SQLite the only writer's lock is held meanwhile, for
10 ms with 40 of them."""
COMPOSE_SECONDS = 0.5
"""How long members are rendered before what is done is written."""
PAUSE = 0.01
"""Seconds between two transactions, so that others have their turn."""
CANCELED_TOGETHER, FORGOTTEN_TOGETHER = 50, 1000


def start() -> None:
    """Have batches moved on, beside the chores; the job of the queue ``house``."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    background(app, "batches", drain).start()
    line_types.start()


def drain() -> None:
    """Move every batch on, in turn, until nothing is left to do now or the time is up."""
    end = time.monotonic() + DRAIN_SECONDS
    try:
        more = True
        while more and not wake.stopping.is_set() and time.monotonic() < end:
            more = turn()
    except SQLAlchemyError as error:
        log.warning("the database is away; batches wait", error=type(error).__name__)


def turn() -> bool:
    """Do one step for every batch that needs one; return whether there is more to do at once."""
    happened = due_now.turn()
    now = utcnow()
    forgotten = _found(*approval.is_overdue(now))
    due = _found(Batch.state == BatchState.SCHEDULED, Batch.scheduled_at <= now)
    beginning = select(BatchTaking.batch_id)
    unfinished = _found(Batch.id.in_(beginning))
    preparing = _found(Batch.state == BatchState.PREPARING, Batch.id.not_in(beginning))
    stopped = (BatchState.CANCELED, BatchState.REFUSED)
    canceled = _found(Batch.state.in_(stopped), Batch.ended_at.is_(None))
    done = _found(Batch.state == BatchState.RUNNING, ~_unfinished())
    db.session.rollback()
    for batch_id in forgotten:
        _step(_in_one(approval.expire), batch_id)
    begun = [_step(_in_one(_begin), batch_id) for batch_id in due]
    taken = [_step(_in_one(taking.take), batch_id) for batch_id in unfinished]
    prepared = [_step(_prepare, batch_id) for batch_id in preparing]
    emptied = [_step(_in_one(_cancel_rest), batch_id) for batch_id in canceled]
    for batch_id in done:
        _step(_in_one(_complete), batch_id)
    if any(prepared):
        wake.wake("send")
    return any((happened, *begun, *taken, *prepared, *emptied))


def _found(*conditions: ColumnElement[bool]) -> Sequence[str]:
    free = aside.free("batch", Batch.id)
    return db.session.scalars(select(Batch.id).where(free, *conditions)).all()


def _in_one(work: Callable[[Session, str], bool]) -> Callable[[str], bool]:
    """Have ``work`` done in a transaction of its own."""

    @wraps(work)
    def do(batch_id: str) -> bool:
        with unit_of_work() as session:
            return work(session, batch_id)

    return do


def _step(work: Callable[[str], bool], batch_id: str) -> bool:
    """Move one batch on; one that fails does not stop the others."""
    try:
        with aside.set_aside("batch", batch_id):
            return work(batch_id)
        return False
    finally:
        db.session.rollback()
        time.sleep(PAUSE)


def _unfinished() -> ColumnElement[bool]:
    """Return the condition that something of a batch waits or is claimed; one probe per batch."""
    waiting = (
        select(Message.id)
        .where(
            Message.batch_id == Batch.id,
            Message.state.in_((MessageState.WAITING, MessageState.CLAIMED)),
        )
        .limit(1)
        .correlate(Batch)
        .scalar_subquery()
        .is_not(None)
    )
    return or_(waiting, call_retries.may_follow())


def _begin(session: Session, batch_id: str) -> bool:
    """Start a batch whose time has come, unless its client or sender may no longer send."""
    batch = session.get_one(Batch, batch_id, with_for_update=True, populate_existing=True)
    if batch.state is not BatchState.SCHEDULED:
        return False  # another worker has begun it, or somebody has canceled it
    try:
        check_client(session.get_one(Client, batch.client_id))
        sender = composing.sender_of(session, batch)
        plan = composing.read_plan(session, batch.plan)
        credential = session.get_one(Credential, sender.credential_id)
        check_sender(sender, credential, plan.destination)
        communications.begin(session, batch)
    except Refusal as refusal:
        # What was approved has members, and ends when they are forgotten.
        ended_at = utcnow() if batch.approval_asked_at is None else None
        session.execute(
            update(Batch)
            .where(Batch.id == batch_id, Batch.state == BatchState.SCHEDULED)
            .values(state=BatchState.REFUSED, reason=refusal.sentence, ended_at=ended_at)
        )
        return False
    return True


def _prepare(batch_id: str) -> bool:
    """Prepare one chunk; the last one lets the batch run. Return whether there is more to do.

    Rendered outside of the transaction, which then takes over what nobody else has meanwhile.
    """
    session = db.session()
    batch = session.get_one(Batch, batch_id, populate_existing=True)
    members = session.scalars(
        select(BatchMember)
        .where(BatchMember.batch_id == batch_id)
        .order_by(BatchMember.position)
        .limit(min(CHUNK, CHUNK_ON_SQLITE) if current_settings().is_sqlite else CHUNK)
    ).all()
    plan = composing.read_plan(session, batch.plan)
    client = session.get_one(Client, batch.client_id)
    sender = composing.sender_of(session, batch)
    # Held: a session forgets what nobody holds, and each member would have it read again.
    credential = session.get_one(Credential, sender.credential_id)
    whom = [one.attributes for one in members if one.refusal is None]
    asked = line_types.Asked(client, sender, plan.destination, plan.suppression_list_id)
    if line_types.are_awaited(session, asked, whom):
        return False  # the clock looks again within a second
    judged = preparation.compose(session, plan, client, sender, members, COMPOSE_SECONDS)
    del credential
    with unit_of_work() as writing:
        return _write(writing, batch_id, plan, judged)


def _write(session: Session, batch_id: str, plan: Plan, judged: Sequence[Judged]) -> bool:
    batch = session.get_one(Batch, batch_id, with_for_update=True, populate_existing=True)
    if batch.state is not BatchState.PREPARING:
        return False
    taken = set(
        session.scalars(
            delete(BatchMember)
            .where(
                BatchMember.batch_id == batch_id,
                BatchMember.position.in_([one.member[0] for one in judged]),
            )
            .returning(BatchMember.position)
            .execution_options(synchronize_session=False)
        )
    )
    if taken:
        mine = [one for one in judged if one.member[0] in taken]
        preparation.write(session, batch, plan, mine)
    more = session.scalar(
        select(BatchMember.position).where(BatchMember.batch_id == batch_id).limit(1)
    )
    session.execute(
        update(Batch)
        .where(Batch.id == batch_id)
        .values(
            prepared=Batch.prepared + len(taken),
            state=BatchState.RUNNING if more is None else BatchState.PREPARING,
        )
        .execution_options(synchronize_session=False)
    )
    return True


def _cancel_rest(session: Session, batch_id: str) -> bool:
    """Forget some members, then cancel some of what waits; it is over when nothing is left."""
    if _forget_some(session, batch_id):
        return True
    waiting = session.scalars(
        select(Message.id)
        .where(Message.batch_id == batch_id, Message.state == MessageState.WAITING)
        .limit(CANCELED_TOGETHER)  # in any order: sorting what is left would make it quadratic
    ).all()
    for message_id in waiting:
        statuses.end(
            session,
            message_id,
            MessageState.CANCELED,
            before=(MessageState.WAITING,),
            reason="canceled",
            error_message="The batch was canceled before this message went out.",
        )
    if len(waiting) < CANCELED_TOGETHER and not _is_left(session, batch_id):
        session.execute(update(Batch).where(Batch.id == batch_id).values(ended_at=utcnow()))
    return bool(waiting)


def _forget_some(session: Session, batch_id: str) -> bool:
    """Forget some members who had no messages yet; return whether there were any."""
    first = (
        select(BatchMember.position)
        .where(BatchMember.batch_id == batch_id)
        .order_by(BatchMember.position)
        .limit(FORGOTTEN_TOGETHER)
    )
    gone = session.execute(
        delete(BatchMember)
        .where(BatchMember.batch_id == batch_id, BatchMember.position.in_(first))
        .returning(BatchMember.position)
        .execution_options(synchronize_session=False)
    ).all()
    return bool(gone)


def _is_left(session: Session, batch_id: str) -> bool:
    """Tell whether any waits or is on its way: one that comes back has to be canceled as well."""
    return (
        session.scalar(
            select(Message.id)
            .where(Message.batch_id == batch_id, text("message.state IN ('waiting', 'claimed')"))
            .limit(1)
        )
        is not None
    )


def _complete(session: Session, batch_id: str) -> bool:
    """End a batch of which nothing waits or is claimed, and announce it, once."""
    batch: Batch | None = session.scalar(
        update(Batch)
        .where(Batch.id == batch_id, Batch.state == BatchState.RUNNING, ~_unfinished())
        .values(state=BatchState.COMPLETE, ended_at=utcnow())
        .returning(Batch)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    if batch is not None:
        counts = running.progress(session, batch).counts
        announcements.batch_complete(session, batch, counts)
    return batch is not None
