"""Numbers: all of them with what each does, in sentences."""

from __future__ import annotations

from flask import g, render_template
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.routing import routes
from app.extensions import db
from app.models.route import Destination, Route
from app.models.sender import Sender, SenderKind
from app.staff.access import client_blueprint

KINDS = {
    SenderKind.TWILIO: "Number at Twilio",
    SenderKind.VERIFIED: "Your own number, for outgoing calls",
    SenderKind.MESSAGING_SERVICE: "Messaging service",
}


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


def what_numbers_do(session: Session, senders: list[Sender]) -> dict[tuple[str, Destination], str]:
    """Return in a sentence what each sender of the client does with texts and with calls.

    A number inside a messaging service does with texts what the service does, if that does
    anything.
    """
    found = session.scalars(
        select(Route).where(Route.client_id == g.client.id, Route.parent_id.is_(None))
    )
    does = {(route.sender_id, route.destination): routes.sentence(route) for route in found}
    names = {sender.id: sender.name for sender in senders}
    for sender in senders:
        service = (sender.service_id or "", Destination.SMS)
        if service in does:
            said = f"As the messaging service “{names[service[0]]}”: {does[service]}"
            does[(sender.id, Destination.SMS)] = said
    return does
