"""A recording made by telephone: Dispatch calls, the person speaks, listens and keeps it.

The call is a message like any other, so that the rules of every call hold for it. What was spoken
is only at Twilio until the person has heard it and given it a name; then here as well.
"""

from __future__ import annotations

import re
from datetime import timedelta

from flask import abort, g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from app.domain.clients.accounts import client_by_id
from app.domain.content import file_types, recordings
from app.domain.mistakes import Refused
from app.domain.reach import Refusal
from app.domain.sending import calls
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.message import OWN_ENDS, Message, MessageReport
from app.models.sender import Sender
from app.staff import own
from app.staff.access import client_blueprint, say
from app.staff.numbers.recordings import page
from app.staff.sending.messages import explanation
from app.twilio.client import MediaUnavailable
from app.twilio.statuses import CALL_TERMINAL

MAX_SECONDS = 300
FETCH_SECONDS = 8.0
"""How long Twilio may take to give the sound: a web process waits for it."""
ASKED = (
    "<Response><Say>Please speak after the tone. Press the pound key when you are done.</Say>"
    f'<Record maxLength="{MAX_SECONDS}" timeout="10" finishOnKey="#" playBeep="true"/></Response>'
)
"""What the person hears. ``<Record>`` gets our own address, which ends the call politely."""
SOUND_COMES_WITHIN = timedelta(minutes=1)
"""How long after a call's end Twilio may take to tell of its recording."""
_SID = re.compile(r"/Recordings/(RE[0-9a-fA-F]{32})(?:[/.?]|$)")


@client_blueprint.post("/recordings/by-phone")
def recording_call() -> Response | tuple[str, int]:
    """Call the person now."""
    sender = own.find(Sender, request.form.get("sender", ""), "number")
    try:
        script = calls.script(ASKED)
        with unit_of_work() as session:
            client = session.get_one(Client, g.client.id)
            queued = calls.queue_call(
                session, client, session.get_one(Sender, sender.id),
                request.form.get("phone", ""), script=script,
            )  # fmt: skip
            own.note(session, "call", "recording by phone", {"to": queued.to})
    except Refusal as refusal:
        return page(not_called=refusal.sentence), 422
    wake("send")
    return redirect(url_for("client.recording_by_phone", message_id=queued.id))


@client_blueprint.get("/recordings/by-phone/<message_id>")
def recording_by_phone(message_id: str) -> str:
    """Show where the call stands; then what was spoken, to be heard and kept."""
    return _page(_find(message_id), "", [])


@client_blueprint.get("/recordings/by-phone/<message_id>/state")
def recording_by_phone_state(message_id: str) -> str:
    """Show only where the call stands, for the page that looks again by itself."""
    return render_template("staff/recording_call_state.html", **_state(_find(message_id)))


@client_blueprint.get("/recordings/by-phone/<message_id>/sound")
def recording_by_phone_sound(message_id: str) -> Response:
    """Pass on the sound that Twilio holds."""
    content, kind = _fetch(_find(message_id))
    answer = Response(content, content_type=kind)
    answer.headers["Cache-Control"] = "private, max-age=600"
    answer.make_conditional(request, accept_ranges=True, complete_length=len(content))
    return answer


@client_blueprint.post("/recordings/by-phone/<message_id>/keep")
def recording_by_phone_keep(message_id: str) -> Response | tuple[str, int]:
    """Keep what was spoken as a recording; one of the same name gets the new sound."""
    found = _find(message_id)
    name = request.form.get("name", "")
    content, kind = _fetch(found)
    filename = f"by-phone.{file_types.extension(kind)}"
    try:
        with unit_of_work() as session:
            client = session.get_one(Client, g.client.id)
            kept = recordings.save(session, client, name, filename, content, current_user.email).row
    except Refused as refused:
        return _page(found, name, own.sentences(refused)), 422
    say(f"“{kept.name}” is saved. Choose it for the calls of a number.")
    return redirect(url_for("client.recordings_list"))


def _find(message_id: str) -> Message:
    """Return the call by which a recording is made; stop with 404 for anything else."""
    found = own.find(Message, message_id, "call")
    if found.twiml_source != ASKED:
        abort(404, "Nothing is recorded by this call.")
    return found


def _page(found: Message, name: str, mistakes: list[str]) -> str:
    return render_template(
        "staff/recording_call.html", **_state(found), name=name, mistakes=mistakes
    )


def _state(found: Message) -> dict[str, object]:
    return {
        "found": found,
        "has_sound": bool(found.recording_url),
        "is_over": _is_over(found),
        "why": explanation(found),
    }


def _is_over(found: Message) -> bool:
    """Tell whether no sound is to be expected any more."""
    if found.state in OWN_ENDS:
        return True
    if found.status not in CALL_TERMINAL:
        return False
    heard = select(func.max(MessageReport.at)).where(MessageReport.message_id == found.id)
    last = db.session.scalar(heard)
    return last is None or last < utcnow() - SOUND_COMES_WITHIN or found.status != "completed"


def _fetch(found: Message) -> tuple[bytes, str]:
    """Return the sound and its type; stop with a sentence where there is none to be had.

    The address is made of the SID, never taken from a request.
    """
    sid = _SID.search(found.recording_url or "")
    if sid is None:
        abort(404, "Nothing has been recorded by this call yet.")
    twilio = client_by_id(found.credential_id)
    db.session.rollback()  # nothing is held open while Twilio is asked
    if twilio is None:
        abort(502, "The Twilio account of this call cannot be asked; look at its credential.")
    try:
        fetched = twilio.fetch_recording(
            sid[1], max_bytes=recordings.MAX_BYTES, deadline_seconds=FETCH_SECONDS
        )
    except MediaUnavailable as error:
        abort(404 if error.gone else 502, f"The recording could not be fetched. {error}")
    return fetched.content, file_types.identify(fetched.content, fetched.content_type)
