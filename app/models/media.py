"""Bytes that we serve under ``/media/<code>``: recordings, uploads, and what people texted us."""

from __future__ import annotations

import enum
import secrets
from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import Created, Identified, Owned, UtcDateTime, choice


def new_media_code() -> str:
    """Make an unguessable code (128 random bits) for a URL that Twilio or a client will open."""
    return secrets.token_urlsafe(16)


class MediaSource(enum.StrEnum):
    """Where the bytes are: with us, or at Twilio, from where we stream them."""

    STORED = "stored"
    TWILIO = "twilio"


class Media(Created, Owned, Base):
    """One file that anybody with its code may fetch until it expires."""

    __tablename__ = "media"

    code: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_media_code)
    source: Mapped[MediaSource] = mapped_column(choice(MediaSource))
    content_type: Mapped[str] = mapped_column(String(100))
    filename: Mapped[str] = mapped_column(String(100), default="")
    size: Mapped[int | None]
    """Bytes; unknown for what is still at Twilio."""
    content: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    twilio_url: Mapped[str | None] = mapped_column(String(2048))
    credential_id: Mapped[str | None] = mapped_column(ForeignKey("credential.id"))
    incoming_id: Mapped[str | None] = mapped_column(ForeignKey("incoming.id"), index=True)
    message_id: Mapped[str | None] = mapped_column(ForeignKey("message.id"), index=True)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)


class Recording(Identified, Owned, Created, Base):
    """A named audio file that callers hear."""

    __tablename__ = "recording"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))
    media_code: Mapped[str] = mapped_column(ForeignKey("media.code"))
    sha256: Mapped[str] = mapped_column(String(64))
