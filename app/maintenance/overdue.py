"""What has not ended and is too old all the same: it is ended, so that its text can go."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.orm import Session

from app.domain.sending import statuses
from app.models.base import utcnow
from app.models.delivery import Delivery, DeliveryState
from app.models.message import Message, MessageState

ASKED_ABOUT = timedelta(days=1)
"""A message of unknown fate may still be heard of for this long after it was sent."""
WAITED_TOO_LONG = "It waited for longer than texts are kept, so it was not sent."


def has_ended() -> ColumnElement[bool]:
    """Return the condition on a message that nothing is to be sent or soon to be heard of it."""
    return or_(
        Message.state.not_in((MessageState.WAITING, MessageState.CLAIMED, MessageState.UNKNOWN)),
        (Message.state == MessageState.UNKNOWN)
        & or_(
            Message.check_at.is_(None),
            Message.claimed_at.is_(None),
            Message.claimed_at < utcnow() - ASKED_ABOUT,
        ),
    )


def held(client_id: str, cutoff: datetime, now: datetime) -> Select[str]:
    """Find what waits for a disabled endpoint for longer than the text may be kept."""
    return select(Delivery.id).where(
        Delivery.client_id == client_id,
        Delivery.created_at < cutoff,
        Delivery.state == DeliveryState.HELD,
        Delivery.give_up_at < now,
    )


def cancel_deliveries(session: Session, ids: list[str]) -> Counter[str]:
    """Tell it to nobody any more."""
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.HELD)
        .values(state=DeliveryState.CANCELED, next_attempt_at=None)
        .execution_options(synchronize_session=False)
    )
    return +Counter(canceled=len(ids))


def waiting(client_id: str, cutoff: datetime) -> Select[str]:
    """Find texts and calls that wait since before ``cutoff``, in a paused batch for example.

    One that is due later, or at an hour that somebody chose, was to wait.
    """
    return select(Message.id).where(
        Message.client_id == client_id,
        Message.created_at < cutoff,
        Message.state == MessageState.WAITING,
        func.coalesce(Message.due_at, Message.send_at, cutoff - ASKED_ABOUT) < cutoff,
    )


def cancel_messages(session: Session, ids: list[str]) -> Counter[str]:
    """Send them no more; who asked to be told of problems is told."""
    ended = [
        statuses.end(
            session,
            message_id,
            MessageState.CANCELED,
            before=(MessageState.WAITING,),
            reason="canceled",
            error_message=WAITED_TOO_LONG,
        )
        for message_id in ids
    ]
    return +Counter(canceled=sum(message is not None for message in ended))
