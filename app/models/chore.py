"""Work on many rows that is done some at a time: so nobody waits long for a row or the lock."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import ID_LENGTH, Created, Identified, UtcDateTime, choice, utcnow


class ChoreKind(enum.StrEnum):
    """What is done, and what ``subject`` names."""

    MEMBERS = "members"
    """Members of a roll that is no population's (any more) go."""
    ENTRIES = "entries"
    """Entries of a suppression list that is gone go."""
    UPLOAD = "upload"
    """The parts of an uploaded file that is gone go."""
    HOLD = "hold"
    """What waits for a disabled endpoint is held."""
    RELEASE = "release"
    """What was held for an endpoint goes out, or is canceled."""
    PROLONG = "prolong"
    """What waited while an endpoint was paused gets that time in addition."""
    WORDS = "words"
    """The texts of a batch are read for the words in them, so that they are found."""
    LINE_TYPES = "line_types"
    """The people of a communication's list are looked up, before a start."""
    REPLAY = "replay"
    """A range of an endpoint's deliveries is sent again."""


class Chore(Identified, Created, Base):
    """Work that is not done yet; gone when it is.

    Any process can go on with it: where it stands is in the row, and moves with what was done.
    """

    __tablename__ = "chore"
    __table_args__ = (Index(None, "due_at"), Index(None, "subject"))

    kind: Mapped[ChoreKind] = mapped_column(choice(ChoreKind))
    subject: Mapped[str] = mapped_column(String(ID_LENGTH))
    """The id of what it is about; see :class:`ChoreKind`."""
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    after: Mapped[str] = mapped_column(String(ID_LENGTH), default="")
    """The row behind which it goes on, where rows that are done can still be found."""
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
