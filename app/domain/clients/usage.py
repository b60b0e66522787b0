"""What clients use, per UTC month: counted by difference, so that late news corrects it.

Each message, and each text or call that came in, has an entry with what it added to its month.
When more is learnt about it (it was taken, it got longer, Twilio named its price) the difference
goes to the month. Counting again therefore changes nothing, and the sums outlive the log.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.domain.clients import prices
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.house import Bookmark, Usage, UsageEntry
from app.models.incoming import Incoming
from app.models.message import Message
from app.models.route import Channel
from app.models.sender import Sender, SenderKind
from app.twilio.segments import estimate_cost

BOOKMARK = "usage"
MARGIN = timedelta(minutes=2)
"""How far each count looks back before the last one: transactions and clocks may be that late."""
CHUNK = 500
QUICK = 500
"""Rows of the log that somebody who asks may wait for; the clock counts the rest."""
MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
_NOT_CHARGED = ("failed", "canceled")
"""Twilio's words for what never left it."""

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
class _Counted:
    """Something of the log with its figures of now."""

    id: str
    client_id: str
    month: str
    figures: Figures
    updated_at: datetime = field(compare=False)


def count(limit: int | None = None, most: int | None = None) -> bool:
    """Bring the months up to date with the log; return whether they are.

    :param limit: stop after about so many rows that are new; the rest waits for the next time.
        Those of the margin do not count: they may be more, and would never let it get on.
    :param most: stop after about so many rows of any kind, for somebody who waits.
    """
    current = True
    for source in (_messages, _incoming):
        name = f"{BOOKMARK}:{source.__name__.strip('_')}"
        began = utcnow()
        before: datetime | None = None
        after: tuple[datetime, str] | None = None
        new = seen = 0
        while (limit is None or new < limit) and (most is None or seen < most):
            with unit_of_work() as session:
                start = _lock(session, name)
                before = before or start
                rows = source(session, after or (start - MARGIN, ""))
                _add(session, rows)
                at_end = len(rows) < CHUNK
                reached = began if at_end else rows[-1].updated_at
                session.get_one(Bookmark, name).at = max(start, reached)
            if at_end:
                break
            new += sum(row.updated_at > before for row in rows)
            seen += len(rows)
            after = (rows[-1].updated_at, rows[-1].id)
        else:
            current = False
    return current


def month_of(at: datetime) -> str:
    """Return the UTC month as ``2026-11``."""
    return f"{at.astimezone(UTC):%Y-%m}"


def check_month(written: str) -> str:
    """Return the name of a month as it is; raise ValueError for anything else."""
    if not MONTH.fullmatch(written):
        raise ValueError(f"“{written[:20]}” is no month; write it like 2026-11.")
    return written


def numbers_monthly_cost(session: Session, client_id: str) -> float:
    """Return what a client's numbers at Twilio cost each month, by list price."""
    rows = session.scalars(
        select(Sender.type).where(
            Sender.client_id == client_id,
            Sender.kind == SenderKind.TWILIO,
            (Sender.stopped_at.is_(None)) | (Sender.twilio_sid.is_not(None)),
        )
    )
    return float(sum((prices.MONTHLY[kind] for kind in rows), Decimal()))


@dataclass(frozen=True)
class Month:
    """A client's month as it stands."""

    figures: Figures
    numbers_monthly_cost: float
    currency: str = prices.CURRENCY


def of_month(session: Session, client_id: str, month: str) -> Month:
    """Return a client's month; one in which nothing was used has zeros.

    The current month has at least the cost of the numbers that the client has now.
    """
    found = session.get(Usage, (client_id, month), populate_existing=True)
    cost = found.numbers_monthly_cost if found else 0.0
    if month == month_of(utcnow()):
        cost = max(cost, numbers_monthly_cost(session, client_id))
    return Month(_figures(found) if found else Figures(), cost)


def current(client_id: str, month: str) -> Month:
    """Return a client's month, brought up to date first as far as that is quick."""
    count(most=QUICK)
    return of_month(db.session(), client_id, month)


