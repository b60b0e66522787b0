"""Senders: what a text is sent from and what people text and call."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import Float, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Base
from app.models.base import (
    HIGHEST_RATE,
    LOWEST_RATE,
    Created,
    Identified,
    Owned,
    UtcDateTime,
    between,
    choice,
)
from app.models.credential import Credential


class SenderKind(enum.StrEnum):
    """Number at Twilio; number that an institution owns (calls only); messaging service."""

    TWILIO = "twilio"
    VERIFIED = "verified"
    MESSAGING_SERVICE = "messaging_service"


class SenderType(enum.StrEnum):
    """The carriers' kind of a sender, which sets its rate."""

    LONG_CODE = "long_code"
    TOLL_FREE = "toll_free"
    SHORT_CODE = "short_code"


DEFAULT_RATES: dict[SenderType, float] = {
    SenderType.LONG_CODE: 1.0,
    SenderType.TOLL_FREE: 3.0,
    SenderType.SHORT_CODE: 100.0,
}
"""Segments per second to the US and Canada unless registered otherwise (Twilio, rate limits)."""


class Sender(Identified, Owned, Created, Base):
    """A number (its ``address`` in E.164, or a short code) or a messaging service (``MG…``)."""

    __tablename__ = "sender"
    __table_args__ = (between("rate", LOWEST_RATE, HIGHEST_RATE),)

    credential_id: Mapped[str] = mapped_column(ForeignKey("credential.id"), index=True)
    kind: Mapped[SenderKind] = mapped_column(choice(SenderKind))
    address: Mapped[str] = mapped_column(String(34), unique=True)
    name: Mapped[str | None] = mapped_column(String(100))
    """What people call it; a messaging service always has one."""
    twilio_sid: Mapped[str | None] = mapped_column(String(34))
    type: Mapped[SenderType] = mapped_column(choice(SenderType), default=SenderType.LONG_CODE)
    rate: Mapped[float] = mapped_column(Float)
    """Segments per second."""
    service_id: Mapped[str | None] = mapped_column(ForeignKey("sender.id"), index=True)
    """The messaging service that a number is in; such a number has no lane of its own."""
    suppression_list_id: Mapped[str | None] = mapped_column(ForeignKey("suppression_list.id"))
    closed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until then the office hours of its routes say closed."""
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stopped_reason: Mapped[str | None] = mapped_column(String(500))

    credential: Mapped[Credential] = relationship(lazy="raise_on_sql")
    service: Mapped[Sender | None] = relationship(remote_side="Sender.id", lazy="raise_on_sql")

    @property
    def is_number(self) -> bool:
        """Whether this is a phone number rather than a messaging service."""
        return self.kind is not SenderKind.MESSAGING_SERVICE

    @property
    def is_short_code(self) -> bool:
        """Whether Twilio leaves the opt-out keywords to us, as it does for short codes."""
        return self.type is SenderType.SHORT_CODE
