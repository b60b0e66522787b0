"""What one phone gets within an hour, and whether one more message may be taken on.

Counted in the log itself, by the index of client and phone: a single message from when it is taken
on; one of a batch from when it goes out. A text that waits for its hour is not taken on before it
is in its lane, which may be later than the hour: of many for one hour only so many go.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from app.domain import clocks
from app.domain.clients import spending
from app.domain.clients.spending import Amount, Limited
from app.domain.sending import reports
from app.domain.sending.reports import Report
from app.models.base import utcnow
from app.models.client import Client
from app.models.message import Message, MessageState
from app.models.route import Destination

HOUR = timedelta(hours=1)
_message = Message.__table__
_NEVER_WENT = (MessageState.REFUSED, MessageState.SUPPRESSED, MessageState.CANCELED)
_SENT_AT = func.coalesce(_message.c.accepted_at, _message.c.claimed_at)
_WENT_AT = case(
    (_message.c.batch_id.is_not(None), _SENT_AT),
    (_message.c.send_at.is_not(None), func.coalesce(_SENT_AT, _message.c.due_at)),
    else_=_message.c.created_at,
)


@dataclass(frozen=True, slots=True)
class Recent:
    """How many messages a phone has had within the last hour, and when the first of them went."""

    count: int
    first: datetime


def amount_of(destination: Destination, segments: int) -> Amount:
    """Return what one message counts when it is taken on: its segments, or the first minute."""
    if destination is Destination.VOICE:
        return Amount(call_minutes=1)
    return Amount(segments=max(segments, 1))


def sentence(phone: str, most: int) -> str:
    """Say that a phone has had enough."""
    return f"{phone} has had {most:,} messages within an hour, which is the most that it may get."


def to_phone(clients: Collection[Any], phones: Collection[Any]) -> ColumnElement[bool]:
    """Match what these clients have for these phones, by the index that begins with the phone.

    All others that fit begin with the client, and would read all that it ever sent. A planner that
    knows nothing yet of the table, being new or just restored, has no reason not to choose one; so
    they are not open to it.
    """
    return and_(_message.c.to.in_(phones), _message.c.client_id.concat("").in_(clients))


def within_an_hour(after: Any, before: Any) -> ColumnElement[bool]:
    """Match the messages that count against the limit of their phone.

    :param after: the moment an hour ago, or a parameter for it.
    :param before: now, or as far ahead as clocks may differ: nothing that a wrong one has stamped.
    """
    row = _message.c
    # Not by NOT IN, whose list SQLAlchemy would write into the statement anew each time.
    went = and_(*(row.state != state for state in _NEVER_WENT))
    counts = or_(row.batch_id.is_(None), row.state != MessageState.WAITING)
    return and_(went, counts, after < _WENT_AT, before > _WENT_AT)


def recent(
    session: Session, client_ids: Collection[str], phones: Collection[str], now: datetime
) -> dict[tuple[str, str], Recent]:
    """Return what these phones have had of these clients, by client and phone; none is left out."""
    if not client_ids or not phones:
        return {}
    rows = session.connection().execute(
        select(_message.c.client_id, _message.c.to, func.count(), func.min(_WENT_AT))
        .where(
            to_phone(client_ids, phones),
            within_an_hour(now - HOUR, now + clocks.MOST_APART),
        )
        .group_by(_message.c.client_id, _message.c.to)
    )
    return {(client, to): Recent(count, first) for client, to, count, first in rows}


def accept(session: Session, client: Client, message: Message) -> None:
    """Count a single message that has just been written, and is taken on with the commit.

    :raises Limited: when a limit of the client is reached; the transaction must not be kept then.
    """
    now, most = utcnow(), client.limit_phone_hour
    if most is not None:
        _check_phone(session, client, message.to, most, now)
    amount = amount_of(message.destination, message.segments)
    spending.take(session, client, message.sender_id, amount)


def end_call(session: Session, message: Message, report: Report, at: datetime) -> None:
    """Count the rest of a call that has ended: its first minute was, when it was taken on."""
    if message.destination is Destination.VOICE and reports.is_end(message.destination, report):
        rest = rest_of(message.call_duration)
        spending.add(session, {(message.client_id, message.sender_id): rest}, at)


def rest_of(seconds: int | None) -> Amount:
    """Return the minutes, begun ones whole, that a call has lasted beyond its first."""
    return Amount(call_minutes=max(0, math.ceil((seconds or 0) / 60) - 1))


def _check_phone(session: Session, client: Client, phone: str, most: int, now: datetime) -> None:
    """Refuse what is one too many, this message, which is written already, included."""
    had = _had(session, client, phone, now)
    if 2 * had.count >= most:
        spending.take_turn(session.connection(), f"phone {client.id} {phone}")
        had = _had(session, client, phone, now)
    if had.count > most:
        raise Limited(sentence(phone, most), had.first + HOUR)


def _had(session: Session, client: Client, phone: str, now: datetime) -> Recent:
    found = recent(session, [client.id], [phone], now)
    return found.get((client.id, phone), Recent(0, now))
