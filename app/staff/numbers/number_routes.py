"""What a number does with texts and calls: tried out, saved, and gone back to."""

from __future__ import annotations

from flask import abort, g, request
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import audit
from app.domain.mistakes import Refused
from app.domain.routing import routes
from app.extensions import db, unit_of_work
from app.inbound.number import Number
from app.models.house import AuditEntry
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender
from app.staff.access import client_blueprint, say
from app.staff.numbers import at_twilio, route_form, route_preview
from app.staff.numbers.number_page import SAVED, back, destinations, find, show, target
from app.staff.numbers.route_form import RouteForm

NOTHING = {
    Destination.SMS: "Nothing is done with texts; they are logged.",
    Destination.VOICE: "Nothing is done with calls: callers hear a short sentence.",
}


class _OnlyLooking(Exception):
    """Ends a transaction that was opened to see what saving would do."""

    def __init__(self, number: Number | None) -> None:
        super().__init__()
        self.number = number


@client_blueprint.post("/numbers/<sender_id>/<destination>")
def number_route(sender_id: str, destination: str) -> str | Response | tuple[str, int]:
    """Save a route; or, when asked to, only show what it would do."""
    sender, wanted = _found(sender_id, destination)
    form = route_form.typed(wanted)
    try:
        _save(sender, form, looking=request.form.get("do") == "preview")
    except _OnlyLooking as looking:
        form.now = route_preview.shown(db.session(), looking.number, form.destination)
        return show(sender, form)
    except Refused as refused:
        form.mistakes = route_form.by_field(refused)
        return show(sender, form), 422
    return back(sender)


@client_blueprint.post("/numbers/<sender_id>/<destination>/restore/<int:entry_id>")
def number_route_restore(sender_id: str, destination: str, entry_id: int) -> Response:
    """Let a number do again what it did before."""
    sender, wanted = _found(sender_id, destination)
    entry = db.session.scalar(
        select(AuditEntry).where(
            AuditEntry.id == entry_id, AuditEntry.client_id == g.client.id,
            AuditEntry.action == SAVED, AuditEntry.target == target(sender, wanted),
        )
    )  # fmt: skip
    if entry is None:
        abort(404, "That is not there any more.")
    try:
        _save(sender, RouteForm(wanted, dict(entry.details["route"])))
    except Refused as refused:
        say(f"It cannot be as it was: {refused}", "bad")
    return back(sender)


def _found(sender_id: str, destination: str) -> tuple[Sender, Destination]:
    sender = find(sender_id)
    if destination not in set(Destination) or Destination(destination) not in destinations(sender):
        abort(404)
    return sender, Destination(destination)


def _save(sender: Sender, form: RouteForm, looking: bool = False) -> None:
    """Save what the form says, and tell the person what that does.

    :raises Refused: with every mistake.
    :raises _OnlyLooking: when nothing is to be saved; with what the answer would depend on.
    """
    with unit_of_work() as session:
        fresh = session.get_one(Sender, sender.id)
        before = routes.find_route(session, fresh, form.destination)
        direct = before is not None and before.handler is Handler.HANDLE_YOURSELF
        if form.handler == "none":
            _clear(session, fresh, form)
        else:
            route = _write(session, fresh, form, before)
            direct = direct or route.handler is Handler.HANDLE_YOURSELF
        if looking:
            raise _OnlyLooking(route_preview.found(session, fresh, form.destination))
    say(f"Saved. {form.sentence}")
    if direct:  # Twilio asks the client's own address, or has to be told that it no longer does
        at_twilio.write(sender, "Twilio has been told.")


def _write(session: Session, sender: Sender, form: RouteForm, before: Route | None) -> Route:
    was = routes.describe(before) if before else None
    spec = routes.parse(form.destination, route_form.as_written(form))
    route = routes.save_route(session, sender, form.destination, spec, current_user.email)
    form.sentence = routes.sentence(route)
    if routes.describe(route) == was:
        return route
    audit.record(
        session, current_user.email, SAVED, target(sender, form.destination), g.client.id,
        {"route": routes.describe(route), "said": form.sentence},
    )  # fmt: skip
    return route


def _clear(session: Session, sender: Sender, form: RouteForm) -> None:
    form.sentence = NOTHING[form.destination]
    if routes.clear_route(session, sender, form.destination):
        audit.record(
            session,
            current_user.email,
            "clear route",
            target(sender, form.destination),
            g.client.id,
        )
