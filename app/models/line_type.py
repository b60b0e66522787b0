"""What kind of line a phone is, as Twilio Lookup has told: a landline gets no texts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import PHONE_LENGTH, UtcDateTime


class LineType(Base):
    """Twilio's answer about one phone, kept for the client that paid for it."""

    __tablename__ = "line_type"

    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), primary_key=True)
    phone: Mapped[str] = mapped_column(String(PHONE_LENGTH), primary_key=True)
    """E.164."""
    type: Mapped[str | None] = mapped_column(String(16))
    """Twilio's word (``mobile``, ``landline``, ``fixedVoip``, …); null where it gave none."""
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
