"""Breakers: what is refused for everybody is not tried further."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import UtcDateTime

REASON_LENGTH = 500


class Breaker(Base):
    """What Twilio refused last for one sender's texts, or calls; and whether they are held for it.

    Closed while ``tripped_at`` is null, open from then on; half-open from ``trial_at``, when one
    message may go. There is no row before the first refusal.
    """

    __tablename__ = "breaker"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """``sms:<id of a number or service>``, which is the key of its lane, or ``voice:<id of a
    number>``, whose lane it shares with the other numbers of its Twilio account."""
    sender_id: Mapped[str] = mapped_column(ForeignKey("sender.id"), index=True)
    code: Mapped[int | None]
    """Twilio's code for the latest messages, one after the other; 0 where it gave none."""
    phones: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """For whom: different phones, at most as many as hold the lane."""
    tripped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when nothing is sent."""
    reason: Mapped[str | None] = mapped_column(String(REASON_LENGTH))
    """Why, in a sentence for people."""
    heals: Mapped[bool] = mapped_column(default=False)
    """What is wrong heals by itself: one message is let through again and again, and what Twilio
    reports of it decides, since the trouble is told in reports only."""
    trial_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """From when one message is let through."""
    trial_id: Mapped[str | None] = mapped_column(String(26), index=True)
    """The message that was let through, whose fate is not known yet."""
