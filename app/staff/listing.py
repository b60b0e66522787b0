"""Long lists, page by page: a request looks at a bounded part, however long the list is.

A page begins after the last row of the one before (keyset pagination), so that nothing is missed
or shown twice while rows come in. Words and states that no index finds are looked for in the next
:data:`LOOK` rows only; if the page is not full by then, its reader may look further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

LOOK = 50_000
"""How many rows one request looks through."""
_DIGITS = 18
"""Every number of so many digits fits a BIGINT."""
Row = TypeVar("Row")
Column = InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows of a list."""

    rows: list[Row]
    following: Any | None
    """The last part of the place after which the next page begins; None at the end."""
    unfinished: bool = False
    """Whether the look ended before the page was full, and more may fit further on."""


def is_small(text: str, digits: int = _DIGITS) -> bool:
    """Tell whether ``text``, from an address or a form, is a number that a column can hold."""
    return text.isdecimal() and len(text) <= digits


def page(
    session: Session,
    query: Select[Row],
    place: Sequence[Column],
    after: Sequence[Any] | None,
    *,
    size: int,
    wanted: Sequence[ColumnElement[bool]] = (),
    newest_first: bool = True,
) -> Page[Row]:
    """Return one page of what ``query`` selects.

    :param query: rows of one owner, found by an index that goes on with ``place[0]``.
    :param place: the columns that order the list; the last one is unique.
    :param after: the place of the last row of the page before.
    :param wanted: conditions for which there is no index.
    """
    key = tuple_(*place)
    order = [column.desc() if newest_first else column.asc() for column in place]
    if after is not None:
        query = query.where(key < tuple(after) if newest_first else key > tuple(after))
    edge = _edge(session, query, place, newest_first) if wanted else None
    if edge is not None:
        query = query.where(key >= edge if newest_first else key <= edge)
    found = session.scalars(query.where(*wanted).order_by(*order).limit(size + 1))
    rows = list(found)
    if len(rows) > size:
        return Page(rows[:size], getattr(rows[size - 1], place[-1].key))
    return Page(rows, edge[-1] if edge else None, edge is not None)


def _edge(
    session: Session, query: Select[Any], place: Sequence[Column], newest_first: bool
) -> tuple[Any, ...] | None:
    """Return the place where the look ends; None where the list ends before that."""
    leading, last = list(place[:-1]) or [place[0]], place[-1]
    order = [column.desc() if newest_first else column.asc() for column in leading]
    found = session.execute(
        query.with_only_columns(*leading).order_by(*order).offset(LOOK - 1).limit(1)
    ).first()
    if found is None or len(place) == 1:
        return None if found is None else tuple(found)
    ties = query.with_only_columns(last).where(
        *[column == value for column, value in zip(leading, found, strict=True)]
    )
    return *found, session.scalar(ties.order_by(last if newest_first else last.desc()).limit(1))
