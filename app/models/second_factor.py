"""What a person has beside a password: an app that shows codes, and codes for days without it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import BigId, Created, Encrypted, Identified, UtcDateTime


class CodeApp(Created, Base):
    """An app that shows a new code every half minute (RFC 6238)."""

    __tablename__ = "code_app"

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), primary_key=True)
    secret: Mapped[str] = mapped_column(Encrypted)
    """What the app and we share, in base32."""
    last_step: Mapped[int] = mapped_column(BigId)
    """The half minute, counted from 1970, of the last code that was used: none works twice."""


class RecoveryCode(Identified, Base):
    """A code that works once, kept on paper; its row goes with its use."""

    __tablename__ = "recovery_code"

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256: 80 random bits cannot be tried out."""


class Passkey(Identified, Created, Base):
    """A key that a person's device or security key keeps (Web Authentication); we have its half."""

    __tablename__ = "passkey"

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the id, which may have a kilobyte."""
    credential_id: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    uses: Mapped[int] = mapped_column(BigId)
    """What the device counts, where it counts: a copy of the key would count on its own."""
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
