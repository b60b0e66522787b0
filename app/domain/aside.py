"""What makes a loop raise is set aside, and the others go on: the one place that says how.

Drains and chores go through the rows of all clients. A row that makes one raise, whatever the
cause, is left out by that loop for a while, with the reason; support is mailed once a day and loop,
and sees what is aside on its page, in ``/metrics`` and in ``flask doctor``. It is tried again after
minutes, then hours, or when support says so, so that a cause that has been mended is forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple

import structlog
from redis import RedisError
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    SQLColumnExpression,
    delete,
    select,
)
from sqlalchemy import Row as SqlRow
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.relaying import notices
from app.extensions import current_settings, db, unit_of_work
from app.models.base import insert_into, utcnow
from app.models.house import SetAside

log = structlog.get_logger(__name__)

Row = TypeVar("Row")
Done = TypeVar("Done")
Moment = datetime | BindParameter[datetime]
Columns = TypeVarTuple("Columns")

PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
"""How long something is left out: the first time, the second, and so on."""
KEPT = timedelta(hours=6)
"""How long after its last pause something is remembered, if it has not raised again."""
ON_SQLITE, ELSEWHERE = 10, 250
"""Rows to be changed in one transaction. SQLite has one writer at a time, for which answers to
Twilio wait: 20 ms at most, of which each row whose end is announced takes one or two."""
NAME_LENGTH, REASON_LENGTH = 100, 500
LOOPS = {
    "send": "sending",
    "credential": "reading a Twilio account",
    "batch": "moving a batch on",
    "run": "starting a communication that goes out by itself",
    "settle": "looking up what became of a message",
    "sweep": "taking up a lost claim",
    "refresh": "fetching missing statuses",
    "recovery": "taking in what was missed",
    "prices": "fetching prices",
    "usage": "counting usage",
    "audit": "looking over the numbers",
    "retention": "removing what is too old",
    "voicemail": "fetching voice messages",
    "relay": "delivering an event or a mail",
    "reports": "applying what Twilio reported of a message",
    "ahead": "bringing back times of a wrong clock",
    "news": "telling owners what is new",
    "mail": "taking in a mail",
    "confirm": "asking Twilio about an account",
    "calendars": "reading a calendar",
    "reminders": "reminding of what waits",
    "text back": "texting callers back",
    "line types": "looking up what kind of line phones are",
    "chores": "going on with work on many rows",
    "erasures": "finishing or repeating the erasure of a person",
}
"""What each loop does, for people."""


_AWAY = ("08", "53", "57P", "58")
"""PostgreSQL's classes of errors that are the server's: connections, room, shutdown, disks."""
_PASSING = ("40001", "40P01", "55P03", "57014")
"""PostgreSQL's codes for what is mostly over at the next try: locks, deadlocks, time-outs."""


class ConcernsAllError(RuntimeError):
    """What no row is at fault for: the loop has to end."""


def is_away(error: BaseException) -> bool:
    """Tell whether not the row is at fault but the database or Redis, which cannot be reached.

    So it is while somebody else holds the only writer's lock of SQLite. What SQLite can only call
    an error is of the statement: JSON in a row that is none, for example.
    """
    if not isinstance(error, DBAPIError):
        return isinstance(error, (PoolTimeout, RedisError, ConcernsAllError))
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR
    code = getattr(error.orig, "sqlstate", None)
    return code is None or code.startswith(_AWAY)


class set_aside:
    """Do something about one row of many; if it raises, note it and go on with the next one.

    Whatever the session has begun is rolled back. The loop leaves the row out by :func:`free`. It
    goes round the row's transaction, never inside one.
    """

    def __init__(self, loop: str, name: str) -> None:
        """:param loop: a key of `LOOPS`.
        :param name: the id of the row, or whatever else names what is left out.
        """
        self._loop, self._name = loop, name

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> bool:
        """Note what was raised, if anything, and go on.

        :raises SQLAlchemyError, RedisError: when the database or Redis is away, which concerns all.
        """
        if not isinstance(error, Exception):
            return False  # nothing was raised, or the process is being ended
        db.session.rollback()
        if is_away(error):
            return False
        log.error("set aside", loop=self._loop, name=self._name, exc_info=error)
        note(self._loop, self._name, error)
        return True


def one_by_one(
    loop: str, rows: Sequence[Row], name: Callable[[Row], str], do: Callable[[Row], Done]
) -> list[Done]:
    """Do something about each row; those that raise are set aside. Return what the others gave."""
    done: list[Done] = []
    for row in rows:
        with set_aside(loop, name(row)):
            done.append(do(row))
    return done


def together(
    loop: str,
    rows: Sequence[Row],
    name: Callable[[Row], str],
    do: Callable[[Sequence[Row]], Done],
    on_sqlite: int = ON_SQLITE,
) -> list[Done]:
    """Do something about a few rows at once, or, where that raises, about each of them alone.

    :param do: owns its transaction, so that nothing of a turn that raises is left.
    :param on_sqlite: how many those are on SQLite.
    """
    return [done for some in few(rows, on_sqlite) for done in _together(loop, some, name, do)]


