"""What was said, by its words: the index of the search over texts of both sides and notes.

No code writes it. Triggers of the database keep it in step with the log, in the transaction that
writes or removes a text, whoever does; so no way of writing one can forget it (the migration “words
that were said” has them). Texts of batches are not in it: what thousands got in the same words is
found by its template.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import BigId

FULL_TEXT = "said_index"
"""SQLite: the table that finds words; tables of its own stand beside it. PostgreSQL: the index."""


def _unique(column: str) -> Index:
    """Index the rows that have a value: each has one of three, and is written with every text."""
    there = text(f"{column} IS NOT NULL")
    return Index(
        f"uq_said_{column}", column, unique=True, postgresql_where=there, sqlite_where=there
    )


class Said(Base):
    """A text, or a note: which one, and its words. It goes with what it is about."""

    __tablename__ = "said"
    __table_args__ = (
        Index(None, "client_id", "id"),
        *map(_unique, ("incoming_id", "message_id", "note_id")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    """Counts in the order in which they were heard of: both databases answer in the same one."""
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"))
    incoming_id: Mapped[str | None] = mapped_column(ForeignKey("incoming.id", ondelete="CASCADE"))
    message_id: Mapped[str | None] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"))
    note_id: Mapped[str | None] = mapped_column(
        ForeignKey("conversation_note.id", ondelete="CASCADE")
    )
    words: Mapped[str] = mapped_column(TSVECTOR().with_variant(Text(), "sqlite"), deferred=True)
    """Small letters without accents, as `app.domain.conversations.wording` reads them."""
