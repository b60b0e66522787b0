"""What each row of the log adds to its client's month."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, or_, select

from app.domain import aside
from app.domain.clients import prices
from app.models.incoming import Incoming
from app.models.message import Message
from app.models.route import Destination
from app.twilio.segments import estimate_cost

LOOP = "usage"
MARGIN = timedelta(minutes=2)
"""How far each count looks back before the last one: transactions and clocks may be that late."""
CHUNK = 100
"""Rows counted in one transaction, which on SQLite keeps other writers waiting for 20 ms or so."""
_NOT_CHARGED = ("failed", "canceled")
"""Twilio's words for what never left it."""

Place = tuple[datetime, str]
"""When a row was last changed, and its id: the order in which rows are counted."""

FIGURES = (
    "segments_in", "segments_out", "messages_in", "messages_out", "media_in", "media_out",
    "call_minutes", "price",
)  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """What something adds to a month; calls in whole minutes, the price in US dollars."""

    segments_in: int = 0
    segments_out: int = 0
    messages_in: int = 0
    messages_out: int = 0
    media_in: int = 0
    media_out: int = 0
    call_minutes: int = 0
    price: float = 0.0

    def minus(self, other: Figures) -> Figures:
        """Return the difference."""
        return Figures(**{name: getattr(self, name) - getattr(other, name) for name in FIGURES})


@dataclass
class Counted:
    """Something of the log with its figures of now."""

    id: str
    client_id: str
    month: str
    figures: Figures
    updated_at: datetime = field(compare=False)


@dataclass(frozen=True)
class Source:
    """A table of the log, and how its rows are read."""

    name: str
    model: type[Message] | type[Incoming]
    read: Callable[[Any], Counted]

    def after(self, start: datetime, after: Place | None) -> Select[Any]:
        """Return the query for the next rows."""
        at, last = after or (start - MARGIN, "")
        model: Any = self.model
        return (
            select(model)
            .where(
                # This says nothing new, but lets the index begin there instead of at the start.
                model.updated_at >= at,
                or_(model.updated_at > at, model.id > last),
                aside.free(LOOP, model.id),
            )
            .order_by(model.updated_at, model.id)
            .limit(CHUNK)
        )


def month_of(at: datetime) -> str:
    """Return the UTC month as ``2026-11``."""
    return f"{at.astimezone(UTC):%Y-%m}"


def _message(one: Message) -> Counted:
    month = month_of(one.accepted_at or one.created_at)
    return Counted(one.id, one.client_id, month, _sent(one), one.updated_at)


def _arrival(one: Incoming) -> Counted:
    month = month_of(one.received_at)
    return Counted(one.id, one.client_id, month, _received(one), one.updated_at)


SOURCES = (
    Source("messages", Message, _message),
    Source("incoming", Incoming, _arrival),
)


def _sent(message: Message) -> Figures:
    """What a message of ours adds: nothing until Twilio has it."""
    if message.sid is None or (message.status in _NOT_CHARGED and message.price is None):
        return Figures()
    if message.destination is Destination.VOICE:
        minutes = _minutes(message.call_duration)
        price = _price(message.price, prices.CALL_MINUTE * minutes)
        return Figures(call_minutes=minutes, price=price)
    estimate = estimate_cost(message.segments, len(message.media), prices.PRICES)
    return Figures(
        messages_out=1,
        segments_out=message.segments,
        media_out=len(message.media),
        price=_price(message.price, estimate),
    )


def _received(incoming: Incoming) -> Figures:
    """What came in; its price is an estimate until Twilio's log names it."""
    if incoming.destination is Destination.VOICE:
        minutes = _minutes(incoming.call_duration)
        price = _price(incoming.price, prices.INCOMING_CALL_MINUTE * minutes)
        return Figures(call_minutes=minutes, price=price)
    cost = estimate_cost(incoming.segments, len(incoming.media), prices.INCOMING_PRICES)
    return Figures(
        messages_in=1,
        segments_in=incoming.segments,
        media_in=len(incoming.media),
        price=_price(incoming.price, cost),
    )


def _price(reported: float | None, estimate: Decimal) -> float:
    return round(abs(reported) if reported is not None else float(estimate), 5)


def _minutes(seconds: int | None) -> int:
    return math.ceil((seconds or 0) / 60)
