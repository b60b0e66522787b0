"""Column types, ids and mixins that every table shares."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Enum,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator
from ulid import ULID

from app.extensions import Base, current_settings

ID_LENGTH = 26
PHONE_LENGTH = 64  # E.164, a short code, or what odd callers send ("anonymous", sip:…)
SID_LENGTH = 34
LOWEST_RATE, HIGHEST_RATE = 0.01, 1000.0
"""Of segments or calls a second. A lane slower than this would stand still for minutes."""
MOST_COUNTED = 1_000_000_000
"""The highest number that anybody may set a count to: it fits an INTEGER of every database."""

ERASED = "erased"
"""What stands in the log in place of the phone of somebody who was erased."""

BigId = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only plain INTEGER


def table(model: type[Any]) -> Table:
    """Return the table of a model: rows of columns are all that the fast path needs."""
    return cast(Table, model.__table__)


def new_id() -> str:
    """Make an id: a ULID of 26 characters, 80 bits of it random, ordered by time of making."""
    return str(ULID())


def utcnow() -> datetime:
    """Return the time now, in UTC and aware."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant in UTC. Naive values are refused, because SQLite would drop the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware instant to UTC.

        :raises ValueError: when the value carries no zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use an aware datetime")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the stored instant as an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Encrypted(TypeDecorator[str]):
    """Text encrypted at rest with the newest of ``ENCRYPTION_KEYS``; never looked up by value."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Encrypt with the newest key."""
        return None if value is None else cipher().encrypt(value.encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Decrypt with whichever key fits.

        :raises cryptography.fernet.InvalidToken: when no key fits.
        """
        return None if value is None else decrypted(value)


def decrypted(stored: bytes) -> str:
    """Decrypt what is stored, once per process: a token is needed by every request of its number.

    :raises cryptography.fernet.InvalidToken: when no key fits.
    """
    return _decrypted(bytes(stored), current_settings().encryption_keys)


@lru_cache(maxsize=1024)
def _decrypted(stored: bytes, keys: tuple[str, ...]) -> str:
    return _cipher_of(keys).decrypt(stored).decode()


def cipher() -> MultiFernet:
    """Return the cipher of the current settings: encrypts with the newest key, reads with any."""
    return _cipher_of(current_settings().encryption_keys)


@lru_cache(maxsize=4)
def _cipher_of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def choice(members: type[enum.StrEnum]) -> Enum:
    """Make the column type of a ``StrEnum``: its values as plain text, checked by SQLAlchemy."""
    return Enum(
        members,
        native_enum=False,
        create_constraint=False,
        length=32,
        values_callable=_values,
        validate_strings=True,
    )


def _values(members: Iterable[enum.StrEnum]) -> list[str]:
    return [member.value for member in members]


def between(column: str, least: float, most: float) -> CheckConstraint:
    """Make the constraint that holds a number within what the program can reckon with.

    Whoever writes past the forms (SQL by hand, a restored table) is stopped by it; NaN as well,
    which is more than every number on PostgreSQL and no number on SQLite.
    """
    return CheckConstraint(
        f"{column} BETWEEN {least:g} AND {most:.10g}", name=f"{column}_is_possible"
    )


class Identified:
    """Gives a table its public, unguessable id."""

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=new_id)


class Owned:
    """Gives a table its client: nobody else may see the row."""

    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), index=True)


class Created:
    """Gives a table the time at which its row was made."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


def insert_into(session: Session, model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT that may say what is done on a conflict, as this database writes it."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return sqlite.insert(model) if is_sqlite else postgresql.insert(model)
