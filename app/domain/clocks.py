"""By how much other clocks differ from this process's: the database's, and Twilio's.

Several machines have several clocks, and each may be set at any time. What is compared with a time
that another clock has stamped is compared by that clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.models.base import utcnow
from app.models.house import ClockDifference
from app.twilio.clock import Difference

_EPOCH = datetime.fromtimestamp(0, UTC)
SAME = Difference(0.0, 0.0)

MOST_APART = timedelta(seconds=5)
"""By how much the clocks of machines may differ with no effect but that: beyond this the doctor
complains, and nothing is promised but that work goes on."""


def db_now_us(session: Session) -> int:
    """Return the time by the database's clock: microseconds since 1970.

    Lanes go by this clock alone, because workers on several machines have several clocks. SQLite
    has none of its own: it runs inside this process.
    """
    if session.get_bind().dialect.name == "sqlite":
        return time.time_ns() // 1000
    now = session.scalar(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))
    return int(now or 0)


def db_now(session: Session) -> datetime:
    """Return the time by the database's clock."""
    return moment(db_now_us(session))


def moment(us: int) -> datetime:
    """Return microseconds since 1970 as an instant."""
    return _EPOCH + timedelta(microseconds=us)


def microseconds(at: datetime) -> int:
    """Return an instant as microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def has_come(
    column: ColumnElement[Any] | InstrumentedAttribute[Any], now: datetime, furthest: timedelta
) -> ColumnElement[bool]:
    """Return the condition that the time in ``column`` has come.

    It has come as well where it lies farther ahead than anything may be put off: only a clock that
    was wrong can have written it, and nothing waits for such a time.

    :param furthest: how far ahead of its writing it may lie.
    """
    return or_(column <= now, column > now + furthest + MOST_APART)


def is_over(at: datetime | None, now: datetime, furthest: timedelta) -> bool:
    """Tell of one time, or none, what :func:`has_come` tells of a column."""
    return at is None or at <= now or at > now + furthest + MOST_APART


def keep(session: Session, name: str, found: Difference) -> None:
    """Write down what a process has learnt of a clock, for the others, within its transaction."""
    session.merge(ClockDifference(name=name, low=found.low, high=found.high, measured_at=utcnow()))


def kept(session: Session, name: str) -> Difference | None:
    """Return what some process has learnt of a clock; None where none has."""
    found = session.get(ClockDifference, name)
    return None if found is None else Difference(found.low, found.high)


def database(session: Session) -> Difference:
    """Return by how much the database's clock is ahead of ours. SQLite's is ours."""
    if session.get_bind().dialect.name == "sqlite":
        return SAME
    before = time.time()
    theirs = db_now_us(session) / 1e6
    after = time.time()
    return Difference(theirs - max(after, before), theirs - min(after, before))
