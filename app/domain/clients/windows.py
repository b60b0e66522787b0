"""The hour and the day that end now, and what has been spent within them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
)

from app.domain import clocks
from app.models.spending import Spending

MINUTE, HOUR = 60, 3600
WINDOWS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_row = Spending.__table__


def bounds(now: datetime) -> dict[str, datetime]:
    """Return the parameters of :data:`SPENT`: spans that began by then have a part in a window."""
    in_hour, in_day = (now - window - timedelta(seconds=MINUTE) for window in WINDOWS.values())
    return {
        "hour_begins": in_hour,
        "day_begins": in_day,
        "first_hour": start_of(in_day, HOUR) + timedelta(seconds=HOUR),
        "latest": now + clocks.MOST_APART,
    }


def _spent_statement() -> Select[Any]:
    """Sum what has a part in each window that ends now, each moment once.

    Made once: a caller waits, and making it anew took longer than asking.
    """
    stamped = _row.c.at <= _moment("latest")  # not what a clock that was wrong has stamped
    minutes = and_(_row.c.seconds == MINUTE, stamped)
    in_hour = and_(minutes, _row.c.at > _moment("hour_begins"))
    in_day = or_(
        and_(minutes, _row.c.at > _moment("day_begins"), _row.c.at < _moment("first_hour")),
        and_(_row.c.seconds == HOUR, stamped, _row.c.at >= _moment("first_hour")),
    )
    sums = [
        func.coalesce(func.sum(case((window, column), else_=0)), 0)
        for window in (in_hour, in_day)
        for column in (_row.c.segments, _row.c.call_minutes)
    ]
    clients: BindParameter[str] = bindparam("spent_clients", expanding=True)
    return (
        select(_row.c.client_id, *sums)
        .where(_row.c.client_id.in_(clients), or_(in_hour, in_day))
        .group_by(_row.c.client_id)
    )


def _moment(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=_row.c.at.type)


def stamped_by(now: datetime) -> ColumnElement[bool]:
    """Leave out what a clock that was wrong has stamped: it would count until that time."""
    return _row.c.at <= now + clocks.MOST_APART


def start_of(moment: datetime, seconds: int) -> datetime:
    """Return when the span of so many seconds began in which a moment lies."""
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)


SPENT = _spent_statement()
"""What the clients of ``spent_clients`` have spent within the last hour and day, by one statement;
its other parameters are those of :func:`bounds`."""
