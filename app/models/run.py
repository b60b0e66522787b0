"""Runs of communications that go out by themselves: each at most once, whatever came of it."""

from __future__ import annotations

import datetime as dt
import enum
from datetime import datetime

from sqlalchemy import Date, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import PHONE_LENGTH, Created, Owned, UtcDateTime, choice

KEY_LENGTH = 16


class RunState(enum.StrEnum):
    """What came of a run."""

    STARTED = "started"
    """It is a batch."""
    NOBODY = "nobody"
    """Nobody was in the list, or nobody's date was near."""
    SKIPPED = "skipped"
    """Its time had passed by too much, so it did not go out."""
    REFUSED = "refused"
    """Nothing could be sent: the client was halted, for example."""


class CommunicationRun(Owned, Created, Base):
    """One run, made in the transaction that starts its batch: its key makes it happen once."""

    __tablename__ = "communication_run"
    __table_args__ = (Index(None, "client_id", "at"),)

    communication_id: Mapped[str] = mapped_column(ForeignKey("communication.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    """What the clocks of the client's zone were to show: ``2026-11-30T09:00``."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    """The instant that this was."""
    state: Mapped[RunState] = mapped_column(choice(RunState))
    batch_id: Mapped[str | None] = mapped_column(ForeignKey("batch.id"), index=True)
    reason: Mapped[str | None] = mapped_column(String(500))
    """Why nothing went out, in a sentence."""


class DatedSend(Owned, Created, Base):
    """That a phone gets this communication about a date: it never does twice."""

    __tablename__ = "dated_send"
    __table_args__ = (Index(None, "client_id", "phone"),)

    communication_id: Mapped[str] = mapped_column(ForeignKey("communication.id"), primary_key=True)
    phone: Mapped[str] = mapped_column(String(PHONE_LENGTH), primary_key=True)
    date: Mapped[dt.date] = mapped_column(Date, primary_key=True, index=True)
