"""What clients spend by the minute and by the hour, so that limits are asked of a few rows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import UtcDateTime


class Spending(Base):
    """What one sender of a client has spent in one minute, or in one hour.

    Each sender has rows of its own, so that lanes do not wait for each other.
    """

    __tablename__ = "spending"
    __table_args__ = (Index(None, "at"),)

    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), primary_key=True)
    seconds: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """How long the span is: 60 or 3,600."""
    at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    """When it begins."""
    source: Mapped[str] = mapped_column(String(26), primary_key=True)
    """The id of the sender."""
    segments: Mapped[int] = mapped_column(default=0)
    call_minutes: Mapped[int] = mapped_column(default=0)
