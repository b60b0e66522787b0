"""The page of one number or messaging service: what it does, how it is set up, what it was."""

from __future__ import annotations

from typing import Any

from flask import g, redirect, render_template, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain.routing import routes
from app.extensions import db
from app.models.audience import Population
from app.models.endpoint import Endpoint, EndpointKind
from app.models.house import AuditEntry
from app.models.media import Recording
from app.models.route import HANDLERS, Channel
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateKind
from app.staff import own, route_preview
from app.staff.access import client_blueprint
from app.staff.at_twilio import AtTwilio
from app.staff.numbers import KINDS
from app.staff.route_form import HANDLER_WORDS, RouteForm
from app.staff.voices import LANGUAGES, VOICES

SAVED = "save route"
"""The action in the audit log under which a route is kept as it was saved."""
EARLIER = 5


@client_blueprint.get("/numbers/<sender_id>")
def number(sender_id: str) -> str:
    """Show one number, with a form for its texts and one for its calls."""
    return show(find(sender_id))


def find(sender_id: str) -> Sender:
    """Return the client's number or service of that id; stop with 404 otherwise."""
    return own.find(Sender, sender_id, "number")


def back(sender: Sender) -> Response:
    """Lead back to the page."""
    return redirect(url_for("client.number", sender_id=sender.id))


def channels(sender: Sender) -> list[Channel]:
    """Return what can come in: nothing to a verified number, texts only to a service."""
    if sender.kind is SenderKind.VERIFIED:
        return []
    if sender.kind is SenderKind.MESSAGING_SERVICE or sender.is_short_code:
        return [Channel.SMS]
    return [Channel.SMS, Channel.VOICE]


def stored_form(sender: Sender, channel: Channel) -> RouteForm:
    """Return the form of a route as it is saved."""
    session = db.session()
    route = routes.find_route(session, sender, channel)
    values: dict[str, Any] = routes.describe(route) if route else {"handler": "none"}
    form = RouteForm(channel, values, values.pop("keywords", []), {})
    if route:
        form.sentence = routes.sentence(route)
        form.now = route_preview.now(session, sender, channel)
    return form


def show(sender: Sender, edited: RouteForm | None = None, asked: AtTwilio | None = None) -> str:
    """Render the page.

    :param edited: a form that is being edited, in place of the stored one.
    :param asked: what Twilio was asked just now.
    """
    session = db.session()
    forms = [
        edited if edited and edited.channel is channel else stored_form(sender, channel)
        for channel in channels(sender)
    ]
    return render_template(
        "staff/number.html",
        sender=sender,
        forms=forms,
        asked=asked,
        earlier={form.channel: earlier(session, sender, form.channel) for form in forms},
        kinds=KINDS,
        handlers=HANDLERS,
        words=HANDLER_WORDS,
        voices=VOICES,
        languages=LANGUAGES,
        service=session.get(Sender, sender.service_id) if sender.service_id else None,
        suppression=session.get(SuppressionList, sender.suppression_list_id or ""),
        lists=_names(session, SuppressionList),
        replies=_names(session, Template, Template.kind == TemplateKind.REPLY),
        populations=_names(session, Population),
        endpoints=_names(session, Endpoint, Endpoint.kind == EndpointKind.WEBHOOK),
        recordings=_names(session, Recording),
    )


def target(sender: Sender, channel: Channel) -> str:
    """Return what a route is called in the audit log."""
    return f"{channel.value} of {sender.address}"


def earlier(session: Session, sender: Sender, channel: Channel) -> list[AuditEntry]:
    """Return how a route was saved before, newest first: who, when, and what it said."""
    entry = AuditEntry
    query = select(entry).where(
        entry.client_id == g.client.id, entry.action == SAVED,
        entry.target == target(sender, channel),
    )  # fmt: skip
    return list(session.scalars(query.order_by(entry.id.desc()).limit(EARLIER)))


def _names(session: Session, model: Any, *conditions: Any) -> list[str]:
    query = select(model.name).where(model.client_id == g.client.id, *conditions)
    return list(session.scalars(query.order_by(model.name)))
