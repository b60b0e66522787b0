"""Numbers: what each does with texts and calls, seen in words and as TwiML before it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import audit
from app.domain.mistakes import Mistake, Refused
from app.domain.routing import routes
from app.extensions import db, unit_of_work
from app.models.audience import Population
from app.models.endpoint import Endpoint, EndpointKind
from app.models.media import Recording
from app.models.route import HANDLERS, Channel, Handler, Route
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateKind
from app.staff.access import client_blueprint, say
from app.staff.route_preview import twiml_now

VOICES = {
    "": "Twilio's own voice",
    "Polly.Joanna": "Joanna, US English",
    "Polly.Matthew": "Matthew, US English",
    "Polly.Amy": "Amy, British English",
    "Polly.Lupe": "Lupe, US Spanish",
    "man": "Basic, male",
    "woman": "Basic, female",
}
LANGUAGES = {"": "As the voice", "en-US": "English (US)", "en-GB": "English (UK)",
             "es-US": "Spanish (US)", "es-MX": "Spanish (Mexico)", "fr-FR": "French",
             "de-DE": "German", "zh-CN": "Chinese"}  # fmt: skip
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
KINDS = {
    SenderKind.TWILIO: "Number at Twilio",
    SenderKind.VERIFIED: "Your own number, for outgoing calls",
    SenderKind.MESSAGING_SERVICE: "Messaging service",
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
    twiml: str | None = None

    @property
    def handler(self) -> str:
        """The handler chosen."""
        return str(self.values.get("handler", ""))


class _OnlyLooking(Exception):
    """Ends a transaction that was opened to see what saving would do."""


@client_blueprint.get("/numbers")
def numbers() -> str:
    """List numbers and messaging services with what they do."""
    session = db.session()
    senders = list(
        session.scalars(
            select(Sender)
            .where(Sender.client_id == g.client.id)
            .order_by(Sender.kind.desc(), Sender.address)
        )
    )
    return render_template(
        "staff/numbers.html", senders=senders, does=what_numbers_do(session, senders), kinds=KINDS
    )


def what_numbers_do(session: Session, senders: list[Sender]) -> dict[tuple[str, Channel], str]:
    """Return in a sentence what each sender of the client does with texts and with calls.

    A number inside a messaging service does with texts what the service does, if that does
    anything.
    """
    found = session.scalars(select(Route).where(Route.client_id == g.client.id))
    does = {(route.sender_id, route.channel): routes.sentence(route) for route in found}
    names = {sender.id: sender.name for sender in senders}
    for sender in senders:
        service = (sender.service_id or "", Channel.SMS)
        if service in does:
            said = f"As the messaging service “{names[service[0]]}”: {does[service]}"
            does[(sender.id, Channel.SMS)] = said
    return does


@client_blueprint.get("/numbers/<sender_id>")
def number(sender_id: str) -> str:
    """Show one number, with a form for its texts and one for its calls."""
    sender = _find(sender_id)
    return _page(sender, [_saved_form(sender, channel) for channel in _channels(sender)])


@client_blueprint.post("/numbers/<sender_id>/<channel>")
def number_route(sender_id: str, channel: str) -> str | Response | tuple[str, int]:
    """Save a route; or, when asked to, only show what it would do."""
    sender = _find(sender_id)
    if channel not in set(Channel) or Channel(channel) not in _channels(sender):
        abort(404)
    wanted = Channel(channel)
    form = _typed_form(wanted)
    looking = request.form.get("do") == "preview"
    if form.handler == "none":
        return _clear(sender, wanted)
    try:
        with unit_of_work() as session:
            route = _save(session, sender, form)
            form.sentence = routes.sentence(route)
            form.twiml = twiml_now(session, session.get_one(Sender, sender.id), wanted)
            if looking:
                raise _OnlyLooking
    except _OnlyLooking:
        return _page(sender, _with(sender, form))
    except Refused as refused:
        form.mistakes = _by_field(refused)
        return _page(sender, _with(sender, form)), 422
    say(f"Saved. {form.sentence}")
    return redirect(url_for("client.number", sender_id=sender.id))


def _save(session: Session, sender: Sender, form: RouteForm) -> Route:
    fresh = session.get_one(Sender, sender.id)
    spec = routes.parse(form.channel, _as_written(form))
    route = routes.save_route(session, fresh, form.channel, spec, current_user.email)
    audit.record(
        session, current_user.email, "save route", f"{form.channel.value} of {sender.address}",
        g.client.id, {"route": routes.describe(route)},
    )  # fmt: skip
    return route


def _clear(sender: Sender, channel: Channel) -> Response:
    with unit_of_work() as session:
        if routes.clear_route(session, session.get_one(Sender, sender.id), channel):
            audit.record(
                session, current_user.email, "clear route",
                f"{channel.value} of {sender.address}", g.client.id,
            )  # fmt: skip
    noun = "texts" if channel is Channel.SMS else "calls"
    say(f"Saved. Nothing is set up for {noun} now; they are logged.")
    return redirect(url_for("client.number", sender_id=sender.id))


def _find(sender_id: str) -> Sender:
    sender = db.session.get(Sender, sender_id)
    if sender is None or sender.client_id != g.client.id:
        abort(404, "There is no such number.")
    return sender


def _channels(sender: Sender) -> list[Channel]:
    """Return what can come in: nothing to a verified number, texts only to a service."""
    if sender.kind is SenderKind.VERIFIED:
        return []
    if sender.kind is SenderKind.MESSAGING_SERVICE or sender.is_short_code:
        return [Channel.SMS]
    return [Channel.SMS, Channel.VOICE]


def _saved_form(sender: Sender, channel: Channel) -> RouteForm:
    session = db.session()
    route = routes.find_route(session, sender, channel)
    values: dict[str, Any] = routes.describe(route) if route else {"handler": "none"}
    form = RouteForm(channel, values, values.pop("keywords", []), {})
    if route:
        form.sentence = routes.sentence(route)
        form.twiml = twiml_now(session, sender, channel)
    return form


def _typed_form(channel: Channel) -> RouteForm:
    values = {"handler": request.form.get("handler", "none")}
    for names in FIELDS.values():
        values |= {name: request.form[name].strip() for name in names if name in request.form}
    rules = zip(
        request.form.getlist("match"), request.form.getlist("keyword_template"), strict=False
    )
    keywords = [{"match": match, "template": name} for match, name in rules if match.strip()]
    return RouteForm(channel, values, keywords, {})


def _as_written(form: RouteForm) -> Mapping[str, Any]:
    """Return the form in the shape in which routes are written down; empty fields are left out."""
    if form.handler not in {handler.value for handler in HANDLERS[form.channel]}:
        raise Refused.because("Choose what is to be done.", "handler")
    handler = Handler(form.handler)
    data: dict[str, Any] = {"handler": form.handler}
    for name in FIELDS[handler]:
        typed = form.values.get(name, "")
        if typed != "":
            data[name] = int(typed) if name in NUMERIC and str(typed).isdecimal() else typed
    if handler is Handler.AUTO_REPLY and form.keywords:
        data["keywords"] = form.keywords
    return data


def _by_field(refused: Refused) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for mistake in refused.mistakes:
        found.setdefault(_field_of(mistake), []).append(mistake.message)
    return found


def _field_of(mistake: Mistake) -> str:
    return str(mistake.path[0]) if mistake.path else ""


def _with(sender: Sender, edited: RouteForm) -> list[RouteForm]:
    return [
        edited if channel is edited.channel else _saved_form(sender, channel)
        for channel in _channels(sender)
    ]


def _page(sender: Sender, forms: list[RouteForm]) -> str:
    session = db.session()
    return render_template(
        "staff/number.html",
        sender=sender,
        forms=forms,
        kinds=KINDS,
        handlers=HANDLERS,
        words=HANDLER_WORDS,
        voices=VOICES,
        languages=LANGUAGES,
        service=session.get(Sender, sender.service_id) if sender.service_id else None,
        suppression=_name(session, SuppressionList, sender.suppression_list_id),
        replies=_names(session, Template, Template.kind == TemplateKind.REPLY),
        populations=_names(session, Population),
        endpoints=_names(session, Endpoint, Endpoint.kind == EndpointKind.WEBHOOK),
        recordings=_names(session, Recording),
    )


def _names(session: Session, model: Any, *conditions: Any) -> list[str]:
    query = select(model.name).where(model.client_id == g.client.id, *conditions)
    return list(session.scalars(query.order_by(model.name)))


def _name(session: Session, model: Any, key: str | None) -> str | None:
    return session.get_one(model, key).name if key else None