def few(rows: Sequence[Row], on_sqlite: int = ON_SQLITE) -> Iterator[Sequence[Row]]:
    """Yield rows in pieces of which each may be written in one transaction."""
    most = on_sqlite if current_settings().is_sqlite else ELSEWHERE
    for first in range(0, len(rows), most):
        yield rows[first : first + most]


def _together(
    loop: str,
    rows: Sequence[Row],
    name: Callable[[Row], str],
    do: Callable[[Sequence[Row]], Done],
) -> list[Done]:
    try:
        return [do(rows)]
    except Exception as error:
        db.session.rollback()
        if is_away(error):
            raise
        log.warning("one of several is at fault", loop=loop, error=type(error).__name__)
    return one_by_one(loop, rows, name, lambda row: do([row]))


def rows(
    loop: str,
    session: Session,
    query: Select[*Columns],
    key: SQLColumnExpression[Any],
    keys: Select[Any],
) -> Sequence[SqlRow[*Columns]]:
    """Run a query over rows of all clients; where it raises, row by row.

    A value that cannot be read, such as JSON that is none, makes the whole query raise.

    :param key: what tells the query's rows apart; ``keys`` are all that there may be.
    """
    try:
        return session.execute(query).all()
    except Exception as error:
        db.session.rollback()
        if is_away(error):
            raise
        log.warning("a query fails because of one row", loop=loop, error=type(error).__name__)
    found = session.scalars(keys).all()
    each = one_by_one(loop, found, str, lambda one: session.execute(query.where(key == one)).all())
    return [row for some in each for row in some]


def note(loop: str, name: str, error: Exception) -> datetime:
    """Write down that something is left out, and tell support; return until when.

    :raises SQLAlchemyError: when the database is away.
    """
    now, key = utcnow(), {"loop": loop, "name": name[:NAME_LENGTH]}
    with unit_of_work() as session:
        before = session.scalar(select(SetAside.times).filter_by(**key)) or 0
        until = now + PAUSES[min(before, len(PAUSES) - 1)]
        news = {"reason": reason_of(error), "times": before + 1, "until": until}
        row = insert_into(session, SetAside).values(**key, **news, since=now)
        session.execute(row.on_conflict_do_update(index_elements=list(key), set_=news))
    if before == 0 and _is_passing(error):
        return until
    try:
        with unit_of_work() as session:
            _tell_support(session, loop, name, reason_of(error), now)
    except SQLAlchemyError:
        log.exception("support could not be told")  # what raises may be the way of the mails itself
    return until


def _is_passing(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _PASSING


def reason_of(error: Exception) -> str:
    """Return the error for people, without the words of a text or a secret.

    The parameters of a statement are hidden by the engine; of all else only the kind is told, for
    messages of errors quote what they stumbled over.
    """
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f" in {where.tb_frame.f_code.co_name}" if where is not None else ""
    return f"{type(cause).__name__}{place}"[:REASON_LENGTH]


def free(
    loop: str, name: SQLColumnExpression[Any], now: Moment | None = None
) -> ColumnElement[bool]:
    """Return the condition that a row is not set aside by a loop."""
    return name.not_in(_aside(loop, utcnow() if now is None else now))


def names(session: Session, loop: str, now: datetime | None = None) -> set[str]:
    """Return the names of all that a loop leaves out now."""
    return set(session.scalars(_aside(loop, utcnow() if now is None else now)))


def _aside(loop: str, now: Moment) -> Select[str]:
    return select(SetAside.name).where(SetAside.loop == loop, SetAside.until > now)


def current(session: Session) -> Sequence[SetAside]:
    """Return what is aside, or has just been and not been tried again, the oldest first."""
    return session.scalars(
        select(SetAside)
        .where(SetAside.until > utcnow() - PAUSES[0])
        .order_by(SetAside.since, SetAside.loop, SetAside.name)
        .limit(1000)
    ).all()


def try_again(session: Session, loop: str, name: str, actor: str) -> bool:
    """Let a loop take something up again at once; return whether it was aside."""
    gone = session.scalar(
        delete(SetAside)
        .where(SetAside.loop == loop, SetAside.name == name)
        .returning(SetAside.loop)
    )
    if gone is not None:
        audit.record(session, actor, "try again", f"{loop} {name}", None)
    return gone is not None


def forget() -> None:
    """Delete what has not raised again for hours; for the clock."""
    old = SetAside.until < utcnow() - KEPT
    if db.session.scalar(select(SetAside.loop).where(old).limit(1)) is not None:
        with unit_of_work() as session:
            session.execute(delete(SetAside).where(old))
    db.session.rollback()


def _tell_support(session: Session, loop: str, name: str, reason: str, now: datetime) -> None:
    notices.notify(
        session,
        current_settings().support_email,
        f"Dispatch has set something aside while {LOOPS[loop]}",
        f"While {LOOPS[loop]}, Dispatch stumbled over “{name}”: {reason}.\n\nIt is left out and"
        " tried again from time to time; everything else goes on. The log says more.\n\nFurther"
        " ones of this kind are not mailed about today: the page “Set aside” of support and `flask"
        " doctor` list all of them.\n",
        dedupe_key=f"aside:{loop}:{now:%Y-%m-%d}",
    )
