"""How numbers come into service: caller IDs being verified, and requests to use Twilio at all."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import (
    PHONE_LENGTH,
    SID_LENGTH,
    Created,
    Identified,
    Owned,
    UtcDateTime,
    choice,
)


class VerificationState(enum.StrEnum):
    """Where the verification of a caller ID stands: Twilio calls, the person types the code."""

    STARTING = "starting"
    """Twilio has not been asked yet, or its answer never came."""
    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"


class Verification(Identified, Owned, Created, Base):
    """The verification of an institution's own number as a caller ID (Twilio,
    OutgoingCallerIds)."""

    __tablename__ = "verification"

    credential_id: Mapped[str] = mapped_column(ForeignKey("credential.id"))
    phone: Mapped[str] = mapped_column(String(PHONE_LENGTH))
    name: Mapped[str | None] = mapped_column(String(64))
    code: Mapped[str | None] = mapped_column(String(10))
    """What the person types; emptied when the verification has ended."""
    call_sid: Mapped[str | None] = mapped_column(String(SID_LENGTH))
    state: Mapped[VerificationState] = mapped_column(
        choice(VerificationState), default=VerificationState.STARTING
    )
    started_by: Mapped[str] = mapped_column(String(254))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TwilioRequest(Identified, Owned, Created, Base):
    """A client's request that Twilio be enabled for it, and who granted it."""

    __tablename__ = "twilio_request"

    requested_by: Mapped[str] = mapped_column(String(254))
    reason: Mapped[str] = mapped_column(String(1000), default="")
    granted_by: Mapped[str | None] = mapped_column(String(254))
    granted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
