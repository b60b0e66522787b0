"""Routes as people write them: what each handler takes, checked without looking anything up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    model_validator,
)

from app.domain import keywords, mistakes
from app.domain.mistakes import Mistake, Refused
from app.domain.specs import Name, Phone, Spec, WebAddress
from app.models.route import HANDLERS, Channel

CARRIER_KEYWORDS = keywords.TWILIO_WORDS.keys() - {keywords.YES}
"""Words that never reach a number's own rules. YES may: one that lifts nothing is ordinary."""

_VOICE = re.compile(r"man|woman|alice|(Polly|Google)\.[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def _voice(name: str) -> str:
    if not _VOICE.fullmatch(name):
        raise ValueError(
            f"“{name}” is not a voice of Twilio's; use man, woman, or a name such as Polly.Joanna."
        )
    return name


def _language(name: str) -> str:
    if not _LANGUAGE.fullmatch(name):
        raise ValueError(f"“{name}” is not a language; use a code such as en-US.")
    return name


def _keyword(text: str) -> str:
    word = keywords.read(text)
    if not word or len(word.split()) != 1:
        raise ValueError(f"“{text.strip()}” must be one word: only a text of that word matches.")
    if word in CARRIER_KEYWORDS:
        raise ValueError(
            f"“{word}” is a word by which people opt out or in or ask for help;"
            " it is handled before any rule and cannot have one."
        )
    return word


Spoken = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]


class KeywordSpec(Spec):
    """A text of just this word is answered by another template."""

    match: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_keyword)]
    template: Name


class AutoReply(Spec):
    """Answer each text with a template."""

    handler: Literal["auto_reply"]
    template: Name
    keywords: Annotated[list[KeywordSpec], Field(max_length=100)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _unique(self) -> AutoReply:
        words = [rule.match for rule in self.keywords]
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"The keyword {' and '.join(twice)} has more than one rule.")
        return self


class ForwardToEmail(Spec):
    """Mail each text to every member of a population."""

    handler: Literal["forward_to_email"]
    population: Name


class ForwardToWebhook(Spec):
    """Send each text to the client's own system."""

    handler: Literal["forward_to_webhook"]
    endpoint: Name


class HandleYourself(Spec):
    """Let the client's own TwiML answer."""

    handler: Literal["handle_yourself"]
    url: WebAddress


class PlayMessage(Spec):
    """Speak a text or play a recording to the caller."""

    handler: Literal["play_message"]
    say: Spoken | None = None
    recording: Name | None = None
    audio_url: WebAddress | None = None
    voice: Annotated[str, AfterValidator(_voice)] | None = None
    language: Annotated[str, AfterValidator(_language)] | None = None
    loop: Annotated[int, Field(ge=0, le=1000)] = 1
    """0 repeats until the caller hangs up (Twilio, <Say> and <Play>)."""

    @model_validator(mode="after")
    def _one_message(self) -> PlayMessage:
        given = [name for name in ("say", "recording", "audio_url") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"Give exactly one of say, recording and audio_url; there is {found}.")
        if not self.say and (self.voice or self.language):
            raise ValueError("“voice” and “language” belong to “say”; a recording has its own.")
        return self


class CallForward(Spec):
    """Forward the call to another phone."""

    handler: Literal["call_forward"]
    to: Phone
    timeout: Annotated[int, Field(ge=5, le=600)] = 30
    """Seconds that it rings (Twilio, <Dial>: 600 at most)."""
    caller_id: Literal["caller", "number"] = "caller"
    no_answer_say: Spoken | None = None


RouteSpec = (
    AutoReply | ForwardToEmail | ForwardToWebhook | HandleYourself | PlayMessage | CallForward
)

_SPECS: dict[str, type[RouteSpec]] = {
    "auto_reply": AutoReply,
    "forward_to_email": ForwardToEmail,
    "forward_to_webhook": ForwardToWebhook,
    "handle_yourself": HandleYourself,
    "play_message": PlayMessage,
    "call_forward": CallForward,
}


def parse(channel: Channel, data: object) -> RouteSpec:
    """Read a route as people write it: ``{handler: auto_reply, template: away}``.

    :raises Refused: with every mistake that can be seen without the database.
    """
    if not isinstance(data, Mapping):
        raise Refused.because("A route must name its handler, such as {handler: auto_reply, …}.")
    allowed = [str(handler) for handler in HANDLERS[channel]]
    handler = data.get("handler")
    if handler is None:
        raise Refused([Mistake(("handler",), f"“handler” is required: {', '.join(allowed)}.")])
    if handler not in allowed:
        kind = "texts" if channel is Channel.SMS else "calls"
        message = f"“{handler}” is no handler for {kind}; it must be one of {', '.join(allowed)}."
        raise Refused.because(message, "handler")
    return mistakes.parse(_SPECS[str(handler)], dict(data))


def shape(spec: RouteSpec) -> dict[str, Any]:
    """Return the route as people write it, without what is the default anyway."""
    return {"handler": spec.handler, **spec.model_dump(exclude_defaults=True)}
