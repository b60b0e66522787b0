"""Suppression lists as CSV files, read and written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import tables
from app.domain.attributes import PHONE
from app.domain.audience import columns
from app.domain.mistakes import Refused
from app.domain.phone_spellings import texted
from app.domain.phones import InvalidPhone, normalize
from app.domain.tables import FaultyRows, Row, RowMistake, Table
from app.domain.tables.header import SPELLINGS, letters
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionReason

_PHONE_COLUMNS = {*SPELLINGS[PHONE], letters("number")}
COLUMNS = ("phone", "scope", "source", "since", "lifted", "reason", "code", "until")
_CHUNK = 1000


def read_phones(table: Table) -> tuple[list[str], FaultyRows]:
    """Return the phones of a file, each once, and what is wrong with its rows.

    The phones are in the column ``phone``; a file of one column needs no header. Rows whose
    ``lifted`` says when they were lifted (as in our own files) are left out.

    :raises Refused: when no column holds phones.
    """
    column, rows = _phone_rows(table)
    faulty = FaultyRows()
    phones: dict[str, None] = {}
    for row in rows:
        if isinstance(row, RowMistake):
            faulty.add(row.line, row.message)
            continue
        if row.values.get("lifted") or row.values.get("reason") == SuppressionReason.UNREACHABLE:
            continue
        try:
            phones.setdefault(texted(normalize(row.values[column])))
        except InvalidPhone as error:
            faulty.add(row.line, error.reason)
    return list(phones), faulty


def _phone_rows(table: Table) -> tuple[str, Iterator[Row | RowMistake]]:
    """Return the column that holds the phones, and the rows; a first line may be a phone too."""
    for column in table.columns:
        if letters(column) in _PHONE_COLUMNS:
            return column, table.rows()
    if len(table.columns) == 1:
        column = table.columns[0]
        if table.header_line and any(character.isdigit() for character in column):
            return column, chain([Row(table.header_line, {column: column})], table.rows())
        return column, table.rows()
    for column, name in columns.suggest(table).items():
        if name == PHONE:
            return column, table.rows()
    raise Refused.because(
        "No column is called phone. Name the column with the phones so, in the first line.", "file"
    )


def export(session: Session, found: SuppressionList) -> str:
    """Return a list as CSV, times in UTC.

    The columns are ``phone,scope,source,since,lifted,reason,code,until``.
    """
    rows = ((*row,) for row in _exported(session, found))
    return tables.write(COLUMNS, rows)


def _exported(session: Session, found: SuppressionList) -> Iterator[tuple[str, ...]]:
    senders = scope_names(session, found.client_id)
    entry = SuppressionEntry
    query = (
        select(
            entry.phone,
            entry.scope,
            entry.source,
            entry.since,
            entry.lifted_at,
            entry.reason,
            entry.error_code,
            entry.until,
        )
        .where(entry.list_id == found.id)
        .order_by(entry.id)
        .execution_options(yield_per=_CHUNK)
    )
    for phone, scope, source, since, lifted, reason, code, until in session.execute(query):
        yield (
            phone, senders.get(scope, scope), source, _written(since), _written(lifted), reason,
            str(code or ""), _written(until),
        )  # fmt: skip


def _written(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else ""


def scope_names(session: Session, client_id: str) -> dict[str, str]:
    """Return the client's senders by id: a number's phone, a messaging service's name."""
    query = select(Sender).where(Sender.client_id == client_id).order_by(Sender.address)
    return {one.id: one.name or one.address for one in session.scalars(query)}
