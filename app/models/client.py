"""A client: one department, to which everything else belongs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import MOST_COUNTED, Created, Identified, UtcDateTime, between

DEFAULT_RETENTION_DAYS = 45
LONGEST_RETENTION_DAYS = 3650

DEFAULT_LIMITS = {
    "limit_segments_hour": 10_000,
    "limit_segments_day": 50_000,
    "limit_minutes_hour": 600,
    "limit_minutes_day": 3_000,
    "limit_phone_hour": 30,
}
"""The most that a client may send unless support says otherwise (DESIGN 4.7, Limits)."""


def _limit(name: str) -> Mapped[int | None]:
    return mapped_column(default=DEFAULT_LIMITS[name], server_default=str(DEFAULT_LIMITS[name]))


class Client(Identified, Created, Base):
    """A department. Until support has enabled Twilio for it, it neither sends nor answers."""

    __tablename__ = "client"
    __table_args__ = (
        between("retention_days", 1, LONGEST_RETENTION_DAYS),
        between("approval_above", 0, MOST_COUNTED),
        between("alert_segments", 1, MOST_COUNTED),
        between("alert_call_minutes", 1, MOST_COUNTED),
        *(between(name, 1, MOST_COUNTED) for name in DEFAULT_LIMITS),
    )

    name: Mapped[str] = mapped_column(String(100), unique=True)
    owner_email: Mapped[str] = mapped_column(String(254))
    twilio_enabled: Mapped[bool] = mapped_column(default=False)
    international: Mapped[bool] = mapped_column(default=False)
    trial: Mapped[bool] = mapped_column(default=False)
    allow_list: Mapped[list[str]] = mapped_column(JSON, default=list)
    time_zone: Mapped[str] = mapped_column(String(64), default="America/Chicago")
    closed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until then all its office hours say closed."""
    quiet_from: Mapped[str | None] = mapped_column(String(5))
    quiet_to: Mapped[str | None] = mapped_column(String(5))
    recipient_from: Mapped[str | None] = mapped_column(String(5))
    recipient_to: Mapped[str | None] = mapped_column(String(5))
    """When batches may reach people, by the clocks where they are; null for at any time."""
    languages: Mapped[list[str]] = mapped_column(JSON, default=lambda: ["en"])
    """In whose words people opt out and in and ask for help, of `app.domain.keywords.LANGUAGES`."""
    opt_words: Mapped[dict[str, list[str]]] = mapped_column(JSON, default=dict)
    """Words of the client's own, by ``stop``, ``start`` and ``help``."""
    remind_after: Mapped[int | None]
    """Minutes after which somebody is told of a text that nobody has answered; null for never."""
    line_type_lookup: Mapped[bool] = mapped_column(default=False)
    """Twilio Lookup tells landlines apart before texts of batches go out, for a price."""
    approval_above: Mapped[int | None]
    """More members than this in a batch need somebody else's approval; null for never."""
    retention_days: Mapped[int] = mapped_column(default=DEFAULT_RETENTION_DAYS)
    alert_segments: Mapped[int | None]
    alert_call_minutes: Mapped[int | None]
    twiml_hosts: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Hosts beside those of its endpoints that TwiML may ask or report to; each with any port, or
    with the one it names."""
    sip_domains: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Domains whose SIP addresses TwiML may call."""
    denied_networks: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Networks to which its URLs may not lead, beside those of ``WEBHOOK_DENIED_NETWORKS``."""
    alert_halts: Mapped[bool] = mapped_column(default=False)
    """At the whole of a threshold nothing more goes out, until support lets it."""
    limit_segments_hour: Mapped[int | None] = _limit("limit_segments_hour")
    limit_segments_day: Mapped[int | None] = _limit("limit_segments_day")
    limit_minutes_hour: Mapped[int | None] = _limit("limit_minutes_hour")
    limit_minutes_day: Mapped[int | None] = _limit("limit_minutes_day")
    limit_phone_hour: Mapped[int | None] = _limit("limit_phone_hour")
    """Messages to one phone; like the other limits null for none."""
    texts_held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When batches of texts go on that wait because a limit is reached."""
    calls_held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    halted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when support has stopped all sending of this client; null when it may send."""
