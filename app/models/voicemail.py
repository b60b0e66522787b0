"""Voice messages that callers leave, from the moment they are asked to speak."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import ID_LENGTH, SID_LENGTH, Created, Identified, Owned, UtcDateTime, choice


class VoicemailState(enum.StrEnum):
    """Where a voice message is."""

    EXPECTED = "expected"
    """The caller was asked to speak; Twilio has not said what came of it."""
    RECORDED = "recorded"
    """Twilio has it; it is to be fetched."""
    KEPT = "kept"
    """We have it."""
    ABSENT = "absent"
    """The caller hung up without a word."""
    LOST = "lost"
    """Twilio had it and could not give it to us; the reason is in ``error``."""


HEARD = (VoicemailState.RECORDED, VoicemailState.KEPT, VoicemailState.LOST)
"""Where there is, or was, something to hear."""


class Transcriber(enum.StrEnum):
    """Who writes down what was said."""

    TWILIO = "twilio"
    ENGINE = "engine"
    """The operator's own, at ``TRANSCRIBE_URL``."""


class TranscriptionState(enum.StrEnum):
    """Where the written words are."""

    WANTED = "wanted"
    DONE = "done"
    FAILED = "failed"


class Voicemail(Identified, Owned, Created, Base):
    """One voice message, unique by Twilio's SID of the recording.

    What its route said when the caller was asked is kept here: the route may have changed by the
    time at which Twilio reports. Who is to be told is named without a foreign key, so that a
    message never keeps anybody from deleting a population.
    """

    __tablename__ = "voicemail"
    __table_args__ = (
        Index(
            "ix_voicemail_check_at",
            "check_at",
            postgresql_where=text("check_at IS NOT NULL"),
            sqlite_where=text("check_at IS NOT NULL"),
        ),
    )

    incoming_id: Mapped[str] = mapped_column(ForeignKey("incoming.id"), index=True)
    """The call."""
    recording_sid: Mapped[str | None] = mapped_column(String(SID_LENGTH), unique=True)
    state: Mapped[VoicemailState] = mapped_column(choice(VoicemailState))
    error: Mapped[str | None] = mapped_column(String(500))
    duration: Mapped[int | None]
    """Seconds."""
    path: Mapped[list[str]] = mapped_column(JSON, default=list)
    """The keys that the caller pressed on the way."""
    media_code: Mapped[str | None] = mapped_column(ForeignKey("media.code"), index=True)
    """The sound, while we have it: ``/media/<code>``."""

    population_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """Whose members are mailed."""
    endpoint_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """Which system is told."""
    delete_at_twilio: Mapped[bool] = mapped_column(default=False)
    """Twilio's copy is to be deleted once we have our own."""
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was."""

    transcriber: Mapped[Transcriber | None] = mapped_column(choice(Transcriber))
    transcription_state: Mapped[TranscriptionState | None] = mapped_column(
        choice(TranscriptionState)
    )
    transcription: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(String(35))
    """Of the transcription (BCP 47), where whoever wrote it says so."""

    recorded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When Twilio first told of it."""
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its endpoint was told, or would have been."""
    mailed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its mails were written, or would have been: they wait a little for the words."""
    check_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When something is next to be done about it; null when nothing is."""
    tries: Mapped[int] = mapped_column(default=0)
    """How often that was tried."""
