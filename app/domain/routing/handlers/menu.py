"""``menu``: callers choose by a key, or by a word, what happens next."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from app.domain.routing.handlers.base import (
    HandlerSpec,
    Language,
    Nested,
    Refers,
    Shown,
    Spoken,
    TextBack,
    Voice,
    texted_back,
)
from app.domain.specs import Name
from app.models.media import Recording
from app.models.route import Destination

KEYS = "1234567890*#"
"""The keys of a phone, in the order in which people look for them."""


def _key(written: object) -> object:
    """Read a key; in YAML one without quotation marks is a number."""
    return str(written) if type(written) is int else written


Key = Annotated[str, BeforeValidator(_key), StringConstraints(pattern=r"^[0-9*#]$")]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]


class Menu(HandlerSpec):
    """Let the caller choose by a key, or by a word, how the call goes on."""

    label = "Let callers choose"
    hint = "“For the library press 1, for …”: each key leads on."
    destinations = (Destination.VOICE,)

    handler: Literal["menu"]
    say: Annotated[
        Spoken | None, Shown("Words to be read", "Say which key is for what.", "area")
    ] = None
    voice: Annotated[Voice | None, Shown("Voice", kind="voice", only_with="say")] = None
    language: Annotated[Language | None, Shown("Language", kind="language", only_with="say")] = None
    """Of the words that are read, and of those that callers say."""
    recording: Annotated[
        Name | None,
        Refers(Recording),
        Shown("Or a recording", "Upload new ones under Recordings.", empty="None"),
    ] = None
    keys: Annotated[
        dict[Key, Nested],
        Field(min_length=1),
        Shown("Keys", "What each key leads to. Save, and there is room for more.", "routes"),
    ]
    speech: Annotated[
        dict[Word, Key],
        Field(max_length=50, default_factory=dict),
        Shown("Words that callers may say", "One a line, with its key: library = 1", "words"),
    ]
    """What callers may say instead of a key."""
    repeat: Annotated[
        int,
        Field(ge=0, le=10),
        Shown("Ask again", "How often, after no key or a wrong one; 2 when empty.", "number"),
    ] = 2
    timeout: Annotated[
        int,
        Field(ge=1, le=60),
        Shown("Wait for a key", "Seconds after the words, 1 to 60; 5 when empty.", "number"),
    ] = 5
    """Seconds (Twilio, <Gather timeout>)."""
    text_back: TextBack = None
    otherwise: Annotated[
        Nested | None,
        Shown("When no key was pressed", kind="route", empty="Say goodbye"),
    ] = None

    @model_validator(mode="after")
    def _one_greeting(self) -> Self:
        if bool(self.say) == bool(self.recording):
            found = "both" if self.say else "none"
            raise ValueError(f"Give exactly one of say and recording; there is {found}.")
        if self.voice and not self.say:
            raise ValueError("“voice” belongs to “say”; a recording has its own.")
        if lost := [f"“{word}”" for word, key in self.speech.items() if key not in self.keys]:
            raise ValueError(f"There is no such key for the words {', '.join(lost)}.")
        return self

    def by_key(self) -> list[tuple[str, HandlerSpec]]:
        """Return what each key leads to, in the order of a phone's keys."""
        return sorted(self.keys.items(), key=lambda one: KEYS.index(one[0]))

    def sentence(self) -> str:
        """Say in words what it does."""
        said = [self.summary()]
        said += [f"Key {key}: {one.sentence()}" for key, one in self.by_key()]
        if self.speech:
            words = ", ".join(f"“{word}” is {key}" for word, key in self.speech.items())
            said.append(f"Words: {words}.")
        said.append(f"Otherwise: {self.otherwise.sentence() if self.otherwise else 'goodbye.'}")
        return " ".join([*said, *texted_back(self.text_back)])

    def summary(self) -> str:
        """Say in words what it does itself."""
        greeting = f"Says “{self.say}”" if self.say else f"Plays the recording “{self.recording}”"
        return f"{greeting} and waits for a key."
