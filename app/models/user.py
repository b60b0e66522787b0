"""People who sign in to the staff pages."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import BigId, Created, Identified, UtcDateTime, choice, utcnow


class Role(enum.StrEnum):
    """What a person may do for a client: an owner also manages users, keys and credentials."""

    OWNER = "owner"
    STAFF = "staff"


class User(Identified, Created, Base):
    """A person. Support sees every client; others see those they are members of."""

    __tablename__ = "user"

    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(200))
    is_support: Mapped[bool] = mapped_column(default=False)
    session_version: Mapped[int] = mapped_column(default=1)
    """Counts up to end all of the person's sessions and links at once."""
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when support has closed the account; null when its person may sign in."""
    support_given_by: Mapped[str | None] = mapped_column(String(255))
    """The issuer of whose groups one made them support; null where a person did, or nobody."""


class StaffSession(Identified, Base):
    """One signed-in browser. Its cookie names it; without this row the cookie is worth nothing."""

    __tablename__ = "staff_session"

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), index=True)
    version: Mapped[int]
    """The person's ``session_version`` when it began: with another it has ended."""
    began_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was last used, to five minutes."""
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """Then it ends, however much it is used."""
    address: Mapped[str] = mapped_column(String(64))
    browser: Mapped[str] = mapped_column(String(200))
    """What the browser calls itself."""
    identity_id: Mapped[str | None] = mapped_column(ForeignKey("identity.id"), index=True)
    """By which provider's word it began; null where by the person's own password."""
    provider_session: Mapped[str | None] = mapped_column(String(255))
    """What the provider calls its own session (`sid`), by which it tells that that has ended."""


class Membership(Base):
    """A person's role for one client."""

    __tablename__ = "membership"

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), primary_key=True, index=True)
    role: Mapped[Role] = mapped_column(choice(Role), default=Role.STAFF)
    given_by: Mapped[str | None] = mapped_column(String(255))
    """The issuer of whose groups one gives the role, and takes it; null where a person gave it."""
    role_before: Mapped[Role | None] = mapped_column(choice(Role))
    """The role that a person had given before a group gave more: it comes back with its loss."""


class LoginFailure(Base):
    """A sign-in that failed, kept for a quarter of an hour to limit guessing."""

    __tablename__ = "login_failure"
    __table_args__ = (Index(None, "account", "at"), Index(None, "address", "at"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    account: Mapped[str] = mapped_column(String(254))
    address: Mapped[str] = mapped_column(String(64))
    browser: Mapped[str | None] = mapped_column(String(26))
    """The browser, where it had signed in to the account before and is counted by itself."""
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, index=True)
