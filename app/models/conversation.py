"""Conversations: what is between one of our numbers and one phone, and who looks after it."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import PHONE_LENGTH, Identified, UtcDateTime, choice, utcnow
from app.models.commit_order import Ordered

AUTHOR_LENGTH = 254


class ConversationState(enum.StrEnum):
    """Whose turn it is."""

    WAITING = "waiting"
    """The last word is theirs: somebody of ours should answer."""
    ANSWERED = "answered"
    """The last word is a person's of ours; what a machine answers does not count."""
    CLOSED = "closed"
    """Nobody waits for anything; their next text opens it again."""


class EntryKind(enum.StrEnum):
    """What stands in a conversation."""

    IN = "in"
    OUT = "out"
    CALL = "call"
    NOTE = "note"
    REACTION = "reaction"
    VOICEMAIL = "voicemail"


class Conversation(Identified, Ordered, Base):
    """One number and one phone. The words themselves stand in the log; this is what follows.

    ``last_at`` moves forward only, with every text, call or reaction of either side, automatic
    replies and batches aside; so it is never older than the words that it has a copy of.
    """

    __tablename__ = "conversation"
    __moves__ = True
    __table_args__ = (
        UniqueConstraint("sender_id", "phone"),
        Index(
            "ix_conversation_assigned_id", "assigned_id",
            postgresql_where=text("assigned_id IS NOT NULL"),
            sqlite_where=text("assigned_id IS NOT NULL"),
        ),
        Index(None, "client_id", "commit_order"),
        Index(None, "client_id", "state", "last_at"),
        Index(None, "client_id", "last_at"),
        Index(None, "client_id", "phone"),
        Index(
            "ix_conversation_open", "client_id", "commit_order",
            postgresql_where=text("state <> 'closed'"), sqlite_where=text("state <> 'closed'"),
        ),
    )  # fmt: skip

    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"))
    sender_id: Mapped[str] = mapped_column(ForeignKey("sender.id"))
    """The number, never a messaging service."""
    phone: Mapped[str] = mapped_column(String(PHONE_LENGTH))
    state: Mapped[ConversationState] = mapped_column(choice(ConversationState))
    assigned_id: Mapped[str | None] = mapped_column(ForeignKey("user.id"))
    """The person who has taken it."""
    unread: Mapped[int] = mapped_column(default=0)
    """How many of their texts came since somebody last looked."""
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_kind: Mapped[EntryKind] = mapped_column(choice(EntryKind))
    last_text: Mapped[str | None] = mapped_column(Text)
    waiting_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the first text came that nobody has answered; null unless it is ``waiting``."""
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a person last answered or closed it: an older text, heard of late, changes nothing."""
    reminded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When somebody was last told that it waits."""


class ConversationNote(Identified, Base):
    """What staff write down for each other; nobody outside sees it."""

    __tablename__ = "conversation_note"
    __table_args__ = (Index(None, "conversation_id", "at"), Index(None, "client_id", "at"))

    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"))
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    author: Mapped[str] = mapped_column(String(AUTHOR_LENGTH))
    text: Mapped[str] = mapped_column(Text)
