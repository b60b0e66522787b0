"""Callers hear a message: spoken by a robot's voice, or a recording."""

from __future__ import annotations

from app.extensions import current_settings
from app.inbound.handlers import Answer
from app.inbound.lookup import RouteFacts
from app.models.incoming import Outcome
from app.twiml import voice


def answer(route: RouteFacts) -> Answer:
    """Play the recording or the audio file of the route, or say its text."""
    options = route.options
    loop = options.get("loop")
    times = 1 if loop is None else int(loop)
    if route.recording_code:
        twiml = voice.play(media_url(route.recording_code), times)
    elif options.get("audio_url"):
        twiml = voice.play(options["audio_url"], times)
    elif options.get("say"):
        twiml = voice.say(options["say"], options.get("voice"), options.get("language"), times)
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
