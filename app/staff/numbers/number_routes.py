"""What a number does with texts and calls: tried out, saved, and gone back to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import audit
from app.domain.mistakes import Refused
from app.domain.routing import routes
from app.extensions import db, unit_of_work
from app.inbound.number import Number
from app.models.base import utcnow
from app.models.house import AuditEntry
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender
from app.staff import own, whom
from app.staff.access import client_blueprint, say
from app.staff.numbers import (
    at_twilio,
    drafts,
    flow,
    route_form,
    route_preview,
    text_trial,
    trial,
)
from app.staff.numbers.number_page import SAVED, back, destinations, find, show, show_box, target
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


@client_blueprint.get("/numbers/<sender_id>/<destination>/box")
def number_box(sender_id: str, destination: str) -> str | Response:
    """Show the form of one route inside a number's: one box of its picture."""
    sender, wanted = _found(sender_id, destination)
    at = drafts.place(request.args.get("at", ""))
    values = drafts.part(_stored(db.session(), sender, wanted) or {}, at)
    if values is None:
        say("That box is not there any more.", "bad")
        return back(sender)
    return show_box(sender, RouteForm(wanted, values, at)) if at else back(sender)


@client_blueprint.get("/numbers/<sender_id>/voice/try")
def number_try(sender_id: str) -> str | Response:
    """Go through a call to the number as a caller, step by step."""
    sender, wanted = _found(sender_id, Destination.VOICE)
    typed = request.args.get("when", "")
    try:
        at = own.typed_time(typed, "when", "Choose a day and a time.") if typed else utcnow()
    except Refused as refused:
        say(str(refused), "bad")
        return redirect(url_for("client.number_try", sender_id=sender.id))
    done = request.args.getlist("did")[: trial.MOST]
    tried = trial.run(db.session(), sender, at, done)
    route = routes.find_route(db.session(), sender, wanted)
    form = RouteForm(wanted, {}, tried.at if tried else ())
    form.flow = flow.draw(routes.spec_of(route)) if route else None
    return render_template(
        "staff/number_try.html", sender=sender, form=form, trial=tried, when=typed, done=done,
        address=drafts.address,
    )  # fmt: skip


@client_blueprint.route("/numbers/<sender_id>/sms/try", methods=["GET", "POST"])
def number_try_text(sender_id: str) -> str | tuple[str, int]:
    """Text the number as somebody else, and see what that would cause."""
    sender, _ = _found(sender_id, Destination.SMS)
    body = request.form.get("body", "").replace("\r\n", "\n").strip()
    who, tried, wrong = None, None, []
    if request.method == "POST":
        try:
            who = whom.asked(db.session())
            tried = text_trial.run(sender, who, body)
        except Refused as refused:
            wrong = own.sentences(refused)
    page = render_template(
        "staff/number_try_text.html", sender=sender, body=body, who=who, trial=tried, wrong=wrong,
        choices=whom.choices(db.session()), typed=request.form,
    )  # fmt: skip
    return (page, 422) if wrong else page


@client_blueprint.post("/numbers/<sender_id>/<destination>")
def number_route(sender_id: str, destination: str) -> str | Response | tuple[str, int]:
    """Save a route, or one inside it; or, when asked to, only show what it would do.

    While a route inside it is chosen and not filled in, nothing is saved: its form comes next.
    """
    sender, wanted = _found(sender_id, destination)
    form = route_form.typed(wanted)
    form.at = drafts.place(request.form.get("at", ""))
    looking = request.form.get("do") == "preview"
    render = show_box if form.at else show
    try:
        form.draft = _draft(request.form.get("draft", ""))
        whole = _whole(sender, form)
        if further := _to_fill_in(sender, form, whole):
            return render(sender, form) if looking else show_box(sender, further)
        _save(sender, form, whole, looking)
    except _OnlyLooking as looked:
        form.now = route_preview.shown(db.session(), looked.number, form.destination)
        return render(sender, form)
    except Refused as refused:
        form.mistakes = route_form.by_field(refused, form)
        return render(sender, form), 422
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
        form = RouteForm(wanted, dict(entry.details["route"]))
        _save(sender, form, route_form.as_written(form))
    except Refused as refused:
        say(f"It cannot be as it was: {refused}", "bad")
    return back(sender)


def _found(sender_id: str, destination: str) -> tuple[Sender, Destination]:
    sender = find(sender_id)
    if destination not in set(Destination) or Destination(destination) not in destinations(sender):
        abort(404)
    return sender, Destination(destination)


def _draft(written: str) -> dict[str, Any] | None:
    return drafts.read(written) if written else None


def _stored(session: Session, sender: Sender, destination: Destination) -> dict[str, Any] | None:
    route = routes.find_route(session, sender, destination)
    return routes.describe(route) if route else None


def _whole(sender: Sender, form: RouteForm) -> Mapping[str, Any] | None:
    """Return the number's whole route with what the form says; None where it is to do nothing.

    :raises Refused: when the form's place is gone, or the form is not filled in.
    """
    if not form.at:
        return None if form.handler == "none" else route_form.as_written(form)
    whole = form.draft or _stored(db.session(), sender, form.destination) or {}
    if drafts.part(whole, form.at) is None:
        raise Refused.because("That box is not there any more. Begin again at the number's page.")
    try:
        return drafts.with_part(whole, form.at, route_form.as_written(form))
    except Refused as refused:
        at = drafts.path_of(form.at)
        raise Refused(one.under(*at) for one in refused.mistakes) from None


def _to_fill_in(
    sender: Sender, form: RouteForm, whole: Mapping[str, Any] | None
) -> RouteForm | None:
    """Return the form of the first route that is chosen and not filled in; None without one.

    :raises Refused: when what is filled in cannot be saved.
    """
    if whole is None:
        return None
    spec = routes.parse(form.destination, whole, drafts=True)
    places = drafts.to_fill_in(spec)
    if not places:
        return None
    routes.check(db.session(), sender, form.destination, spec)
    form.flow, form.left = flow.draw(spec), len(places)
    values = drafts.part(whole, places[0]) or {}
    return RouteForm(
        form.destination, values, places[0], draft=dict(whole), flow=form.flow, left=len(places)
    )


def _save(
    sender: Sender, form: RouteForm, whole: Mapping[str, Any] | None, looking: bool = False
) -> None:
    """Save what the form says, and tell the person what that does.

    :raises Refused: with every mistake.
    :raises _OnlyLooking: when nothing is to be saved; with what the answer would depend on.
    """
    with unit_of_work() as session:
        fresh = session.get_one(Sender, sender.id)
        before = routes.find_route(session, fresh, form.destination)
        direct = before is not None and before.handler is Handler.HANDLE_YOURSELF
        if whole is None:
            _clear(session, fresh, form)
        else:
            route = _write(session, fresh, form, whole, before)
            direct = direct or route.handler is Handler.HANDLE_YOURSELF
        if looking:
            raise _OnlyLooking(route_preview.found(session, fresh, form.destination))
    say(f"Saved. {form.sentence}")
    if direct:  # Twilio asks the client's own address, or has to be told that it no longer does
        at_twilio.write(sender, "Twilio has been told.")


def _write(
    session: Session,
    sender: Sender,
    form: RouteForm,
    whole: Mapping[str, Any],
    before: Route | None,
) -> Route:
    was = routes.describe(before) if before else None
    spec = routes.parse(form.destination, whole)
    route = routes.save_route(session, sender, form.destination, spec, current_user.email)
    form.sentence, form.flow = routes.sentence(route), flow.draw(routes.spec_of(route))
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
