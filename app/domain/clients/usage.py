"""What clients use, per UTC month: counted by difference, so that late news corrects it.

Each message, and each text or call that came in, has an entry with what it added to its month.
When more is learnt about it (it was taken, it got longer, Twilio named its price) the difference
goes to the month. Counting again therefore changes nothing, and the sums outlive the log.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import aside
from app.domain.clients import prices
from app.domain.clients.usage_sources import (
    CHUNK,
    FIGURES,
    LOOP,
    MARGIN,
    SOURCES,
    Counted,
    Figures,
    Place,
    Source,
    month_of,
)
from app.extensions import db, unit_of_work
from app.models.base import insert_into, utcnow
from app.models.house import Bookmark, Usage, UsageEntry
from app.models.sender import Sender, SenderKind

__all__ = ["AT_A_TIME", "CHUNK", "FIGURES", "LOOP", "MARGIN", "Figures", "month_of"]

BOOKMARK = "usage"
QUICK = 500
"""Rows of the log that somebody who asks may wait for; the clock counts the rest."""
MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
AT_A_TIME = 10_000
"""New rows that the clock counts before it has other things to do."""
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)


def count(limit: int | None = None, most: int | None = None) -> bool:
    """Bring the months up to date with the log; return whether they are.

    :param limit: stop after about so many rows that are new; the rest waits for the next time.
        Those of the margin do not count: they may be more, and would never let it get on.
    :param most: stop after about so many rows of any kind, for somebody who waits.
    """
    current = True
    for source in SOURCES:
        name = f"{BOOKMARK}:{source.name}"
        began = utcnow()
        before: datetime | None = None
        after: Place | None = None
        new = seen = 0
        while (limit is None or new < limit) and (most is None or seen < most):
            try:
                start, rows = _count_some(source, name, after, began)
            except Exception as error:
                if aside.is_away(error) or not _set_faulty_aside(source, name, after):
                    raise
                continue
            before, at_end = before or start, len(rows) < CHUNK
            if at_end:
                break
            new += sum(row.updated_at > before for row in rows)
            seen += len(rows)
            after = (rows[-1].updated_at, rows[-1].id)
        else:
            current = False
    return current


def _count_some(
    source: Source, name: str, after: Place | None, began: datetime
) -> tuple[datetime, list[Counted]]:
    """Count the next rows; return where the last count had ended, and the rows."""
    with unit_of_work() as session:
        start = _lock(session, name)
        rows = [source.read(one) for one in session.scalars(source.after(start, after))]
        _add(session, rows)
        reached = began if len(rows) < CHUNK else rows[-1].updated_at
        session.get_one(Bookmark, name).at = max(start, reached)
    return start, rows


def _set_faulty_aside(source: Source, name: str, after: Place | None) -> bool:
    """Count the next rows one by one; return whether those that cannot be were set aside."""
    with unit_of_work() as session:
        query = source.after(_lock(session, name), after)
        ids = session.scalars(query.with_only_columns(source.model.id)).all()

    def alone(id_: str) -> None:
        with unit_of_work() as session:
            one = session.scalars(select(source.model).where(source.model.id == id_)).one()
            _add(session, [source.read(one)])

    return len(aside.one_by_one(LOOP, ids, str, alone)) < len(ids)


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
    session.execute(
        insert_into(session, Bookmark).values(name=name, at=_BEGINNING).on_conflict_do_nothing()
    )
    statement = select(Bookmark).where(Bookmark.name == name).with_for_update()
    return session.scalars(statement, execution_options={"populate_existing": True}).one().at


def _add(session: Session, rows: list[Counted]) -> None:
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
