"""What is known of a voice message: the caller was asked, Twilio tells what came of it.

Twilio tells by the ``action`` of ``<Record>``, by ``recordingStatusCallback`` and by
``transcribeCallback``, each of which may come twice, late, in any order or never. Each names the
recording, so that all of them lead to one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.voicemails import steps, telling
from app.models.base import ERASED, utcnow
from app.models.incoming import Incoming
from app.models.voicemail import Transcriber, TranscriptionState, Voicemail, VoicemailState
from app.twiml.text import clean as without_controls

log = structlog.get_logger(__name__)

LONGEST_TEXT = 20_000
"""Characters of a transcription that are kept: ten minutes of the fastest speaker have fewer."""


@dataclass(frozen=True)
class Asked:
    """How a caller was asked to speak, by the route as it was then."""

    max_seconds: int
    transcriber: Transcriber | None = None
    population_id: str | None = None
    endpoint_id: str | None = None
    delete_at_twilio: bool = False
    path: Sequence[str] = ()
    """The keys pressed before."""


def expect(session: Session, client_id: str, incoming_id: str, asked: Asked) -> None:
    """Write down that the caller is asked to speak: if Twilio never tells, it is asked."""
    now = utcnow()
    session.add(
        Voicemail(
            client_id=client_id,
            incoming_id=incoming_id,
            state=VoicemailState.EXPECTED,
            path=list(asked.path),
            population_id=asked.population_id,
            endpoint_id=asked.endpoint_id,
            delete_at_twilio=asked.delete_at_twilio,
            transcriber=asked.transcriber,
            transcription_state=TranscriptionState.WANTED if asked.transcriber else None,
            check_at=now + timedelta(seconds=asked.max_seconds) + steps.PATIENCE,
        )
    )


def recorded(
    session: Session, incoming_id: str, recording_sid: str, seconds: int | None
) -> Voicemail | None:
    """Note that Twilio has a recording, however often it tells; return its message.

    :returns: None where nothing of the kind was asked for in that call, or the caller was erased.
    """
    voicemail = _of(session, incoming_id, recording_sid)
    if session.scalar(select(Incoming.from_).where(Incoming.id == incoming_id)) == ERASED:
        log.info("a recording of somebody who was erased is not taken", incoming=incoming_id)
        return None
    if voicemail is None:
        log.warning("a recording that nobody asked for", incoming=incoming_id, sid=recording_sid)
        return None
    if voicemail.recording_sid is None:
        now = utcnow()
        voicemail.recording_sid, voicemail.recorded_at = recording_sid, now
        voicemail.state, voicemail.error = VoicemailState.RECORDED, None
        steps.go_on(voicemail, now)
    if seconds is not None and voicemail.duration is None:
        voicemail.duration = seconds
    return voicemail


def absent(session: Session, incoming_id: str) -> None:
    """Note that the caller said nothing, unless a recording has been heard of."""
    for voicemail in _locked(session, incoming_id):
        if voicemail.state is VoicemailState.EXPECTED:
            give_up(voicemail)


def give_up(voicemail: Voicemail) -> None:
    """Expect no recording any more; if one comes all the same, it is taken."""
    voicemail.state, voicemail.check_at = VoicemailState.ABSENT, None


def transcribed(
    session: Session, voicemail: Voicemail, text: str | None, language: str | None
) -> None:
    """Note what was said, once; None says that nobody could tell."""
    if voicemail.transcription_state is not TranscriptionState.WANTED:
        return
    if text is None:
        voicemail.transcription_state = TranscriptionState.FAILED
    else:
        voicemail.transcription_state = TranscriptionState.DONE
        voicemail.transcription = clean(text)
        voicemail.language = language
    telling.words_came(session, voicemail)
    if voicemail.state is VoicemailState.KEPT:
        steps.go_on(voicemail, utcnow())


def clean(text: str) -> str:
    """Return what was said as it is kept: without control characters, and of bearable length."""
    return without_controls(text).strip()[:LONGEST_TEXT]


def _of(session: Session, incoming_id: str, recording_sid: str) -> Voicemail | None:
    """Return the message of a recording: its own, or that which the call still expects."""
    known = _locked(session, incoming_id)
    for voicemail in known:
        if voicemail.recording_sid == recording_sid:
            return voicemail
    elsewhere = select(Voicemail.id).where(Voicemail.recording_sid == recording_sid)
    if not known or session.scalar(elsewhere) is not None:
        return None
    for voicemail in reversed(known):
        if voicemail.recording_sid is None:
            return voicemail
    return _one_more(session, known[-1])


def _one_more(session: Session, like: Voicemail) -> Voicemail:
    """Make a message for a second recording of the same call, such as of a call gone round."""
    more = Voicemail(
        client_id=like.client_id,
        incoming_id=like.incoming_id,
        state=VoicemailState.EXPECTED,
        path=list(like.path),
        population_id=like.population_id,
        endpoint_id=like.endpoint_id,
        delete_at_twilio=like.delete_at_twilio,
        transcriber=like.transcriber,
        transcription_state=TranscriptionState.WANTED if like.transcriber else None,
    )
    session.add(more)
    return more


def _locked(session: Session, incoming_id: str) -> Sequence[Voicemail]:
    """Return the messages of a call, of which nobody else reports meanwhile, the oldest first."""
    session.execute(select(Incoming.id).where(Incoming.id == incoming_id).with_for_update())
    return session.scalars(
        select(Voicemail)
        .where(Voicemail.incoming_id == incoming_id)
        .order_by(Voicemail.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
