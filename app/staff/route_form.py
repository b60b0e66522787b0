"""The form of a route: what can be chosen, as stored, as typed, and as it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import request

from app.domain.mistakes import Mistake, Refused
from app.models.route import HANDLERS, Channel, Handler
from app.staff import listing
from app.staff.route_preview import Preview

HANDLER_WORDS: dict[Handler, tuple[str, str]] = {
    Handler.AUTO_REPLY: ("Answer with a canned reply", "People get the same words back at once."),
    Handler.FORWARD_TO_EMAIL: ("Forward to e-mail", "Good when few answers come in."),
    Handler.FORWARD_TO_WEBHOOK: (
        "Forward to your own system",
        "Each text goes to an endpoint, with what you know about the person.",
    ),
    Handler.PLAY_MESSAGE: ("Play a message", "A voice reads a text, or a recording is played."),
    Handler.CALL_FORWARD: ("Forward to another phone", "The caller is put through."),
    Handler.HANDLE_YOURSELF: (
        "Handle it yourself",
        "Twilio asks your own web address, which answers with TwiML.",
    ),
}
FIELDS: dict[Handler, tuple[str, ...]] = {
    Handler.AUTO_REPLY: ("template",),
    Handler.FORWARD_TO_EMAIL: ("population",),
    Handler.FORWARD_TO_WEBHOOK: ("endpoint",),
    Handler.PLAY_MESSAGE: ("say", "recording", "audio_url", "voice", "language", "loop"),
    Handler.CALL_FORWARD: ("to", "timeout", "caller_id", "no_answer_say"),
    Handler.HANDLE_YOURSELF: ("url",),
}
NUMERIC = ("loop", "timeout")


@dataclass
class RouteForm:
    """One route being edited: its values as typed, what is wrong, and what it would do."""

    channel: Channel
    values: dict[str, Any]
    keywords: list[dict[str, str]]
    mistakes: dict[str, list[str]]
    sentence: str | None = None
    now: Preview | None = None
    """What somebody would get just now."""

    @property
    def handler(self) -> str:
        """The handler chosen."""
        return str(self.values.get("handler", ""))


def typed(channel: Channel) -> RouteForm:
    """Return the form as it was sent."""
    values = {"handler": request.form.get("handler", "none")}
    for names in FIELDS.values():
        values |= {name: request.form[name].strip() for name in names if name in request.form}
    rules = zip(
        request.form.getlist("match"), request.form.getlist("keyword_template"), strict=False
    )
    keywords = [{"match": match, "template": name} for match, name in rules if match.strip()]
    return RouteForm(channel, values, keywords, {})


def as_written(form: RouteForm) -> Mapping[str, Any]:
    """Return the form in the shape in which routes are written down; empty fields are left out."""
    if form.handler not in {handler.value for handler in HANDLERS[form.channel]}:
        raise Refused.because("Choose what is to be done.", "handler")
    handler = Handler(form.handler)
    data: dict[str, Any] = {"handler": form.handler}
    for name in FIELDS[handler]:
        value = form.values.get(name, "")
        if value != "":
            data[name] = int(value) if name in NUMERIC and listing.is_small(str(value)) else value
    if handler is Handler.PLAY_MESSAGE and "say" not in data:
        data = {name: value for name, value in data.items() if name not in ("voice", "language")}
    if handler is Handler.AUTO_REPLY and form.keywords:
        for rule in form.keywords:
            if not rule["template"]:
                raise Refused.because(f"Choose a reply to “{rule['match']}”.", "keywords")
        data["keywords"] = form.keywords
    return data


def by_field(refused: Refused) -> dict[str, list[str]]:
    """Return what is wrong with each field."""
    found: dict[str, list[str]] = {}
    for mistake in refused.mistakes:
        found.setdefault(_field_of(mistake), []).append(mistake.message)
    return found


def _field_of(mistake: Mistake) -> str:
    return str(mistake.path[0]) if mistake.path else ""
