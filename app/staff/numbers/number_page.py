"""The page of one number or messaging service: what it does, how it is set up, what it was."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from flask import g, redirect, render_template, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain.hours import hours
from app.domain.mistakes import Refused
from app.domain.routing import routes
from app.domain.routing.handlers import HOLDING, SPECS, offered
from app.domain.routing.handlers.base import HandlerSpec
from app.domain.routing.handlers.menu import KEYS
from app.domain.sending import breaker
from app.extensions import db
from app.models.client import Client
from app.models.hours import Hours
from app.models.house import AuditEntry
from app.models.route import Destination, Route
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionList
from app.staff import own
from app.staff.access import client_blueprint
from app.staff.numbers import drafts, flow, route_form, route_preview
from app.staff.numbers.at_twilio import AtTwilio
from app.staff.numbers.overview import KINDS
from app.staff.numbers.route_form import RouteForm
from app.staff.office import office_hours
from app.staff.office.office_hours import Bar
from app.staff.wordings.voices import VOICES

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


def destinations(sender: Sender) -> list[Destination]:
    """Return what can come in: nothing to a verified number, texts only to a service."""
    if sender.kind is SenderKind.VERIFIED:
        return []
    if sender.kind is SenderKind.MESSAGING_SERVICE or sender.is_short_code:
        return [Destination.SMS]
    return [Destination.SMS, Destination.VOICE]


def stored_form(sender: Sender, destination: Destination) -> RouteForm:
    """Return the form of a route as it is saved."""
    session = db.session()
    route = routes.find_route(session, sender, destination)
    form = RouteForm(destination, routes.describe(route) if route else {"handler": "none"})
    if route:
        form.sentence = routes.sentence(route)
        form.flow = flow.draw(routes.spec_of(route))
        form.now = route_preview.now(session, sender, destination)
    return form


def show(sender: Sender, edited: RouteForm | None = None, asked: AtTwilio | None = None) -> str:
    """Render the page.

    :param edited: a form that is being edited, in place of the stored one.
    :param asked: what Twilio was asked just now.
    """
    session = db.session()
    forms = [
        edited if edited and edited.destination is destination else stored_form(sender, destination)
        for destination in destinations(sender)
    ]
    before = {form.destination: earlier(session, sender, form.destination) for form in forms}
    return render_template(
        "staff/number.html",
        held=breaker.held(db.session(), breaker.keys_of(sender)),
        sender=sender,
        forms=forms,
        asked=asked,
        earlier=before,
        in_use={one: _in_use(session, sender, one, found) for one, found in before.items()},
        kinds=KINDS,
        **_tools(session, sender),
        by_hours=_by_hours(session, sender),
        days=office_hours.DAYS,
        closed_until=office_hours.closed_until(sender),
        service=session.get(Sender, sender.service_id) if sender.service_id else None,
        suppression=session.get(SuppressionList, sender.suppression_list_id or ""),
        lists=list(
            session.scalars(
                select(SuppressionList.name)
                .where(SuppressionList.client_id == g.client.id)
                .order_by(SuppressionList.name)
            )
        ),
    )


def show_box(sender: Sender, form: RouteForm) -> str:
    """Render the page of one route inside a number's."""
    session = db.session()
    if form.flow is None and (spec := _whole(session, sender, form)) is not None:
        form.flow, form.left = flow.draw(spec), len(drafts.to_fill_in(spec))
    words = flow.place_in_words(form.flow, form.at) if form.flow else []
    return render_template(
        "staff/number_box.html",
        sender=sender,
        form=form,
        words=words or ["One box"],
        **_tools(session, sender),
    )


def _whole(session: Session, sender: Sender, form: RouteForm) -> HandlerSpec | None:
    """Return the route that a form is a part of: as it went along with it, or as it is saved."""
    if form.draft is not None:
        with suppress(Refused):
            return routes.parse(form.destination, form.draft, drafts=True)
        return None
    route = routes.find_route(session, sender, form.destination)
    return routes.spec_of(route) if route else None


def _tools(session: Session, sender: Sender) -> dict[str, Any]:
    """Return what the templates need to draw the form of a route."""
    return {
        "offered": offered,
        "holding": HOLDING,
        "specs": SPECS,
        "slots": route_form.slots,
        "phone_keys": KEYS,
        "fields": route_form.fields,
        "voices": VOICES,
        "choices": route_form.choices(session, g.client.id, destinations(sender)),
        "address": drafts.address,
    }


def _by_hours(session: Session, sender: Sender) -> list[tuple[Hours, str, dict[str, list[Bar]]]]:
    """Return the office hours that the number's routes go by, with what they say now."""
    used = select(Route.hours_id).where(Route.sender_id == sender.id, Route.hours_id.is_not(None))
    rows = session.scalars(select(Hours).where(Hours.id.in_(used)).order_by(Hours.name))
    client = session.get_one(Client, sender.client_id)
    return [(row, hours.now_words(row, client, sender), office_hours.week(row)) for row in rows]


def target(sender: Sender, destination: Destination) -> str:
    """Return what a route is called in the audit log."""
    return f"{destination.value} of {sender.address}"


def earlier(session: Session, sender: Sender, destination: Destination) -> list[AuditEntry]:
    """Return how a route was saved before, newest first: who, when, and what it said."""
    entry = AuditEntry
    query = select(entry).where(
        entry.client_id == g.client.id, entry.action == SAVED,
        entry.target == target(sender, destination),
    )  # fmt: skip
    return list(session.scalars(query.order_by(entry.id.desc()).limit(EARLIER)))


def _in_use(
    session: Session, sender: Sender, destination: Destination, found: list[AuditEntry]
) -> int | None:
    """Return which of a route's earlier forms is what the number does now: the newest such one."""
    route = routes.find_route(session, sender, destination)
    now = routes.sentence(route) if route else None
    return next((one.id for one in found if now and one.details.get("said") == now), None)
