"""Texts that somebody should read: marked by Dispatch, and unmarked by whoever has read them."""

from __future__ import annotations

from flask import redirect, url_for
from werkzeug.wrappers import Response

from app.extensions import unit_of_work
from app.models.incoming import Incoming
from app.staff import own
from app.staff.access import client_blueprint, say


@client_blueprint.post("/inbox/<incoming_id>/read")
def inbox_read(incoming_id: str) -> Response:
    """Take the mark off, so that nobody else needs to look."""
    found = own.find(Incoming, incoming_id, "text or call")
    with unit_of_work() as session:
        fresh = session.get_one(Incoming, found.id)
        if fresh.flagged:
            fresh.flagged = False
            own.note(session, "read", f"text or call from {found.from_}")
    say("Marked as read.")
    return redirect(url_for("client.inbox_item", incoming_id=found.id))
