"""Long lists as CSV files and Excel workbooks: streamed, so that their length costs no memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, Response, abort, current_app, g, request
from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app.domain import tables
from app.domain.mistakes import Refused
from app.extensions import db, unit_of_work
from app.staff import own

KINDS = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""Kinds of files, and what they are on the web (ECMA-376, RFC 4180)."""
FILE = "<any(csv, xlsx):ending>"
"""How the address of a download ends."""
TOGETHER = 1_000
"""Rows read at once; between two parts nothing is held."""


@dataclass(frozen=True)
class Whose:
    """What is known of the client while its rows are written down."""

    id: str
    time_zone: str


Place = Sequence[InstrumentedAttribute[Any]]
Lines = Callable[[Sequence[Any]], Iterable[Sequence[object]]]


def table(
    kind: str,
    name: str,
    columns: Sequence[str],
    query: Select[Any],
    place: Place,
    lines: Lines,
) -> Response:
    """Stream all that ``query`` finds, in the order of ``place``, as a file for spreadsheets.

    :param kind: ``csv`` or ``xlsx``; see :data:`KINDS`.
    :param place: columns that order the rows and of which an index knows; the last one is unique.
    :param lines: writes some rows down, one line each.
    """
    with unit_of_work() as session:
        own.note(session, "export", name)
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    of = Whose(g.client.id, g.client.time_zone)

    def parts() -> Iterator[list[Sequence[object]]]:
        after: tuple[Any, ...] | None = None
        while True:
            with app.app_context():  # of its own: nothing is held while somebody reads slowly
                g.client = of
                rows, after = _part(query, place, after)
                written = list(lines(rows))
            yield written
            if after is None:
                return

    return hand_out(name, written(kind, columns, parts()), kind)


def written(
    kind: str, columns: Sequence[str], parts: Iterable[Iterable[Sequence[object]]]
) -> Iterator[str] | Iterator[bytes]:
    """Return a file piece by piece; see :data:`KINDS`.

    :param parts: the rows, some at a time.
    """
    if kind == "xlsx":
        return tables.write_workbook(columns, parts)
    return (tables.write_rows(rows) for rows in chain([[columns]], parts))


def hand_out(
    name: str, content: str | Iterator[str] | Iterator[bytes], kind: str = "csv"
) -> Response:
    """Return a file for download, called as what is in it."""
    safe = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "list"
    return Response(
        content,
        mimetype=KINDS[kind],
        headers={"Content-Disposition": f'attachment; filename="{safe}.{kind}"'},
    )


def between(column: InstrumentedAttribute[datetime]) -> list[ColumnElement[bool]]:
    """Return the conditions of the days that the address names, ``from`` and ``until``.

    Both are whole days in the client's zone; a day that is none ends the request with 422.
    """
    found: list[ColumnElement[bool]] = []
    for name, days in (("from", 0), ("until", 1)):
        if not (typed := request.args.get(name, "")):
            continue
        try:
            day = own.typed_time(typed, name, "Write days as 2026-11-29.")
        except Refused as refused:
            abort(422, str(refused))
        edge = day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
        found.append(column < edge if days else column >= edge)
    return found


def there(moment: datetime | None) -> str:
    """Write a time in the client's zone as spreadsheets read it."""
    if moment is None:
        return ""
    return f"{moment.astimezone(ZoneInfo(g.client.time_zone)):%Y-%m-%d %H:%M:%S}"


def _part(
    query: Select[Any], place: Place, after: tuple[Any, ...] | None
) -> tuple[Sequence[Any], tuple[Any, ...] | None]:
    """Return the rows behind a place, and the place of the last one; None where no more follow."""
    if after is not None:
        query = query.where(tuple_(*place) > after)
    rows = db.session.scalars(query.order_by(*place).limit(TOGETHER)).all()
    if len(rows) < TOGETHER:
        return rows, None
    return rows, tuple(getattr(rows[-1], column.key) for column in place)
