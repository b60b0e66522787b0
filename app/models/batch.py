"""Batches: one run of a communication over its members as they were at the start."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import ID_LENGTH, BigId, Created, Identified, Owned, UtcDateTime, choice


class BatchState(enum.StrEnum):
    """Where a batch stands."""

    AWAITING_APPROVAL = "awaiting_approval"
    SCHEDULED = "scheduled"
    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    CANCELED = "canceled"
    REFUSED = "refused"


BATCH_TRANSITIONS: dict[BatchState, tuple[BatchState, ...]] = {
    BatchState.AWAITING_APPROVAL: (
        BatchState.SCHEDULED,
        BatchState.CANCELED,
        BatchState.REFUSED,
    ),
    BatchState.SCHEDULED: (
        BatchState.AWAITING_APPROVAL,
        BatchState.PREPARING,
        BatchState.CANCELED,
        BatchState.REFUSED,
    ),
    BatchState.PREPARING: (BatchState.RUNNING, BatchState.PAUSED, BatchState.CANCELED),
    BatchState.RUNNING: (BatchState.PAUSED, BatchState.COMPLETE, BatchState.CANCELED),
    BatchState.PAUSED: (BatchState.RUNNING, BatchState.PREPARING, BatchState.CANCELED),
    BatchState.COMPLETE: (),
    BatchState.CANCELED: (),
    BatchState.REFUSED: (),
}
"""The moves that people and time make, each by compare-and-set; a state without any is an end.

One end may be taken back: `app.domain.sending.running.reopen`.
"""


class Batch(Identified, Owned, Created, Base):
    """One run. ``plan`` pins what is said: template versions and options, as at the start."""

    __tablename__ = "batch"
    __table_args__ = (
        Index(None, "state", "scheduled_at"),
        Index(None, "lane_key", "state"),
        Index(
            "ix_batch_awaiting",
            "client_id",
            postgresql_where=text("state = 'awaiting_approval'"),
            sqlite_where=text("state = 'awaiting_approval'"),
        ),
    )

    communication_id: Mapped[str] = mapped_column(ForeignKey("communication.id"), index=True)
    state: Mapped[BatchState] = mapped_column(choice(BatchState), default=BatchState.SCHEDULED)
    reason: Mapped[str | None] = mapped_column(String(500))
    """Why it was refused, paused or canceled, in a sentence."""
    scheduled_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lane_key: Mapped[str] = mapped_column(String(64))
    """The lane that its messages wait in."""
    plan: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    total: Mapped[int] = mapped_column(default=0)
    prepared: Mapped[int] = mapped_column(default=0)
    """How many members have their messages: where preparation goes on after a crash."""
    created_by: Mapped[str] = mapped_column(String(254))
    approval_asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when it has needed somebody else's approval; its members are pinned from then on."""
    decided_by: Mapped[str | None] = mapped_column(String(254))
    """Who approved or rejected it."""
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BatchTaking(Base):
    """How far a batch has come in taking over its population; gone when everybody is taken."""

    __tablename__ = "batch_taking"

    batch_id: Mapped[str] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    roll: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    """The members of the population when the batch began (`Member.roll`); a file that takes their
    place, or another population that the communication names since, changes nothing."""
    after: Mapped[int] = mapped_column(BigId, default=0)
    """The member behind whom the next are taken."""


class BatchMember(Base):
    """One member of a batch, as at its start; deleted when its messages have been prepared."""

    __tablename__ = "batch_member"
    __table_args__ = (
        Index(
            "ix_batch_member_refused",
            "batch_id",
            postgresql_where=text("refusal IS NOT NULL"),
            sqlite_where=text("refusal IS NOT NULL"),
        ),
    )

    batch_id: Mapped[str] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)
    refusal: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Why this member gets nothing, where that was told when the batch was started: ``code``,
    ``sentence`` and, where the phone could be read, ``to``; ``errorCode`` is Twilio's."""
