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
    """Counts up to end all of the person's sessions at once."""


class Membership(Base):
    """A person's role for one client."""

    __tablename__ = "membership"

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), primary_key=True, index=True)
    role: Mapped[Role] = mapped_column(choice(Role), default=Role.STAFF)


class LoginFailure(Base):
    """A sign-in that failed, kept for a quarter of an hour to limit guessing."""

    __tablename__ = "login_failure"
    __table_args__ = (Index(None, "account", "at"), Index(None, "address", "at"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    account: Mapped[str] = mapped_column(String(254))
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, index=True)
