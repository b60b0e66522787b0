"""Short links in texts, and who opened them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import BigId, Created, Owned, UtcDateTime, utcnow


class Link(Owned, Created, Base):
    """A short link of one message: it leads to what was written there, and nowhere else."""

    __tablename__ = "link"

    code: Mapped[str] = mapped_column(String(16), primary_key=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("message.id"), index=True)
    url: Mapped[str] = mapped_column(String(2048))


class Click(Base):
    """One opening of a short link, by a person or by a preview or robot."""

    __tablename__ = "click"
    __table_args__ = (Index(None, "code", "is_preview"), Index(None, "batch_id", "is_preview"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    code: Mapped[str] = mapped_column(ForeignKey("link.code"))
    batch_id: Mapped[str | None] = mapped_column(ForeignKey("batch.id"))
    """The batch of the link's message, so that a whole batch is counted at once."""
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    is_preview: Mapped[bool]
    agent: Mapped[str] = mapped_column(String(200), default="")
