"""The caller leaves a message; what comes of it Twilio tells afterwards."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.domain.routing.handlers.voicemail import GREETING, Voicemail
from app.domain.voicemails import reports
from app.domain.voicemails.reports import Asked
from app.extensions import current_settings
from app.inbound.answers import Answer, CallContext
from app.inbound.handlers.play_message import media_url
from app.inbound.number import RouteFacts
from app.models.incoming import Outcome
from app.models.voicemail import Transcriber
from app.twiml import voice
from app.twiml.voice import Greeting


def answer(context: CallContext, route: RouteFacts) -> Answer:
    """Greet and record; the message is expected from now on, whatever Twilio tells."""
    chosen = Voicemail.of(route.options)
    asked = Asked(
        max_seconds=chosen.max_seconds,
        transcriber=_transcriber(chosen),
        population_id=route.population_id,
        endpoint_id=route.endpoint_id,
        delete_at_twilio=chosen.delete_at_twilio,
        path=context.path,
    )
    step = f"{current_settings().public_base_url}/inbound/voice/step/{context.incoming_id}"
    by_twilio = asked.transcriber is Transcriber.TWILIO
    twiml = voice.record(
        greeting(chosen, route),
        chosen.max_seconds,
        action=f"{step}/recorded",
        reports=f"{step}/recording",
        transcriptions=f"{step}/transcription" if by_twilio else None,
    )

    def expect(session: Session) -> None:
        reports.expect(session, context.number.client.id, context.incoming_id, asked)

    later = {"voice": chosen.voice, "language": chosen.language}
    return Answer(twiml, Outcome.PLAYED, afterwards=expect, later=later)


def greeting(chosen: Voicemail, route: RouteFacts) -> Greeting:
    """Return what the caller hears before the tone."""
    if route.recording_code:
        return Greeting(url=media_url(route.recording_code))
    return Greeting(chosen.say or GREETING, chosen.voice, chosen.language)


def _transcriber(chosen: Voicemail) -> Transcriber | None:
    if not chosen.transcribe:
        return None
    return Transcriber.ENGINE if current_settings().transcribe_url else Transcriber.TWILIO
