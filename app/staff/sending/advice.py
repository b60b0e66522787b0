"""What helps before a start: stepping through people, and a sender that suits better."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain.sending import authoring, better_senders, cautions, one_person
from app.extensions import db, unit_of_work
from app.models.communication import Communication
from app.staff.access import client_blueprint, say
from app.staff.sending.communications import NOUNS
from app.staff.sending.communications import find as find_communication
from app.staff.wordings.wording_preview import HEARD_BY


@client_blueprint.get("/communications/<communication_id>/check/<int:position>")
def communication_check_person(communication_id: str, position: int) -> str:
    """Show what the person at ``position`` of the list, from 1, would get."""
    found = find_communication(communication_id)
    template = "preflight_person" if request.headers.get("HX-Request") else "preflight_one"
    return render_template(f"staff/{template}.html", **person(db.session(), found, position))


def person(session: Session, found: Communication, position: int) -> dict[str, Any]:
    """Return what the part of the page about one person needs."""
    return {
        "found": found, "noun": NOUNS[found.destination], "heard_by": HEARD_BY,
        "person": one_person.look(session, found, position),
    }  # fmt: skip


@client_blueprint.post("/communications/<communication_id>/sender")
def communication_sender(communication_id: str) -> Response:
    """Send from another number or service from now on, one of those that were offered."""
    found = find_communication(communication_id)
    chosen = request.form.get("sender", "")
    recipients = cautions.MANY  # whichever was offered, however many the list has by now
    with unit_of_work() as session:
        fresh = session.get_one(Communication, found.id)
        offered = better_senders.offered(session, fresh, recipients)
        sender = next((one for one in offered if one.id == chosen), None)
        if sender is not None:
            authoring.change_sender(session, fresh, sender, current_user.email)
    if sender is None:
        say("Nothing was changed: that number cannot be used for this.", "bad")
    else:
        say(f"It goes out from {sender.name or sender.address} from now on.")
    return redirect(url_for("client.communication_check", communication_id=found.id))
