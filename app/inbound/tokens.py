"""The auth tokens and shared keys with which Twilio signs, decrypted once per process."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import structlog
from cryptography.fernet import InvalidToken
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    LargeBinary,
    Row,
    bindparam,
    select,
    type_coerce,
)

from app.extensions import current_settings
from app.models.base import cipher
from app.models.credential import Credential

log = structlog.get_logger(__name__)

_OF_ACCOUNT = select(
    type_coerce(Credential.auth_token, LargeBinary),
    type_coerce(Credential.next_auth_token, LargeBinary),
).where(Credential.account_sid == bindparam("account_sid"))


def of_account(connection: Connection, account_sid: str) -> tuple[str, ...]:
    """Return every auth token that may sign for an account; several credentials may share it."""
    rows = connection.execute(_OF_ACCOUNT, {"account_sid": account_sid}).all()
    return tuple(token for row in rows for token in _readable(*row))


def _readable(*stored: bytes | None) -> tuple[str, ...]:
    """Return the tokens that can be decrypted: another client's must not be in the way of these."""
    try:
        return _decrypted(*stored)
    except InvalidToken:
        log.warning("the auth token of a credential cannot be decrypted")
        return ()


_SIGNING = ("auth_token", "next_auth_token", "webhook_key", "next_webhook_key")


def of_credential(credential: FromClause) -> list[ColumnElement[bytes]]:
    """Return the columns with all that may sign for a credential, for `decrypted`.

    Its shared keys are among them, which nobody has proved: they count for its own things only.
    """
    return [type_coerce(credential.c[name], LargeBinary).label(name) for name in _SIGNING]


def decrypted(row: Row[Any]) -> tuple[str, ...]:
    """Return what may sign among the columns of `of_credential` in `row`; most are empty."""
    return _decrypted(*(getattr(row, name) for name in _SIGNING))


def _decrypted(*stored: bytes | None) -> tuple[str, ...]:
    keys = current_settings().encryption_keys
    return tuple(_token(bytes(one), keys) for one in stored if one)


@lru_cache(maxsize=1024)
def _token(stored: bytes, _keys: tuple[str, ...]) -> str:
    """Decrypt a token once per process: it is needed by every request of its number."""
    return cipher().decrypt(stored).decode()
