"""What a person has beside a password: an app that shows codes, and codes for days without it."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import BigId, Created, Encrypted, Identified


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
