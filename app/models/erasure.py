"""Erasures: that somebody was erased, without saying who; and what a restore has to repeat."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import PHONE_LENGTH, Identified, Owned, UtcDateTime

_OPEN = text("done_at IS NULL")
_AGAIN = text("repeat_at IS NOT NULL")


class Erasure(Identified, Owned, Base):
    """One person erased from what a client knows; what came later than ``at`` is not concerned.

    Its id and digest are noted outside the database as well, so that a backup from before, when it
    is restored, is rid of the same person again.
    """

    __tablename__ = "erasure"
    __table_args__ = (
        Index("ix_erasure_open", "at", postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index("ix_erasure_again", "repeat_at", postgresql_where=_AGAIN, sqlite_where=_AGAIN),
    )

    at: Mapped[datetime] = mapped_column(UtcDateTime)
    digest: Mapped[str] = mapped_column(String(32))
    """What proves that it was a phone, to whoever knows the phone and the secret key."""
    phone: Mapped[str | None] = mapped_column(String(PHONE_LENGTH))
    """Whom it is about, for as long as it is not done."""
    by: Mapped[str] = mapped_column(String(254))
    receipt: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)
    """How much went, by kind."""
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    repeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when it is to be repeated: what it erased may have come in once more."""
