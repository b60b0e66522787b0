"""One person: what is known of them, given out as a file or erased. Owners decide."""

from __future__ import annotations

import json

from flask import abort, g, redirect, render_template, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from app.domain.audience import names
from app.domain.mistakes import Refused
from app.domain.persons import erasing, known
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.staff.access import client_blueprint, require_owner, say

_UNKNOWN = "Nothing is known of this phone."


@client_blueprint.get("/person-export/<path:phone>")
def person_export(phone: str) -> Response:
    """Hand out all that is known of a person as a file; the history notes it."""
    require_owner()
    with unit_of_work() as session:
        client = session.get_one(Client, g.client.id)
        found = known.export(session, client, phone, current_user.email)
    if found is None:
        abort(404, _UNKNOWN)
    digits = "".join(filter(str.isdecimal, phone)) or "person"
    name = f"person-{digits}-{utcnow():%Y-%m-%d}.json"
    return Response(
        json.dumps(found, ensure_ascii=False, indent=2),
        mimetype="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@client_blueprint.get("/person-erase/<path:phone>")
def person_erase(phone: str) -> str:
    """Ask before a person is erased."""
    require_owner()
    return _ask(phone)


@client_blueprint.post("/person-erase/<path:phone>")
def person_erase_now(phone: str) -> Response | tuple[str, int]:
    """Erase a person for good."""
    require_owner()
    try:
        receipt = erasing.erase(g.client.id, phone, current_user.email)
    except Refused as refused:
        return _ask(phone, str(refused)), 409
    if receipt is None:
        abort(404, _UNKNOWN)
    gone = "; ".join(f"{name}: {many:,}" for name, many in receipt.items())
    say(f"Erased ({gone}). Opt-outs stay.")
    return redirect(url_for("client.inbox_conversations"))


def _ask(phone: str, mistake: str | None = None) -> str:
    name = names.of(db.session(), g.client.id, [phone]).get(phone)
    return render_template("staff/person_erase.html", phone=phone, name=name, mistake=mistake)
