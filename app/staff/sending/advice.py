"""What helps before a start: stepping through people, and a sender that suits better."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import audit, chores
from app.domain.audience import line_types
from app.domain.sending import authoring, better_senders, cautions, one_person
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.chore import Chore, ChoreKind
from app.models.client import Client
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


@client_blueprint.post("/communications/<communication_id>/line-types")
def communication_line_types(communication_id: str) -> Response:
    """Have the lines of everybody in the list looked up now, so that landlines are seen."""
    found = find_communication(communication_id)
    with unit_of_work() as session:
        client = session.get_one(Client, found.client_id)
        wanted = line_types.are_wanted(client, found.destination)
        if wanted and not chores.is_under_way(session, ChoreKind.LINE_TYPES, found.id):
            session.add(Chore(kind=ChoreKind.LINE_TYPES, subject=found.id, details={}, after=""))
            audit.record(session, current_user.email, "look up", f"the list of {found.name}",
                         client.id)  # fmt: skip
    if wanted:
        wake("house")
        say("The phones are being looked up. Load this page again in a while.")
    else:
        say("Phones are not looked up here: an owner can turn it on in the settings.", "bad")
    return redirect(url_for("client.communication_check", communication_id=found.id))


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
