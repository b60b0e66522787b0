"""People as providers of sign-ins know them, and what works once only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import Created, Identified, UtcDateTime

SUBJECT_LENGTH = 255
"""The longest subject, and the longest id of a session, that is taken (OpenID Connect Core, 2)."""
ISSUER_LENGTH = 255


class Identity(Identified, Created, Base):
    """A person at a provider: known by issuer and subject, whatever their address becomes there."""

    __tablename__ = "identity"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        UniqueConstraint("user_id", "issuer"),
    )

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"))
    issuer: Mapped[str] = mapped_column(String(ISSUER_LENGTH))
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))


class UsedOnce(Base):
    """Something that works once and was used: the state of a sign-in, a notice of a logout."""

    __tablename__ = "used_once"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of what it is and of its value."""
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """From then on it would be refused for its age, and this row is not needed."""
