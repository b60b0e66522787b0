"""What keeping house needs: usage, the audit log, idempotency keys, bookmarks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Float, ForeignKey, Index, Numeric, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import BigId, Created, UtcDateTime, utcnow


class Counts:
    """What is counted: segments and messages, files in them, minutes of calls begun."""

    segments_in: Mapped[int] = mapped_column(default=0)
    segments_out: Mapped[int] = mapped_column(default=0)
    messages_in: Mapped[int] = mapped_column(default=0)
    messages_out: Mapped[int] = mapped_column(default=0)
    media_in: Mapped[int] = mapped_column(default=0)
    media_out: Mapped[int] = mapped_column(default=0)
    call_minutes: Mapped[int] = mapped_column(default=0)


class Usage(Counts, Base):
    """What a client used in one UTC month; kept when the log itself is gone."""

    __tablename__ = "usage"

    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    """``2026-11``."""
    price: Mapped[float] = mapped_column(Numeric(14, 5, asdecimal=False), default=0)
    """As Twilio reported it, with an estimate where it has not yet."""
    currency: Mapped[str] = mapped_column(String(3), default="USD")
    numbers_monthly_cost: Mapped[float] = mapped_column(Numeric(12, 2, asdecimal=False), default=0)
    segments_alerted: Mapped[int] = mapped_column(default=0)
    """The highest share of the threshold, in percent, that was mailed about."""
    minutes_alerted: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, onupdate=utcnow)


class UsageEntry(Counts, Base):
    """What one message or incoming text or call has added to its client's month so far.

    When more is learnt about it, such as Twilio's price, the difference is added: so nothing is
    counted twice, and nothing is lost when the message itself is gone.
    """

    __tablename__ = "usage_entry"
    __table_args__ = (Index(None, "client_id", "month"),)

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    """The id of the message, or of what came in."""
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"))
    month: Mapped[str] = mapped_column(String(7))
    price: Mapped[float] = mapped_column(Numeric(12, 5, asdecimal=False), default=0)


class AuditEntry(Base):
    """Who changed what, and when."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index(None, "client_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    client_id: Mapped[str | None] = mapped_column(ForeignKey("client.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    actor: Mapped[str] = mapped_column(String(254))
    action: Mapped[str] = mapped_column(String(64))
    target: Mapped[str] = mapped_column(String(200))
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class IdempotencyKey(Created, Base):
    """The answer that a client's request got: its repeats get the same for a day."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index(None, "created_at"),)

    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    headers: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    body: Mapped[str] = mapped_column(Text)


class SetAside(Base):
    """Something that made a loop of ours raise, left out by it for a while; see `domain.aside`."""

    __tablename__ = "set_aside"

    loop: Mapped[str] = mapped_column(String(32), primary_key=True)
    """What was to be done with it: ``send``, ``settle``, ``retention``, …"""
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    """The id of the row, or whatever else names it: a lane's key, the name of a step."""
    reason: Mapped[str] = mapped_column(String(500))
    times: Mapped[int] = mapped_column(default=1)
    since: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    until: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """Then it is tried again."""


class ClockDifference(Base):
    """By how much another clock is ahead of ours, as the process that asks it last found."""

    __tablename__ = "clock_difference"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    """``twilio``."""
    low: Mapped[float] = mapped_column(Float)
    """Seconds, at least; negative where that clock is behind."""
    high: Mapped[float] = mapped_column(Float)
    """Seconds, at most."""
    measured_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Bookmark(Base):
    """How far a regular job has got, such as the look back into Twilio's log."""

    __tablename__ = "bookmark"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class MailTaken(Base):
    """A mail to us that has been read: the same one, however it comes again, does nothing."""

    __tablename__ = "mail_taken"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """A digest of whom it is to and of its Message-ID."""
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, index=True)
