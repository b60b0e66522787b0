"""Calling again where nobody took the call, if the communication asks for it, and never else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session, aliased

from app.models.base import new_id
from app.models.batch import Batch, BatchState
from app.models.message import Message, MessageState
from app.models.route import Destination

NOT_TAKEN = ("busy", "no-answer")
_UNDER_WAY = ("queued", "initiated", "ringing", "in-progress")
_COPIED = (
    "client_id", "destination", "direction", "sender_id", "credential_id", "to", "from_", "body",
    "member", "segments", "communication_id", "batch_id", "position", "template_version_id",
    "options", "lane_key",
)  # fmt: skip


def place_again(session: Session, message: Message, at: datetime) -> Message | None:
    """Let the call that has just ended busy or unanswered be placed again, later.

    To be called once per call, in the transaction in which it ended. Each try is a message of its
    own, whose ``step`` counts the tries; a batch that was canceled places no more.

    :returns: the next try, or None when there is none.
    """
    if (
        message.destination is not Destination.VOICE
        or message.status not in NOT_TAKEN
        or message.batch_id is None
    ):
        return None
    plan = session.get_one(Batch, message.batch_id).plan
    if message.step >= plan.get("retry_calls", 0):
        return None
    # Locked, so that a cancellation comes either before this or finds the new message.
    batch = session.get_one(Batch, message.batch_id, with_for_update=True, populate_existing=True)
    if batch.state not in (BatchState.PREPARING, BatchState.RUNNING, BatchState.PAUSED):
        return None
    values: dict[str, Any] = {name: getattr(message, name) for name in _COPIED}
    again = Message(
        id=new_id(),
        **values,
        step=message.step + 1,
        state=MessageState.WAITING,
        due_at=at + timedelta(seconds=plan["retry_calls_after"]),
    )
    session.add(again)
    session.flush()
    return again


def is_last_try() -> ColumnElement[bool]:
    """Return the condition that a call of a batch was not placed again: its member's last one."""
    later = aliased(Message)
    return ~(
        select(later.id)
        .where(
            later.batch_id == Message.batch_id,
            later.position == Message.position,
            later.step > Message.step,
        )
        .exists()
    )


def has_followed(session: Session, message: Message) -> bool:
    """Tell whether a call of a batch was placed once more."""
    if message.batch_id is None:
        return False
    later = select(Message.id).where(
        Message.batch_id == message.batch_id,
        Message.position == message.position,
        Message.step > message.step,
    )
    return session.scalar(later.limit(1)) is not None


def may_follow() -> ColumnElement[bool]:
    """Return the condition on a Batch under which one of its calls may be placed once more.

    That is a call under way, or of unknown fate; one about which Twilio is asked no more (it has no
    ``check_at``) is not waited for.
    """
    under_way = (
        select(Message.id)
        .where(
            Message.batch_id == Batch.id,
            or_(
                and_(Message.state == MessageState.ACCEPTED, Message.status.in_(_UNDER_WAY)),
                Message.state == MessageState.UNKNOWN,
            ),
            Message.check_at.is_not(None),
        )
        .correlate(Batch)
        .exists()
    )
    return and_(Batch.plan["retry_calls"].as_integer() > 0, under_way)
