"""``voicemail``: callers leave a message, which goes to people and to the client's system."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from app.domain.mistakes import Reasons
from app.domain.routing.handlers.base import (
    HandlerSpec,
    Language,
    Place,
    Refers,
    Shown,
    Spoken,
    TextBack,
    Voice,
    texted_back,
)
from app.domain.routing.handlers.forward_to_email import require_mailboxes
from app.domain.specs import Name
from app.extensions import current_settings
from app.models.audience import Population
from app.models.endpoint import Endpoint
from app.models.media import Recording
from app.models.route import Destination

GREETING = "Nobody can take your call just now. Please leave a message after the tone."
TWILIO_TRANSCRIBES = 120
"""Longest message, in seconds, that Twilio writes down (Twilio, <Record transcribe>)."""
_YES_OR_NO = (("false", "no"), ("true", "yes"))


class Voicemail(HandlerSpec):
    """Record what the caller has to say."""

    label = "Take a message"
    hint = "Callers speak after a tone; you hear it here, and by e-mail."
    destinations = (Destination.VOICE,)

    handler: Literal["voicemail"]
    say: Annotated[
        Spoken | None,
        Shown("Greeting to be read", f"When empty: “{GREETING}”", "area"),
    ] = None
    voice: Annotated[Voice | None, Shown("Voice", kind="voice", only_with="say")] = None
    language: Annotated[Language | None, Shown("Language", kind="language", only_with="say")] = None
    recording: Annotated[
        Name | None,
        Refers(Recording),
        Shown("Or a recorded greeting", "Upload new ones under Recordings.", empty="None"),
    ] = None
    max_seconds: Annotated[
        int,
        Field(ge=5, le=600),
        Shown("Longest message", "Seconds, 5 to 600; 120 when empty.", "number"),
    ] = 120
    """Seconds (Twilio, <Record maxLength>)."""
    population: Annotated[
        Name | None,
        Refers(Population),
        Shown("Mail it to the members of", "With the sound attached.", empty="Nobody"),
    ] = None
    endpoint: Annotated[
        Name | None,
        Refers(Endpoint),
        Shown("And tell your own system", empty="None"),
    ] = None
    text_back: TextBack = None
    transcribe: Annotated[
        bool,
        Shown(
            "Write down what is said",
            "In English, by Twilio, which charges some five cents a minute and reads messages of"
            " at most 120 seconds; by your operator's own engine where there is one.",
            labels=_YES_OR_NO,
        ),
    ] = False
    delete_at_twilio: Annotated[
        bool,
        Shown(
            "Delete Twilio's copy",
            "Once Dispatch has its own. Otherwise Twilio keeps it, and charges for it after a"
            " while.",
            labels=_YES_OR_NO,
        ),
    ] = False

    @model_validator(mode="after")
    def _one_greeting(self) -> Self:
        if self.say and self.recording:
            raise ValueError("Give one of say and recording, or neither for a greeting of ours.")
        if not self.say and (self.voice or self.language):
            raise ValueError("“voice” and “language” belong to “say”; a recording has its own.")
        return self

    def summary(self) -> str:
        """Say in words what it does."""
        if self.recording:
            greeting = f"Plays the recording “{self.recording}”"
        else:
            greeting = f"Says “{self.say or GREETING}”"
        who = [
            f"mails it to the members of “{self.population}”" if self.population else "",
            f"tells the endpoint “{self.endpoint}”" if self.endpoint else "",
        ]
        said = f"{greeting} and takes a message of up to {self.max_seconds} seconds"
        written = ", writes down what is said" if self.transcribe else ""
        told = " and ".join(part for part in who if part)
        whole = f"{said}{written}{f'; {told}' if told else ''}."
        return " ".join([whole, *texted_back(self.text_back)])

    def check(self, _place: Place, reasons: Reasons) -> None:
        """Add what Twilio would not write down."""
        too_long = self.max_seconds > TWILIO_TRANSCRIBES
        if self.transcribe and too_long and current_settings().transcribe_url is None:
            reasons.add(
                f"Twilio writes down messages of at most {TWILIO_TRANSCRIBES} seconds; make it"
                " that short, or let nothing be written down.",
                "max_seconds",
            )

    def stored(self, place: Place, reasons: Reasons) -> dict[str, Any]:
        """Return the columns of the route; somebody has to be there who gets the mail."""
        columns = super().stored(place, reasons)
        require_mailboxes(place, columns["population_id"], self.population, reasons)
        return columns
