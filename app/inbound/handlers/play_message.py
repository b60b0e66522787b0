"""Callers hear a message: spoken by a robot's voice, or a recording."""

from __future__ import annotations

from app.domain.routing.handlers.play_message import PlayMessage
from app.extensions import current_settings
from app.inbound.answers import Answer, CallContext
from app.inbound.number import RouteFacts
from app.models.incoming import Outcome
from app.twiml import voice


def answer(_context: CallContext, route: RouteFacts) -> Answer:
    """Play the recording or the audio file of the route, or say its text."""
    chosen = PlayMessage.of(route.options)
    if route.recording_code:
        twiml = voice.play(media_url(route.recording_code), chosen.loop)
    elif chosen.audio_url:
        twiml = voice.play(chosen.audio_url, chosen.loop)
    elif chosen.say:
        twiml = voice.say(chosen.say, chosen.voice, chosen.language, chosen.loop)
    else:
        return Answer(
            voice.neutral(),
            Outcome.FAILED,
            error="The route has neither a text nor a recording to play. Choose one.",
            flagged=True,
        )
    return Answer(twiml, Outcome.PLAYED)


def media_url(code: str) -> str:
    """Return the public URL of something that we serve."""
    return f"{current_settings().public_base_url}/media/{code}"
