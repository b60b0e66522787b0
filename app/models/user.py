"""People who sign in to the staff pages."""

from __future__ import annotations

import enum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import Created, Identified, choice


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
