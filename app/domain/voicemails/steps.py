"""What is next to be done about a voice message, and when."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, false, select, true
from sqlalchemy.orm import Session

from app.domain import aside, clocks
from app.models.base import utcnow
from app.models.voicemail import Transcriber, TranscriptionState, Voicemail, VoicemailState

LOOP = "voicemail"
PATIENCE = timedelta(minutes=2)
"""For how long the greeting and Twilio's reports may take beside the message itself."""
LEASE = timedelta(minutes=5)
"""For how long whoever has taken a step may be at it: longer than any of them can last."""


class Step(enum.StrEnum):
    """One thing to do, over the network and outside any transaction."""

    ASK = "ask"
    """Ask Twilio what came of the call: it has not said so by itself."""
    FETCH = "fetch"
    TRANSCRIBE = "transcribe"
    """Have the operator's engine write it down."""
    ASK_FOR_WORDS = "ask for words"
    """Ask Twilio for the transcription that it has not sent by itself."""
    DELETE = "delete"
    """Delete Twilio's copy."""


def _seconds(*pauses: int) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=pause) for pause in pauses)


PAUSES: dict[Step, tuple[timedelta, ...]] = {
    Step.ASK: _seconds(120, 600, 1_800, 7_200),
    Step.FETCH: _seconds(5, 15, 60, 300, 900, 3_600, 10_800, 21_600, *[43_200] * 5),
    Step.TRANSCRIBE: _seconds(10, 60, 300, 900, 3_600, 10_800),
    Step.ASK_FOR_WORDS: _seconds(600, 1_800, 3_600),
    Step.DELETE: _seconds(60, 600, 3_600, 21_600, 43_200),
}
"""How long each is waited for after the first, second, … try that brought nothing; then it is given
up. A recording is tried for three days: it is there, whatever keeps us from it."""
UNHEARD = timedelta(minutes=10)
"""How long Twilio is left alone that could not be asked at all what came of a call."""
UNHEARD_FOR = timedelta(days=3)
"""After which that is given up as well."""
FURTHEST = timedelta(hours=12)
"""The longest of these: no time to look again lies farther ahead."""
FIRST_LOOK = {Step.ASK_FOR_WORDS: timedelta(minutes=5)}
"""When a step is first taken, where not at once: Twilio mostly says by itself."""


def next_step(voicemail: Voicemail) -> Step | None:
    """Return what is next to be done; None where nothing is."""
    if voicemail.state is VoicemailState.EXPECTED:
        return Step.ASK
    if voicemail.state is VoicemailState.RECORDED:
        return Step.FETCH
    if voicemail.state is not VoicemailState.KEPT:
        return None
    if voicemail.transcription_state is TranscriptionState.WANTED:
        engine = voicemail.transcriber is Transcriber.ENGINE
        return Step.TRANSCRIBE if engine else Step.ASK_FOR_WORDS
    is_there = voicemail.deleted_at is None
    return Step.DELETE if voicemail.delete_at_twilio and is_there else None


def go_on(voicemail: Voicemail, now: datetime) -> None:
    """Have the next step taken, after one has succeeded or is not needed any more."""
    step = next_step(voicemail)
    voicemail.tries = 0
    voicemail.check_at = now + FIRST_LOOK.get(step, timedelta()) if step else None


def try_again(voicemail: Voicemail, step: Step, now: datetime) -> bool:
    """Have a step that brought nothing taken again later; return False where it is given up."""
    pauses = PAUSES[step]
    if voicemail.tries > len(pauses):
        return False
    voicemail.check_at = now + pauses[voicemail.tries - 1]
    return True


def is_due(now: datetime) -> ColumnElement[bool]:
    """Return the condition that something is to be done now."""
    return clocks.has_come(Voicemail.check_at, now, FURTHEST)


def due(session: Session, most: int, by_engine: bool | None = None) -> Sequence[str]:
    """Return the messages about which something is to be done, the longest due first.

    :param by_engine: only steps of the operator's engine, or only those of Twilio's.
    """
    found = select(Voicemail.id).where(is_due(utcnow()), aside.free(LOOP, Voicemail.id))
    if by_engine is not None:
        found = found.where(case((_is_for_engine(), true()), else_=false()).is_(by_engine))
    return session.scalars(found.order_by(Voicemail.check_at).limit(most)).all()


def _is_for_engine() -> ColumnElement[bool]:
    """Return what :func:`next_step` says of a step of the engine's, as a condition."""
    return and_(
        Voicemail.state == VoicemailState.KEPT,
        Voicemail.transcription_state == TranscriptionState.WANTED,
        Voicemail.transcriber == Transcriber.ENGINE,
    )


def take(session: Session, voicemail_id: str) -> tuple[Step, Voicemail] | None:
    """Take the step that is due, so that nobody else does; None where none is due any more.

    Whoever dies at it leaves it to the next one, when the lease is over.
    """
    now = utcnow()
    voicemail = session.scalar(
        select(Voicemail)
        .where(Voicemail.id == voicemail_id, is_due(now))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if voicemail is None:
        return None
    step = next_step(voicemail)
    voicemail.check_at = now + LEASE if step else None
    voicemail.tries += 1
    return (step, voicemail) if step else None


def hold(session: Session, voicemail_id: str, step: Step) -> Voicemail | None:
    """Lock a message to write down what came of a step; None where it is not at it any more."""
    voicemail = session.scalar(
        select(Voicemail)
        .where(Voicemail.id == voicemail_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if voicemail is None or next_step(voicemail) is not step:
        return None
    return voicemail
