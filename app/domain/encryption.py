"""Renewing what is encrypted, so that an old key can go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Column, LargeBinary, Table, select, tuple_, type_coerce, update
from sqlalchemy.orm import Session

from app.extensions import Base, current_settings, unit_of_work
from app.models.base import Encrypted, cipher

BATCH = 200
"""Values renewed in one transaction, so that nothing else waits for long."""


@dataclass
class Renewed:
    """How many values of one column were renewed, were fresh already, and could not be read."""

    column: str
    renewed: int = 0
    fresh: int = 0
    unreadable: int = 0


def rotate() -> list[Renewed]:
    """Encrypt every encrypted value of every table with the newest of ``ENCRYPTION_KEYS``.

    Safe to repeat, to stop in the middle and to run beside the service: values that the newest key
    made are left, and one that somebody changes meanwhile is not overwritten.
    """
    return [_rotate_column(table, column) for table, column in encrypted_columns()]


def encrypted_columns() -> Iterator[tuple[Table, Column[str]]]:
    """Yield every column whose values are encrypted, of every table there is."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Encrypted):
                yield table, column


def _rotate_column(table: Table, column: Column[str]) -> Renewed:
    done = Renewed(f"{table.name}.{column.name}")
    newest = Fernet(current_settings().encryption_keys[0])
    last: tuple[object, ...] | None = None
    while True:
        with unit_of_work() as session:
            last = _rotate_batch(session, table, column, newest, last, done)
        if last is None:
            return done


def _rotate_batch(
    session: Session,
    table: Table,
    column: Column[str],
    newest: Fernet,
    after: tuple[object, ...] | None,
    done: Renewed,
) -> tuple[object, ...] | None:
    """Renew the values after a key, and return the last key, or None at the end."""
    keys = list(table.primary_key.columns)
    stored = type_coerce(column, LargeBinary)
    query = select(*keys, stored).where(column.is_not(None)).order_by(*keys).limit(BATCH)
    if after is not None:
        query = query.where(tuple_(*keys) > tuple_(*after))
    rows = session.execute(query).all()
    for *key, token in rows:
        if _reads(newest, token):
            done.fresh += 1
            continue
        try:
            renewed = cipher().rotate(token)
        except InvalidToken:
            done.unreadable += 1
            continue
        same_row = [one == value for one, value in zip(keys, key, strict=True)]
        session.execute(
            update(table)
            .where(*same_row, stored == token)
            .values({column: type_coerce(renewed, LargeBinary)})
        )
        done.renewed += 1
    return tuple(rows[-1][:-1]) if rows else None


def _reads(key: Fernet, token: bytes) -> bool:
    try:
        key.decrypt(token)
    except InvalidToken:
        return False
    return True
