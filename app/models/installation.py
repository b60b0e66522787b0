"""This installation: who it is, whether it sends, and how often its processes have claimed."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import ID_LENGTH, Created, UtcDateTime, choice, new_id


class Hold(enum.StrEnum):
    """Why nothing is sent until somebody has looked at Twilio's log."""

    WENT_BACK = "went_back"
    """The database knows less than what was noted outside it: a backup was restored."""
    NO_MARK = "no_mark"
    """Nothing is noted outside it, and it has sent before: it may be a copy or a backup."""


class Installation(Created, Base):
    """The one row about the installation itself; it goes along into every copy of the database."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("place = 1", name="only_one"),)

    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    id: Mapped[str] = mapped_column(String(ID_LENGTH), default=new_id)
    """Marks outside the database carry it: those of another installation mean nothing here."""
    held_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when texts and calls wait because the database was restored."""
    held_because: Mapped[Hold | None] = mapped_column(choice(Hold))


class ClaimCount(Base):
    """How often a process has claimed messages: each claim's commit moves its own row by one.

    Noted outside the database as well before anything of the claim is posted. A database that
    counts less than what is noted was restored from a backup.
    """

    __tablename__ = "claim_count"

    holder: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    """The process's lease token."""
    number: Mapped[int] = mapped_column(BigInteger, default=0)
