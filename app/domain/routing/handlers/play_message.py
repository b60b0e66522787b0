"""``play_message``: callers hear words that a voice reads, or a recording."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.domain.routing.handlers.base import (
    HandlerSpec,
    Language,
    Refers,
    Shown,
    Spoken,
    Voice,
    ended,
)
from app.domain.specs import Name, WebAddress
from app.models.media import Recording
from app.models.route import Destination


class PlayMessage(HandlerSpec):
    """Speak a text or play a recording to the caller."""

    label = "Play a message"
    hint = "A voice reads a text, or a recording is played."
    destinations = (Destination.VOICE,)

    handler: Literal["play_message"]
    say: Annotated[Spoken | None, Shown("Words to be read", kind="area")] = None
    voice: Annotated[Voice | None, Shown("Voice", kind="voice", only_with="say")] = None
    language: Annotated[Language | None, Shown("Language", kind="language", only_with="say")] = None
    recording: Annotated[
        Name | None,
        Refers(Recording),
        Shown("Or a recording", "Upload new ones under Recordings.", empty="None"),
    ] = None
    audio_url: Annotated[WebAddress | None, Shown("Or a web address of audio", kind="url")] = None
    loop: Annotated[
        int,
        Field(ge=0, le=1000),
        Shown("How often", "1 is usual; 0 repeats until the caller hangs up.", "number"),
    ] = 1
    """0 repeats until the caller hangs up (Twilio, <Say> and <Play>)."""

    @model_validator(mode="after")
    def _one_message(self) -> Self:
        given = [name for name in ("say", "recording", "audio_url") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"Give exactly one of say, recording and audio_url; there is {found}.")
        if not self.say and (self.voice or self.language):
            raise ValueError("“voice” and “language” belong to “say”; a recording has its own.")
        return self

    def summary(self) -> str:
        """Say in words what it does."""
        if self.say:
            what = f"Says “{self.say}”"
        elif self.recording:
            what = f"Plays the recording “{self.recording}”"
        else:
            what = f"Plays {self.audio_url}"
        if self.loop == 1:
            return ended(what)
        return f"{what}, {f'{self.loop} times' if self.loop else 'again and again'}."
