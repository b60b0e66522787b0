"""What a number needs beside its routes: a name, a list, to send again, its settings at Twilio."""

from __future__ import annotations

from flask import request
from flask_login import current_user
from werkzeug.wrappers import Response

from app.domain.mistakes import Refused
from app.domain.provisioning import senders
from app.domain.sending import breaker
from app.domain.wake import wake
from app.extensions import unit_of_work
from app.models.base import utcnow
from app.models.sender import Sender
from app.staff.access import client_blueprint, require_owner, say
from app.staff.numbers import at_twilio
from app.staff.numbers.number_page import back, find, show


@client_blueprint.post("/numbers/<sender_id>/about")
def number_about(sender_id: str) -> Response:
    """Change what a number is called, and which suppression list it keeps to."""
    sender = find(sender_id)
    name, list_name = (request.form.get(one, "").strip() for one in ("name", "suppression_list"))
    try:
        with unit_of_work() as session:
            fresh = session.get_one(Sender, sender.id)
            changed = senders.call(session, fresh, name, list_name, current_user.email)
    except Refused as refused:
        say(str(refused), "bad")
    else:
        say("Saved." if changed else "Nothing has changed.")
    return back(sender)


@client_blueprint.post("/numbers/<sender_id>/resume")
def number_resume(sender_id: str) -> Response:
    """Let a number that was stopped or held send again."""
    require_owner()
    sender = find(sender_id)
    try:
        with unit_of_work() as session:
            senders.resume(session, session.get_one(Sender, sender.id), current_user.email)
    except Refused as refused:
        say(str(refused), "bad")
    else:
        wake("send")
        say("It may send again; what waited goes out.")
    return back(sender)


@client_blueprint.post("/numbers/<sender_id>/try-one")
def number_try_one(sender_id: str) -> Response:
    """Let one message of a held number through; when Twilio takes it, the others follow."""
    sender = find(sender_id)
    with unit_of_work() as session:
        keys = breaker.keys_of(session.get_one(Sender, sender.id))
        was = breaker.try_one(session, keys, sender.client_id, current_user.email, utcnow())
    wake("send")
    say("One goes out now; if Twilio takes it, the others follow." if was
        else breaker.NOTHING_HELD)  # fmt: skip
    return back(sender)


@client_blueprint.post("/numbers/<sender_id>/twilio")
def number_twilio(sender_id: str) -> str | Response:
    """Ask Twilio how a number is set up there; or set it as its routes need."""
    sender = find(sender_id)
    if request.form.get("do") == "mend":
        at_twilio.write(sender, "Twilio has the right settings now.")
        return back(sender)
    return show(sender, asked=at_twilio.ask(sender))
