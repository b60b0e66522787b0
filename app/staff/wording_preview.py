"""What a wording becomes and takes: examples put in, measured as it is billed."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.clients import prices
from app.domain.content import templates
from app.models.template import TemplateKind
from app.twilio import segments
from app.twiml import messaging

TWILIOS_OWN = {"From": "+13195550142", "To": "+13195550100", "Body": "What they texted"}
"""What a reply knows about the text it answers, as examples."""


@dataclass(frozen=True)
class Costly:
    """A character that makes a text dear, and what to write instead."""

    character: str
    instead: str | None


@dataclass(frozen=True)
class Preview:
    """What people would get: the words with examples put in, and what that takes."""

    text: str
    measure: segments.Measure
    costly: list[Costly]
    cost: str
    twiml: str | None
    error: str | None = None


def preview(kind: TemplateKind, body: str, media: list[str]) -> Preview:
    """Put examples into ``body`` and measure it with the code that counts what is billed."""
    try:
        names = templates.placeholders(body)
        examples = {name: TWILIOS_OWN.get(name, f"[{name}]") for name in names}
        text, error = templates.render(body, examples), None
    except templates.TemplateProblem as problem:
        text, error = body, problem.message
    measured = segments.measure(text)
    costly = [
        Costly(character, _plain_twin(character))
        for character in (measured.unsupported if kind is not TemplateKind.VOICE else [])
    ]
    cost = segments.estimate_cost(measured.segments, len(media), prices.PRICES)
    twiml = None
    if kind is TemplateKind.REPLY and error is None and (text.strip() or media):
        twiml = messaging.reply(text, media)
    return Preview(text, measured, costly, f"{cost:.4f}", twiml, error)


def _plain_twin(character: str) -> str | None:
    twin = segments.smart_encode(character)
    return twin if twin != character else None
