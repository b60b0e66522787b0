"""What a wording becomes and takes: examples put in, measured as it is billed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.domain.attributes import NAME
from app.domain.clients import prices
from app.domain.content import catalog, templates
from app.domain.content.template_names import attribute_name
from app.domain.content.voice_templates import Rules, check_voice_template, form_only
from app.domain.reach import Refusal
from app.domain.sending import calls
from app.models.communication import MachineDetection
from app.models.template import TemplateKind
from app.staff.whom import Whom
from app.twilio import segments
from app.twiml import messaging

TWILIOS_OWN = {"From": "+13195550142", "To": "+13195550100", "Body": "What they texted"}
"""What a reply knows about the text it answers, as examples."""

MOST_CHIPS = 30
SAID = 3
"""How many mistakes of a call are told at once."""


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
    unanswered: str | None = None
    """Who would get no answer from a canned reply."""
    meant: str | None = None
    """Which names nobody has, where others are near."""
    stranger: str | None = None
    """What somebody gets of whom nothing is known, where it differs."""
    heard: dict[str, list[str]] = field(default_factory=dict)
    """What a call does, step by step, by who answers it."""


HEARD_BY = {
    "anybody": "What is heard",
    "person": "A person hears",
    "machine": "An answering machine hears",
}


def examples_for(body: str) -> dict[str, Any]:
    """Return a value for each placeholder, so that people see where each one goes.

    :raises templates.TemplateProblem: when it is no template.
    """
    found = templates.examples(body)
    found.pop("AnsweredBy", None)
    return {name: TWILIOS_OWN.get(name, value) for name, value in found.items()}


def preview(
    kind: TemplateKind,
    body: str,
    media: list[str],
    columns: tuple[str, ...] = (),
    rules: Rules = form_only,
    who: Whom | None = None,
) -> Preview:
    """Put examples into ``body`` and measure it with the code that counts what is billed.

    :param columns: the attributes that people of the client's lists have.
    :param rules: what the TwiML of the client's calls may not do, whatever its form.
    :param who: whose attributes are put in, in place of examples.
    """
    values = known_of(who, kind) if who else None
    if kind is TemplateKind.VOICE:
        made = _of_call(body, rules, values)
    else:
        made = _preview(kind, body, media, values)
    return made if made.error else replace(made, meant=catalog.meant(body, columns))


def known_of(who: Whom, kind: TemplateKind) -> dict[str, Any]:
    """Return what a wording knows of somebody: a reply also of the text that it answers."""
    own = TWILIOS_OWN | {"From": who.phone} if kind is TemplateKind.REPLY else {}
    return {**who.attributes, **own}


def chips(columns: Iterable[str]) -> list[str]:
    """Return placeholders for attributes, each with words for whoever has none."""
    found = dict.fromkeys(filter(None, map(attribute_name, [NAME, *columns])))
    return [
        f'{{{{ {name} or "{"there" if name == NAME else f"your {_in_words(name)}"}" }}}}'
        for name in list(found)[:MOST_CHIPS]
    ]


def _in_words(name: str) -> str:
    return name.removeprefix("to").replace("_", " ").strip().lower()


def _preview(
    kind: TemplateKind, body: str, media: list[str], values: Mapping[str, Any] | None
) -> Preview:
    try:
        known = examples_for(body) if values is None else values
        text, error = templates.render(body, known), None
    except templates.TemplateProblem as problem:
        text, error = body, problem.message
    measured = segments.measure(text)
    costly = [Costly(character, _plain_twin(character)) for character in measured.unsupported]
    cost = segments.estimate_cost(measured.segments, len(media), prices.PRICES)
    if kind is not TemplateKind.REPLY or error is not None:
        return Preview(text, measured, costly, f"{cost:.4f}", None, error)
    unanswered = catalog.unanswered(kind, body)
    stranger = None if unanswered or values is not None else templates.render(body, TWILIOS_OWN)
    return Preview(
        text, measured, costly, f"{cost:.4f}",
        messaging.reply(text, media) if text.strip() or media else None,
        unanswered=unanswered, stranger=stranger if stranger != text else None,
    )  # fmt: skip


def _of_call(body: str, rules: Rules, values: Mapping[str, Any] | None) -> Preview:
    heard: dict[str, list[str]] = {}
    text, error = "", None
    if body.strip():
        try:
            member = examples_for(body) if values is None else values
            heard = calls.preview(body, member, MachineDetection.CONTINUE)
            text = calls.render(body, member)
            error = " ".join(map(str, check_voice_template(body, rules)[:SAID])) or None
        except templates.TemplateProblem as problem:
            error = problem.message
        except Refusal as refusal:
            error = refusal.sentence
    if heard and heard["person"] == heard["machine"]:
        heard = {"anybody": heard["person"]}
    return Preview("", segments.measure(""), [], "", text, error, heard=heard)


def _plain_twin(character: str) -> str | None:
    twin = segments.smart_encode(character)
    return twin if twin != character else None
