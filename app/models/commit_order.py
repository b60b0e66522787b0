"""The order in which rows became visible to others, for lists that are read page by page.

It means the same in every database that the rows are copied to, and is counted on there: a dump
holds the rows, the sequence, and nothing else that it depends on.
"""

from __future__ import annotations

from typing import ClassVar, cast

from sqlalchemy import BigInteger, ColumnElement, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, Session, declared_attr, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler


class commit_order(ColumnElement[int]):
    """An SQL expression for the place of a row in the order of commits.

    On PostgreSQL, where transactions overlap, a function of the database (migration 0016) gives
    each transaction one number of a sequence; but first the transaction locks a lower number for as
    long as it runs. Whoever reads only rows up to :func:`settled_up_to`, ordered by
    (commit_order, id), misses none and sees none twice. SQLite has one writer at a time, so
    counting up does the same; it begins at the time in microseconds, so that it goes on ahead of
    every number given before where all rows have gone since, or an older copy of the file was put
    in its place. There the row that was written last has the highest number, unless rows move on.
    """

    inherit_cache = True
    type = BigInteger()

    def __init__(self, table: str, moves: bool = False) -> None:
        self.table = table
        self.moves = moves


@compiles(commit_order)
def _count_up(element: commit_order, _compiler: SQLCompiler, **_: object) -> str:
    last = f"SELECT commit_order FROM {element.table} ORDER BY rowid DESC LIMIT 1"  # noqa: S608
    if element.moves:
        last = f"SELECT max(commit_order) FROM {element.table}"  # noqa: S608
    now = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
    return f"max(coalesce(({last}), 0) + 1, {now})"


@compiles(commit_order, "postgresql")
def _transactions_number(_element: commit_order, _compiler: SQLCompiler, **_: object) -> str:
    return "next_commit_order()"


class Ordered:
    """Gives a table the order in which its rows became visible, for lists read page by page."""

    __tablename__: str
    __moves__: ClassVar[bool] = False
    """Whether rows that change get a new place; then an index tells SQLite which is the last."""

    @declared_attr
    def commit_order(cls) -> Mapped[int]:
        """The place of the row in the order of commits."""
        place = commit_order(cls.__tablename__, cls.__moves__)
        return mapped_column(BigInteger, default=place, index=cls.__moves__)


_LAST_GIVEN = text("SELECT last_value FROM commit_order_seq")
_BEFORE_ALL_THAT_WRITE = text(
    "SELECT min(classid::bigint << 32 | objid::bigint) & ((1::bigint << 56) - 1) FROM pg_locks"
    " WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 24 = 68"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_GO_ON_FROM_NOW = text(
    "SELECT setval('commit_order_seq', now_us) FROM commit_order_seq,"
    " (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS clock (now_us)"
    " WHERE last_value < now_us"
)


def settled_up_to(session: Session) -> int | None:
    """Return the place up to which no transaction that still runs can put a row; None: no end.

    It costs PostgreSQL two looks, in this order: whoever has a number by the first one either
    holds its lock at the second one, or has ended, and the next look sees its rows.
    """
    if session.get_bind().dialect.name == "sqlite":
        return None
    given = cast(int, session.scalar(_LAST_GIVEN))
    held: int | None = session.scalar(_BEFORE_ALL_THAT_WRITE)
    return given if held is None else min(given, held)


def skip_to_now(session: Session) -> None:
    """Let all new rows come after those that a restored database no longer knows.

    Whoever has read those goes on behind them. No more numbers are given than microseconds pass.
    """
    if session.get_bind().dialect.name != "sqlite":
        session.execute(_GO_ON_FROM_NOW)
