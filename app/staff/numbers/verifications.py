"""A number of the institution's own, verified with Twilio so that calls can come from it.

Twilio calls the number; the person there types the code that the page shows.
"""

from __future__ import annotations

from flask import g, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.domain.mistakes import Refused
from app.domain.phones import InvalidPhone
from app.domain.provisioning import numbers, verifications
from app.extensions import db
from app.models.credential import Credential
from app.models.number import Verification
from app.models.sender import Sender
from app.staff import own
from app.staff.access import client_blueprint, require_owner
from app.twilio.failures import TwilioFailure

NOT_ENABLED = "Twilio is not enabled for you yet. Ask for it under Settings first."


@client_blueprint.get("/verifications/new")
def number_verify() -> str:
    """Explain how a number is verified, with the form that begins it."""
    require_owner()
    return _form([])


@client_blueprint.post("/verifications")
def number_verify_start() -> Response | tuple[str, int]:
    """Have Twilio call the number now."""
    require_owner()
    if not g.client.twilio_enabled:
        return _form([NOT_ENABLED]), 422
    typed = {name: value.strip() for name, value in request.form.items()}
    try:
        started = verifications.start(
            numbers.account(g.client.name, typed.get("credential") or None),
            typed.get("phone", ""), current_user.email,
            name=typed.get("name") or None, extension=typed.get("extension") or None,
        )  # fmt: skip
    except Refused as refused:
        return _form(own.sentences(refused)), 422
    except InvalidPhone as invalid:
        return _form([invalid.reason]), 422
    except TwilioFailure as failure:
        return _form([f"Twilio: {failure}"]), 422
    return redirect(url_for("client.number_verification", verification_id=started.id))


@client_blueprint.get("/verifications/<verification_id>")
def number_verification(verification_id: str) -> str:
    """Show the code to type, and what became of it."""
    require_owner()
    return render_template("staff/verification.html", **_state(verification_id))


@client_blueprint.get("/verifications/<verification_id>/state")
def number_verification_state(verification_id: str) -> Response:
    """Show only where a verification stands, for the page that looks again by itself."""
    require_owner()
    return make_response(
        render_template("staff/verification_state.html", **_state(verification_id))
    )


def _state(verification_id: str) -> dict[str, object]:
    found = own.find(Verification, verification_id, "verification")
    sender = db.session.scalar(select(Sender).filter_by(client_id=g.client.id, address=found.phone))
    return {"found": found, "is_open": found.state in verifications.OPEN, "sender": sender}


def _form(wrong: list[str]) -> str:
    query = select(Credential.name).where(Credential.client_id == g.client.id)
    credentials = list(db.session.scalars(query.order_by(Credential.name)))
    return render_template(
        "staff/verification_form.html", wrong=wrong, typed=request.form, credentials=credentials
    )
