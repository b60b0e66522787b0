"""Who was written to last, by phone and sender: read when that phone writes back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import PHONE_LENGTH, UtcDateTime


class LastContact(Base):
    """The member and message of the last text that Twilio accepted; outlives the log by far."""

    __tablename__ = "last_contact"
    __table_args__ = (Index(None, "client_id", "phone", "sent_at"), Index(None, "sent_at"))

    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), primary_key=True)
    phone: Mapped[str] = mapped_column(String(PHONE_LENGTH), primary_key=True)
    sender_id: Mapped[str] = mapped_column(ForeignKey("sender.id"), primary_key=True)
    member: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    message_id: Mapped[str] = mapped_column(String(26))
    """No foreign key: the message is gone after retention, this is kept for a year."""
    sid: Mapped[str | None] = mapped_column(String(34))
    communication_id: Mapped[str | None] = mapped_column(String(26))
    batch_id: Mapped[str | None] = mapped_column(String(26))
    body: Mapped[str | None] = mapped_column(Text)
    """The text itself, for the help desk; emptied when the message's retention is over."""
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
