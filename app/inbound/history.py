"""What has gone before between a phone and a number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Select, bindparam, exists, func, or_, select

from app.domain import clocks
from app.domain.sending import brake
from app.inbound.lookup import Number, table
from app.inbound.parsing import Arrival
from app.models.base import utcnow
from app.models.incoming import Incoming
from app.models.message import Direction, Message
from app.models.suppression import SCOPE_ALL, SuppressionEntry

WINDOW = timedelta(hours=1)
"""How far back replies are counted."""

_incoming = table(Incoming)
_message = table(Message)
_entry = table(SuppressionEntry)


@dataclass(frozen=True, slots=True)
class History:
    """What has gone before between a phone and a number, as far as an answer depends on it."""

    sender_id: str | None
    """The number to which the same SID was stored before; None when it is new."""
    answer: str | None
    """The TwiML that was given then."""
    recent_replies: int
    """How many replies the phone has had within :data:`WINDOW`."""
    recent_messages: int
    """How many messages of any kind the client has sent it within that time."""
    suppressed: bool
    """The phone is on the number's suppression list."""


def look_back(connection: Connection, arrival: Arrival, number: Number) -> History:
    """Look back, in one statement; exact until the transaction ends if the turn was taken."""
    row = connection.execute(
        _HISTORY,
        {
            "sid": arrival.sid,
            "number_id": number.id,
            "phone": arrival.from_,
            "after": arrival.received_at - WINDOW,
            "before": utcnow() + clocks.MOST_APART,
            "list_id": number.suppression_list_id,
            "service_id": number.service_id,
            "client_id": number.client.id,
        },
    ).one()
    return History(row.sender_id, row.answer, row.replies, row.messages, bool(row.suppressed))


def _history_statement() -> Select[Any]:
    same = _incoming.c.sid == bindparam("sid")
    replies = select(func.count()).where(
        _message.c.sender_id == bindparam("number_id"),
        _message.c.to == bindparam("phone"),
        _message.c.created_at > bindparam("after"),
        _message.c.created_at < bindparam("before"),  # nothing that a wrong clock has stamped
        _message.c.direction == Direction.REPLY,
    )
    messages = select(func.count()).where(
        _message.c.client_id == bindparam("client_id"),
        _message.c.to == bindparam("phone"),
        brake.within_an_hour(bindparam("after"), bindparam("before")),
    )
    listed = exists().where(
        or_(_entry.c.list_id == bindparam("list_id"), _entry.c.binding),
        _entry.c.phone == bindparam("phone"),
        or_(
            _entry.c.scope == bindparam("number_id"),
            _entry.c.scope == bindparam("service_id"),
            _entry.c.scope == SCOPE_ALL,
        ),
        _entry.c.lifted_at.is_(None),
    )
    return select(
        select(_incoming.c.sender_id).where(same).scalar_subquery().label("sender_id"),
        select(_incoming.c.answer).where(same).scalar_subquery().label("answer"),
        replies.scalar_subquery().label("replies"),
        messages.scalar_subquery().label("messages"),
        listed.label("suppressed"),
    )


_HISTORY = _history_statement()
