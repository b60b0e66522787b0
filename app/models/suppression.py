"""Suppression lists: phones that must not be texted, from which sender, and why."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import ID_LENGTH, PHONE_LENGTH, Created, Identified, Owned, UtcDateTime, choice

SCOPE_ALL = "all"


class SuppressionSource(enum.StrEnum):
    """Who put an entry on the list. START lifts the first two kinds, never the others."""

    KEYWORD = "keyword"
    TWILIO = "twilio"
    MANUAL = "manual"
    IMPORT = "import"


class SuppressionReason(enum.StrEnum):
    """What an entry says of its phone: the person does not want texts, or cannot get them."""

    OPTED_OUT = "opted_out"
    UNREACHABLE = "unreachable"


LIFTED_BY_START = (SuppressionSource.KEYWORD, SuppressionSource.TWILIO)


class SuppressionList(Identified, Owned, Created, Base):
    """A named list of a client; senders and communications choose one."""

    __tablename__ = "suppression_list"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))


class SuppressionEntry(Identified, Base):
    """One phone on a list, for one scope, from one source, for one reason.

    It counts while ``lifted_at`` is null, ``until`` is not over, and its scope is the sender, the
    sender's messaging service, or all.
    """

    __tablename__ = "suppression_entry"
    __table_args__ = (
        UniqueConstraint("list_id", "phone", "scope", "source", "reason"),
        Index(None, "list_id", "id"),
        Index(
            "ix_suppression_entry_binding",
            "phone",
            postgresql_where=text("binding AND lifted_at IS NULL"),
            sqlite_where=text("binding = 1 AND lifted_at IS NULL"),
        ),
        Index(
            "ix_suppression_entry_unreachable",
            "phone",
            postgresql_where=text("reason = 'unreachable' AND lifted_at IS NULL"),
            sqlite_where=text("reason = 'unreachable' AND lifted_at IS NULL"),
        ),
    )

    list_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    """The list; no foreign key: a large one that is deleted leaves entries that go after it."""
    phone: Mapped[str] = mapped_column(String(PHONE_LENGTH))
    scope: Mapped[str] = mapped_column(String(26), default=SCOPE_ALL)
    """The id of a sender (a number or a messaging service), or ``all``."""
    source: Mapped[SuppressionSource] = mapped_column(choice(SuppressionSource))
    binding: Mapped[bool] = mapped_column(default=False)
    """The person opted out in words that are not exactly Twilio's, which therefore lets our texts
    through: the entry binds every text of its scope, whichever list a communication names."""
    reason: Mapped[SuppressionReason] = mapped_column(
        choice(SuppressionReason), default=SuppressionReason.OPTED_OUT
    )
    error_code: Mapped[int | None]
    """Twilio's code of a phone that cannot be reached."""
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """From when a phone that cannot be reached is tried again; a wish has no end."""
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    lifted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
