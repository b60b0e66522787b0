"""A batch on its way: paused, resumed, canceled, opened again, and how far it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, case, func, select, text, update
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.reach import Refusal
from app.domain.sending import breaker, call_retries
from app.models.base import utcnow
from app.models.batch import Batch, BatchMember, BatchState
from app.models.breaker import Breaker
from app.models.message import Lane, Message, MessageState
from app.models.route import Destination


@dataclass(frozen=True)
class Progress:
    """Where a batch stands: ``counts`` by public status, ``eta`` when its last text goes out.

    A person who is called again counts once, by the last call.
    """

    total: int
    prepared: int
    counts: dict[str, int]
    waiting: int
    eta: datetime | None
    held: Breaker | None
    """What keeps its sender from sending: Twilio refused the same for several in a row."""


def pause(session: Session, batch: Batch, actor: str) -> None:
    """Stop sending; what is on its way to Twilio within this quarter of a second still goes.

    :raises Refusal: when the batch neither runs nor is being prepared.
    """
    _move(session, batch, (BatchState.RUNNING, BatchState.PREPARING), BatchState.PAUSED, actor)


def resume(session: Session, batch: Batch, actor: str) -> None:
    """Go on after a pause, in preparation or in sending.

    :raises Refusal: when the batch is not paused.
    """
    to = BatchState.RUNNING if batch.prepared >= batch.total else BatchState.PREPARING
    _move(session, batch, (BatchState.PAUSED,), to, actor)


def cancel(session: Session, batch: Batch, actor: str) -> None:
    """Stop for good: what waits is canceled, soon after, message by message.

    :raises Refusal: when the batch has ended.
    """
    before = (
        BatchState.AWAITING_APPROVAL, BatchState.SCHEDULED, BatchState.PREPARING,
        BatchState.RUNNING, BatchState.PAUSED,
    )  # fmt: skip
    _move(session, batch, before, BatchState.CANCELED, actor)


def reopen(session: Session, batch_id: str) -> None:
    """Take up a batch that has ended once more: a message of it waits that was taken for lost.

    One that was canceled stays so; what waits in it is canceled as well.
    """
    session.execute(
        update(Batch)
        .where(Batch.id == batch_id, Batch.ended_at.is_not(None))
        .values(
            ended_at=None,
            state=case(
                (Batch.state == BatchState.COMPLETE, BatchState.RUNNING.value), else_=Batch.state
            ),
        )
        .execution_options(synchronize_session=False)
    )


def try_one(session: Session, batch: Batch, actor: str) -> None:
    """Let one message go of the sender that holds this batch.

    :raises Refusal: when nothing holds it.
    """
    keys = [breaker.key_of_batch(batch)]
    if batch.ended_at or not breaker.try_one(session, keys, batch.client_id, actor, utcnow()):
        raise Refusal("wrong_state", breaker.NOTHING_HELD, "state")


def progress(session: Session, batch: Batch) -> Progress:
    """Count where the batch's messages are, and estimate when the last one goes out."""
    query = select(Message.state, Message.status, func.count()).where(Message.batch_id == batch.id)
    if batch.plan.get("destination") == Destination.VOICE:
        query = query.where(call_retries.is_last_try())
    counted = session.execute(query.group_by(Message.state, Message.status))
    counts: Counter[str] = Counter()
    waiting = 0
    for state, status, count in counted:
        counts[Message(state=state, status=status).public_status] += count
        waiting += count if state is MessageState.WAITING else 0
    if batch.state is BatchState.CANCELED:
        counts += Counter(canceled=batch.total - batch.prepared)
    else:
        counts += _told_at_start(session, batch)
    held = None if batch.ended_at else breaker.held_batch(session, batch)
    eta = _eta(session, batch) if held is None else None
    return Progress(batch.total, batch.prepared, dict(counts), waiting, eta, held)


def _told_at_start(session: Session, batch: Batch) -> Counter[str]:
    """Count those of whom it was known at the start that they get nothing, until prepared."""
    refusals = session.scalars(
        select(BatchMember.refusal).where(
            BatchMember.batch_id == batch.id, BatchMember.refusal.is_not(None)
        )
    )
    return Counter(
        "suppressed" if refusal and refusal["code"] == "suppressed" else "refused"
        for refusal in refusals
    )


def _eta(session: Session, batch: Batch) -> datetime | None:
    """Estimate by the lane's rate and all that waits in it; None when nothing goes out."""
    if batch.state not in (BatchState.RUNNING, BatchState.PREPARING):
        return None
    lane = session.get(Lane, batch.lane_key)
    if lane is None:
        return None
    ahead, counted = session.execute(
        select(func.coalesce(func.sum(Message.segments), 0), func.count()).where(
            Message.lane_key == batch.lane_key, text("message.state = 'waiting'")
        )
    ).one()
    opens_at = session.scalar(
        select(func.max(Message.due_at)).where(
            Message.lane_key == batch.lane_key,
            text("coalesce(message.batch_id, '') = :batch").bindparams(batch=batch.id),
            text("message.state = 'waiting'"),
        )
    )
    to_come = (batch.total - batch.prepared) * (ahead / counted if counted else 1)
    done = utcnow() + timedelta(seconds=(ahead + to_come) / lane.rate)
    return max(done, opens_at or done)


def _move(
    session: Session,
    batch: Batch,
    before: tuple[BatchState, ...],
    to: BatchState,
    actor: str,
) -> None:
    moved = session.execute(
        update(Batch)
        .where(Batch.id == batch.id, Batch.state.in_(before))
        .values(state=to)
        .execution_options(synchronize_session=False)
    )
    session.refresh(batch)
    if cast(CursorResult[Any], moved).rowcount == 0:
        raise Refusal(
            "wrong_state",
            f"The batch is {batch.state}; it cannot become {to}.",
            "state",
        )
    audit.record(session, actor, to.value, f"batch {batch.id}", batch.client_id)
