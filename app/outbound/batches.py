"""The drain of the queue ``house``: batches from their time to begin to their end.

Everything is found by state and done in short transactions, so that a crash costs a repeat of at
most one chunk, which its own rollback has undone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import ColumnElement, delete, or_, select, text, update
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from app.domain import wake
from app.domain.reach import Refusal
from app.domain.relaying import announcements
from app.domain.sending import call_retries, communications, composing, preparation, statuses
from app.domain.sending.messages import check_client, check_sender
from app.domain.wake import DRAIN_SECONDS
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.batch import Batch, BatchMember, BatchState
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Message, MessageState

log = structlog.get_logger(__name__)

CHUNK = 500
"""Members prepared in one transaction: a fraction of a second."""
CANCELED_TOGETHER = 50


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
    now = utcnow()
    due = _found(Batch.state == BatchState.SCHEDULED, Batch.scheduled_at <= now)
    preparing = _found(Batch.state == BatchState.PREPARING)
    canceled = _found(Batch.state == BatchState.CANCELED, Batch.ended_at.is_(None))
    done = _found(Batch.state == BatchState.RUNNING, ~_unfinished())
    db.session.rollback()
    begun = [_step(_begin, batch_id) for batch_id in due]
    prepared = [_step(_prepare, batch_id) for batch_id in preparing]
    emptied = [_step(_cancel_rest, batch_id) for batch_id in canceled]
    for batch_id in done:
        _step(_complete, batch_id)
    if any(prepared):
        wake.wake("send")
    return any(begun) or any(prepared) or any(emptied)


def _found(*conditions: ColumnElement[bool]) -> Sequence[str]:
    return db.session.scalars(select(Batch.id).where(*conditions)).all()


def _step(work: Callable[[Session, str], bool], batch_id: str) -> bool:
    """Move one batch on in a transaction of its own; one that fails does not stop the others."""
    try:
        with unit_of_work() as session:
            return work(session, batch_id)
    except OperationalError:
        raise
    except Exception:
        log.exception("a batch could not be moved on", batch=batch_id, step=work.__name__)
        return False


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
    except Refusal as refusal:
        session.execute(
            update(Batch)
            .where(Batch.id == batch_id, Batch.state == BatchState.SCHEDULED)
            .values(state=BatchState.REFUSED, reason=refusal.sentence, ended_at=utcnow())
        )
        return False
    communications.begin(session, batch)
    return True


def prepare(batch_id: str) -> None:
    """Prepare a batch to its end, for somebody who waits for what comes of it.

    Each chunk is a transaction of its own, so that others get their turn, and a worker may take
    some of them. Whatever goes wrong is left to the workers: the batch is there already, and must
    not be asked for again.
    """
    try:
        while True:
            with unit_of_work() as session:
                if not _prepare(session, batch_id):
                    return
    except Exception:
        log.exception("a batch could not be prepared at once; a worker will", batch=batch_id)


def _prepare(session: Session, batch_id: str) -> bool:
    """Prepare one chunk; the last one lets the batch run."""
    batch = session.get_one(Batch, batch_id, with_for_update=True, populate_existing=True)
    if batch.state is not BatchState.PREPARING:
        return False
    members = session.scalars(
        select(BatchMember)
        .where(BatchMember.batch_id == batch_id)
        .order_by(BatchMember.position)
        .limit(CHUNK)
    ).all()
    if members:
        plan = composing.read_plan(session, batch.plan)
        numbered = [(member.position, member.attributes) for member in members]
        preparation.prepare(session, batch, plan, numbered)
        session.execute(
            delete(BatchMember)
            .where(BatchMember.batch_id == batch_id, BatchMember.position <= numbered[-1][0])
            .execution_options(synchronize_session=False)
        )
    whole = len(members) < CHUNK
    session.execute(
        update(Batch)
        .where(Batch.id == batch_id)
        .values(
            prepared=Batch.prepared + len(members),
            state=BatchState.RUNNING if whole else BatchState.PREPARING,
        )
        .execution_options(synchronize_session=False)
    )
    return True


def _cancel_rest(session: Session, batch_id: str) -> bool:
    """Cancel some of what waits; it is over when nothing waits or is on its way any more."""
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
        counts = communications.progress(session, batch).counts
        announcements.batch_complete(session, batch, counts)
    return batch is not None
