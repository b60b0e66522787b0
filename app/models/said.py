"""What was said, by its words: the index of the search over texts of both sides and notes.

No code writes it. Triggers of the database keep it in step with the log, in the transaction that
writes or removes a text, whoever does; so no way of writing one can forget it (the migration “words
that were said” has them).

What batches said is kept apart, and written some seconds later: the words that many of a batch got,
once for the batch, and of each text only the others, such as a name. So what thousands got in the
same words costs a few rows, and is found as fast as what one did.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import ID_LENGTH, BigId

FULL_TEXT = "said_index"
"""SQLite: the table that finds words; tables of its own stand beside it. PostgreSQL: the index."""
BATCH_FULL_TEXT = "said_index_batch"
"""The same for what batches said."""


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


class BatchSaid(Base):
    """A text of a batch: those of its words that not many of the batch got."""

    __tablename__ = "batch_said"
    __table_args__ = (Index(None, "client_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"))
    message_id: Mapped[str] = mapped_column(
        ForeignKey("message.id", ondelete="CASCADE"), unique=True
    )
    words: Mapped[str] = mapped_column(TSVECTOR().with_variant(Text(), "sqlite"), deferred=True)


class BatchWords(Base):
    """The words that many texts of a batch have."""

    __tablename__ = "batch_words"

    batch_id: Mapped[str] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    words: Mapped[str] = mapped_column(Text)
    """As `app.domain.conversations.wording` reads them, with blanks between them."""
