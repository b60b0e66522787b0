"""What came of a step that was taken about a voice message, written down in one transaction."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from app.domain.content import file_types
from app.domain.voicemails import reports, steps, telling
from app.domain.voicemails.steps import Step
from app.models.base import utcnow
from app.models.client import Client
from app.models.incoming import Incoming
from app.models.media import Media, MediaSource
from app.models.voicemail import Voicemail, VoicemailState


def kept(session: Session, voicemail: Voicemail, content: bytes, content_type: str) -> None:
    """Keep the sound under an address of its own, until retention, and tell who is to be told."""
    call = session.get_one(Incoming, voicemail.incoming_id)
    client = session.get_one(Client, voicemail.client_id)
    media = Media(
        client_id=voicemail.client_id,
        source=MediaSource.STORED,
        content_type=content_type,
        filename=f"voice-message.{file_types.extension(content_type)}",
        size=len(content),
        content=content,
        incoming_id=voicemail.incoming_id,
        expires_at=call.received_at + timedelta(days=client.retention_days),
    )
    session.add(media)
    session.flush()
    voicemail.media_code, voicemail.state, voicemail.error = media.code, VoicemailState.KEPT, None
    steps.go_on(voicemail, utcnow())
    telling.arrived(session, voicemail)


def nothing(session: Session, voicemail: Voicemail, step: Step, why: str) -> None:
    """Note that a step brought nothing; it is taken again, or given up with its reason."""
    now = utcnow()
    voicemail.error = why[:500]
    if steps.try_again(voicemail, step, now):
        telling.mail(session, voicemail)
    elif step is Step.ASK:
        voicemail.error = None
        reports.give_up(voicemail)
    elif step is Step.FETCH:
        voicemail.state, voicemail.check_at = VoicemailState.LOST, None
        telling.arrived(session, voicemail)
    elif step is Step.DELETE:
        voicemail.check_at = None
    else:
        reports.transcribed(session, voicemail, None, None)


def unheard(session: Session, voicemail: Voicemail, step: Step, why: str) -> None:
    """Note that Twilio could not be asked; where it is to say what came of a call, that says
    nothing, and it is asked for longer.
    """
    now = utcnow()
    if step is not Step.ASK or voicemail.created_at < now - steps.UNHEARD_FOR:
        nothing(session, voicemail, step, why)
        return
    voicemail.error, voicemail.tries = why[:500], 0
    voicemail.check_at = now + steps.UNHEARD


def deleted(_session: Session, voicemail: Voicemail) -> None:
    """Note that Twilio's copy is gone."""
    voicemail.deleted_at, voicemail.error = utcnow(), None
    steps.go_on(voicemail, utcnow())
