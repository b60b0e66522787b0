"""The secrets of a client: Twilio accounts, API keys of client systems, saved log-ins."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, Float, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import (
    HIGHEST_RATE,
    LOWEST_RATE,
    SID_LENGTH,
    Created,
    Encrypted,
    Identified,
    Owned,
    UtcDateTime,
    between,
    choice,
)

Confirmation = Literal["confirmed", "unconfirmed", "refused"]


def confirmation_of(
    unconfirmed_since: datetime | None, stopped_at: datetime | None
) -> Confirmation:
    """Return what Twilio says about a credential with these columns."""
    if unconfirmed_since is None:
        return "confirmed"
    return "unconfirmed" if stopped_at is None else "refused"


class Credential(Identified, Owned, Created, Base):
    """A Twilio account and the API key by which a client uses it."""

    __tablename__ = "credential"
    __table_args__ = (
        UniqueConstraint("client_id", "name"),
        between("calls_per_second", LOWEST_RATE, HIGHEST_RATE),
    )

    name: Mapped[str] = mapped_column(String(100))
    account_sid: Mapped[str] = mapped_column(String(SID_LENGTH), index=True)
    auth_token: Mapped[str] = mapped_column(Encrypted)
    next_auth_token: Mapped[str | None] = mapped_column(Encrypted)
    """The token that Twilio will sign with after the rotation under way; both are accepted."""
    webhook_key: Mapped[str | None] = mapped_column(Encrypted)
    """The secret of the shared key with which Twilio signs what it sends, where one is set up."""
    next_webhook_key: Mapped[str | None] = mapped_column(Encrypted)
    api_key_sid: Mapped[str | None] = mapped_column(String(SID_LENGTH))
    api_key_secret: Mapped[str | None] = mapped_column(Encrypted)
    calls_per_second: Mapped[float] = mapped_column(Float, default=1.0)
    trial: Mapped[bool] = mapped_column(default=False)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stopped_reason: Mapped[str | None] = mapped_column(String(500))
    unconfirmed_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Twilio has not said (any more) that account and token belong together: nothing is sent, and
    the token verifies requests for the client's own numbers only."""
    asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When Twilio was asked about it; null when it is to be asked soon."""

    @property
    def confirmation(self) -> Confirmation:
        """Whether the account is the client's: ``confirmed``, ``refused`` or ``unconfirmed``."""
        return confirmation_of(self.unconfirmed_since, self.stopped_at)

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """The auth tokens, the current one first: what opens the account at Twilio."""
        return tuple(token for token in (self.auth_token, self.next_auth_token) if token)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The secrets that may sign Twilio's requests: auth tokens first, then shared keys."""
        return tuple(
            one
            for one in (
                self.auth_token,
                self.next_auth_token,
                self.webhook_key,
                self.next_webhook_key,
            )
            if one
        )


class Scope(enum.StrEnum):
    """What an API key may do; each includes the ones before it."""

    READ = "read"
    SEND = "send"
    ADMIN = "admin"


class ApiKey(Identified, Owned, Created, Base):
    """A key of a client system. Only its SHA-256 is kept; the key itself is shown once."""

    __tablename__ = "api_key"
    __table_args__ = (UniqueConstraint("client_id", "label"),)

    label: Mapped[str] = mapped_column(String(100))
    key_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scope: Mapped[Scope] = mapped_column(choice(Scope), default=Scope.ADMIN)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    made_by: Mapped[str | None] = mapped_column(String(254))
    """Who gave it its key, and so has it: a person's e-mail address, or a command."""


class SavedCredential(Identified, Owned, Created, Base):
    """A user name and password that callbacks to plain URLs may use (HTTP Basic)."""

    __tablename__ = "saved_credential"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))
    username: Mapped[str] = mapped_column(String(200))
    password: Mapped[str] = mapped_column(Encrypted)
    origins: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Where it may be sent, such as ``https://sis.example.edu``; nowhere else, at any try."""
    origins_chosen: Mapped[bool] = mapped_column(default=False)
    """Somebody has written the origins down. Otherwise an owner who uses it for a new one adds it.
    """


SIGNING = ("auth_token", "next_auth_token", "webhook_key", "next_webhook_key")
"""The columns of a credential with which Twilio may sign. Nobody has proved the shared keys among
them: they count for its own things only."""


def signing_keys(row: Any) -> tuple[str, ...]:
    """Return what may sign among the columns of :data:`SIGNING` in ``row``; most are empty."""
    return tuple(key for name in SIGNING if (key := getattr(row, name)))
