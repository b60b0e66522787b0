"""Suppression lists that people change by hand: created, written to, read from and made CSV."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import csv_files, named
from app.domain.audience import suppression
from app.domain.csv_files import FaultyRows, Row, RowMistake, Table
from app.domain.mistakes import Refused
from app.domain.phones import InvalidPhone, normalize
from app.models.base import utcnow
from app.models.sender import Sender
from app.models.suppression import (
    SCOPE_ALL,
    SuppressionEntry,
    SuppressionList,
    SuppressionSource,
)

_PHONE_COLUMNS = {"phone", "tophone", "phonenumber", "number", "mobile", "cell"}
_CHUNK = 1000


def create(session: Session, client_id: str, name: str) -> SuppressionList:
    """Make an empty suppression list.

    :raises Refused: when the name is empty, too long or taken.
    """
    name = named.new_name(session, SuppressionList, client_id, name)
    made = SuppressionList(client_id=client_id, name=name)
    session.add(made)
    session.flush()
    return made


def add_by_hand(
    session: Session, found: SuppressionList, phone: str, scope: str = SCOPE_ALL
) -> tuple[str, bool]:
    """Put a phone on a list for good: START does not lift it.

    :param scope: the id of one of the client's senders, or ``all``.
    :return: the phone as it is kept, and whether it is new there.
    :raises Refused: when the phone is none, or the scope no sender of the client.
    """
    try:
        wanted = normalize(phone)
    except InvalidPhone as error:
        raise Refused.because(error.reason, "phone") from None
    if scope != SCOPE_ALL:
        sender = session.get(Sender, scope)
        if sender is None or sender.client_id != found.client_id:
            raise Refused.because("Choose one of your numbers, or all of them.", "scope")
    added = suppression.suppress(
        session, found.id, wanted, scope=scope, source=SuppressionSource.MANUAL, at=utcnow()
    )
    return wanted, added


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
        if row.values.get("lifted"):
            continue
        try:
            phones.setdefault(normalize(row.values[column]))
        except InvalidPhone as error:
            faulty.add(row.line, error.reason)
    return list(phones), faulty


def _phone_rows(table: Table) -> tuple[str, Iterator[Row | RowMistake]]:
    """Return the column that holds the phones, and the rows; a first line may be a phone too."""
    for column in table.columns:
        if "".join(filter(str.isalpha, column)).lower() in _PHONE_COLUMNS:
            return column, table.rows()
    if len(table.columns) == 1:
        column = table.columns[0]
        if any(character.isdigit() for character in column):
            return column, chain([Row(1, {column: column})], table.rows())
        return column, table.rows()
    raise Refused.because(
        "No column is called phone. Name the column with the phones so, in the first line.", "file"
    )


def export(session: Session, found: SuppressionList) -> str:
    """Return a list as CSV: ``phone,scope,source,since,lifted``, times in UTC."""
    rows = ((*row,) for row in _exported(session, found))
    return csv_files.write(("phone", "scope", "source", "since", "lifted"), rows)


def _exported(session: Session, found: SuppressionList) -> Iterator[tuple[str, ...]]:
    senders = scope_names(session, found.client_id)
    entry = SuppressionEntry
    query = (
        select(entry.phone, entry.scope, entry.source, entry.since, entry.lifted_at)
        .where(entry.list_id == found.id)
        .order_by(entry.id)
        .execution_options(yield_per=_CHUNK)
    )
    for phone, scope, source, since, lifted in session.execute(query):
        yield (
            phone, senders.get(scope, scope), source, since.isoformat(timespec="seconds"),
            lifted.isoformat(timespec="seconds") if lifted else "",
        )  # fmt: skip


def scope_names(session: Session, client_id: str) -> dict[str, str]:
    """Return the client's senders by id: a number's phone, a messaging service's name."""
    query = select(Sender).where(Sender.client_id == client_id).order_by(Sender.address)
    return {one.id: one.name or one.address for one in session.scalars(query)}