def _lock(session: Session, name: str) -> datetime:
    """Return where the last count ended; two counts at once go one after the other."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(
        dialect.insert(Bookmark).values(name=name, at=_BEGINNING).on_conflict_do_nothing()
    )
    statement = select(Bookmark).where(Bookmark.name == name).with_for_update()
    return session.scalars(statement, execution_options={"populate_existing": True}).one().at


def _messages(session: Session, after: tuple[datetime, str]) -> list[_Counted]:
    rows = session.scalars(
        select(Message)
        .where(_later(Message, after))
        .order_by(Message.updated_at, Message.id)
        .limit(CHUNK)
    )
    return [
        _Counted(
            one.id, one.client_id, month_of(one.accepted_at or one.created_at),
            _sent(one), one.updated_at,
        )
        for one in rows
    ]  # fmt: skip


def _incoming(session: Session, after: tuple[datetime, str]) -> list[_Counted]:
    rows = session.scalars(
        select(Incoming)
        .where(_later(Incoming, after))
        .order_by(Incoming.updated_at, Incoming.id)
        .limit(CHUNK)
    )
    return [
        _Counted(one.id, one.client_id, month_of(one.received_at), _received(one), one.updated_at)
        for one in rows
    ]


def _later(model: type[Message] | type[Incoming], after: tuple[datetime, str]) -> Any:
    at, last = after
    # The first condition says nothing new, but lets the index begin there instead of at the start.
    return and_(
        model.updated_at >= at,
        or_(model.updated_at > at, model.id > last),
    )


def _sent(message: Message) -> Figures:
    """What a message of ours adds: nothing until Twilio has it."""
    if message.sid is None or (message.status in _NOT_CHARGED and message.price is None):
        return Figures()
    if message.destination is Channel.VOICE:
        minutes = _minutes(message.call_duration)
        price = _price(message.price, prices.CALL_MINUTE * minutes)
        return Figures(messages_out=1, call_minutes=minutes, price=price)
    estimate = estimate_cost(message.segments, len(message.media), prices.PRICES)
    return Figures(
        messages_out=1,
        segments_out=message.segments,
        media_out=len(message.media),
        price=_price(message.price, estimate),
    )


def _received(incoming: Incoming) -> Figures:
    """What came in; its price is an estimate until Twilio's log names it."""
    if incoming.destination is Channel.VOICE:
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


def _add(session: Session, rows: list[_Counted]) -> None:
    """Add to the months what is new about these rows."""
    entries = {
        entry.id: entry
        for entry in session.scalars(
            select(UsageEntry).where(UsageEntry.id.in_([row.id for row in rows]))
        )
    }
    changes: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    for row in rows:
        entry = entries.get(row.id)
        before = _figures(entry) if entry else Figures()
        if row.figures == before and (entry is None or entry.month == row.month):
            continue
        if entry is not None and entry.month != row.month:  # taken in another month than made
            changes[row.client_id, entry.month].append(Figures().minus(before))
            before = Figures()
        changes[row.client_id, row.month].append(row.figures.minus(before))
        if entry is None:
            entry = UsageEntry(id=row.id, client_id=row.client_id)
            session.add(entry)
        entry.month = row.month
        for name in FIGURES:
            setattr(entry, name, getattr(row.figures, name))
    for (client_id, month), differences in sorted(changes.items()):
        _add_to_month(session, client_id, month, differences)


def _add_to_month(session: Session, client_id: str, month: str, differences: list[Figures]) -> None:
    usage = session.get(Usage, (client_id, month))
    if usage is None:
        usage = Usage(client_id=client_id, month=month, **dict.fromkeys(FIGURES, 0))
        session.add(usage)
    for name in FIGURES:
        total = getattr(usage, name) + sum(getattr(one, name) for one in differences)
        setattr(usage, name, round(total, 5))
    if month == month_of(utcnow()):
        cost = numbers_monthly_cost(session, client_id)
        usage.numbers_monthly_cost = max(usage.numbers_monthly_cost or 0.0, cost)


def _figures(entry: UsageEntry | Usage) -> Figures:
    return Figures(**{name: getattr(entry, name) for name in FIGURES})
