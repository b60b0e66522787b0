"""Deliveries: what endpoints were told, each try with its request and response, sent again."""

from __future__ import annotations

import json

from flask import abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain.audience import names
from app.domain.mistakes import Refused
from app.domain.relaying import deliveries as acts
from app.domain.relaying import endpoints
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.delivery import (
    AttemptTrigger,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    EventType,
)
from app.models.endpoint import Endpoint
from app.staff import listing, own
from app.staff.access import client_blueprint, say
from app.staff.systems import delivery_search

PAGE = 25
CHOICES = 200
"""Endpoints to choose from: each address that is mailed to is one."""
STATES: dict[DeliveryState, tuple[str, str]] = {
    DeliveryState.PENDING: ("Waiting", ""),
    DeliveryState.IN_FLIGHT: ("Being sent", ""),
    DeliveryState.DELIVERED: ("Delivered", "good"),
    DeliveryState.EXHAUSTED: ("Given up", "bad"),
    DeliveryState.HELD: ("Held", "warn"),
    DeliveryState.CANCELED: ("Canceled", ""),
}
CAME_BACK = ("Came back", "bad")
"""Of a mail that was given up because it did, after a mail server had taken it."""
TYPES = {
    EventType.SMS_RECEIVED: "A text came in",
    EventType.VOICEMAIL_RECEIVED: "A voice message came",
    EventType.VOICEMAIL_TRANSCRIBED: "A voice message was written down",
    EventType.MESSAGE_STATUS: "A message changed",
    EventType.MESSAGE_SENT: "A message was sent",
    EventType.MESSAGE_PROBLEM: "Somebody got nothing",
    EventType.COMMUNICATION_COMPLETE: "A batch ended",
    EventType.MAIL_BOUNCED: "A mail came back",
    EventType.CONVERSATION_ASSIGNED: "A conversation was taken or given back",
    EventType.ENDPOINT_PING: "A test",
    EventType.NOTICE: "A mail from Dispatch",
}
TRIGGERS = {
    AttemptTrigger.AUTO: "by itself",
    AttemptTrigger.MANUAL: "sent again",
    AttemptTrigger.PING: "a test",
    AttemptTrigger.REPLAY: "a range sent again",
}
ERRORS = {
    "blocked": "This address may not be reached",
    "dns": "The host name is not known",
    "connect": "Nobody answers there",
    "timeout": "It took too long to answer",
    "deadline": "It took too long in all",
    "tls": "Its certificate cannot be trusted",
    "connection": "The connection broke",
    "http_status": "It answered with an error",
    "smtp": "The mail server refused it",
    "lost": "Dispatch was stopped in the middle",
}


@client_blueprint.get("/deliveries", endpoint="deliveries")
def list_of_deliveries() -> str:
    """List deliveries, newest first; of one endpoint, in one state, or about one phone."""
    session = db.session()
    to = request.args.get("to", "")[:26]
    page = _page(session, to)
    about = delivery_search.phones(session, page.rows)
    return render_template(
        "staff/deliveries.html",
        page=page,
        called=_called(session, {one.endpoint_id for one in page.rows}),
        choices=_choices(session, to),
        states=STATES,
        came_back=CAME_BACK,
        types=TYPES,
        state=request.args.get("state", ""),
        to=to,
        q=delivery_search.asked(),
        about=about,
        known=names.of(session, g.client.id, set(about.values())),
    )


def _page(session: Session, to: str) -> listing.Page[Delivery]:
    query = select(Delivery).where(Delivery.client_id == g.client.id)
    query, wanted = delivery_search.fitting(query, delivery_search.asked())
    state = request.args.get("state", "")
    if state in set(DeliveryState):
        wanted.append(Delivery.state == DeliveryState(state))
    if to:
        wanted.append(Delivery.endpoint_id == to)
    after = None
    if before := request.args.get("before", ""):
        last = session.get(Delivery, before)
        if last is None or last.client_id != g.client.id:
            abort(404, "That page is gone. Begin again at the top of the deliveries.")
        after = (last.created_at, last.id)
    place = (Delivery.created_at, Delivery.id)
    return listing.page(session, query, place, after, size=PAGE, wanted=wanted)


def _called(session: Session, ids: set[str]) -> dict[str, str]:
    found = session.scalars(select(Endpoint).where(Endpoint.id.in_(ids)))
    return {one.id: endpoints.called(one) for one in found}


def _choices(session: Session, to: str) -> dict[str, str]:
    """Return the endpoints to choose from: the client's systems first, and the one chosen."""
    own = select(Endpoint).where(Endpoint.client_id == g.client.id)
    listed = own.order_by(Endpoint.kind.desc(), Endpoint.url).limit(CHOICES)
    found = [*session.scalars(listed), *session.scalars(own.where(Endpoint.id == to))]
    return {one.id: endpoints.called(one) for one in found}


@client_blueprint.get("/deliveries/<delivery_id>")
def delivery(delivery_id: str) -> str:
    """Show one delivery with every try."""
    found = _find(delivery_id)
    about = delivery_search.phones(db.session(), [found])
    return render_template(
        "staff/delivery.html",
        found=found,
        phone=about.get(found.id),
        name=names.of(db.session(), g.client.id, set(about.values())).get(about.get(found.id, "")),
        type=TYPES[found.type],
        content=_readable(found.content),
        **_progress(found),
    )


@client_blueprint.get("/deliveries/<delivery_id>/attempts")
def delivery_attempts(delivery_id: str) -> str:
    """Show only the tries, for the page that looks again by itself."""
    found = _find(delivery_id)
    return render_template("staff/delivery_attempts.html", found=found, **_progress(found))


@client_blueprint.post("/deliveries/<delivery_id>/<action>")
def delivery_act(delivery_id: str, action: str) -> Response:
    """Send a delivery again, or cancel it."""
    found = _find(delivery_id)
    if action not in ("resend", "cancel"):
        abort(404)
    try:
        with unit_of_work() as session:
            fresh = session.get_one(Delivery, found.id)
            if action == "resend":
                acts.resend(session, fresh, current_user.email)
            else:
                acts.cancel(session, fresh, current_user.email)
    except Refused as refused:
        say(str(refused), "bad")
    else:
        wake("relay")
        say("It goes out again at once." if action == "resend" else "Canceled.")
    return redirect(url_for("client.delivery", delivery_id=found.id))


def _find(delivery_id: str) -> Delivery:
    return own.find(Delivery, delivery_id, "delivery")


def _progress(found: Delivery) -> dict[str, object]:
    session = db.session()
    attempts = session.scalars(
        select(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id == found.id)
        .order_by(DeliveryAttempt.id.desc())
        .limit(50)
    ).all()
    receiver = session.get_one(Endpoint, found.endpoint_id)
    waits_for_people = found.trigger in (AttemptTrigger.MANUAL, AttemptTrigger.PING)
    return {
        "attempts": attempts,
        "receiver": receiver,
        "called": endpoints.called(receiver),
        "state": CAME_BACK
        if found.bounced_at and found.state is DeliveryState.EXHAUSTED
        else STATES[found.state],
        "moving": found.state is DeliveryState.IN_FLIGHT
        or (found.state is DeliveryState.PENDING and waits_for_people),
        "triggers": TRIGGERS,
        "errors": ERRORS,
    }


def _readable(body: str) -> str:
    """Return the JSON that is sent, indented for people; anything else as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
