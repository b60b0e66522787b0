"""Recordings: audio files that callers hear."""

from __future__ import annotations

from flask import g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.domain import deletion
from app.domain.content import recordings
from app.domain.mistakes import Refused
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.media import Media, Recording
from app.models.template import TemplateKind
from app.staff import own
from app.staff.access import client_blueprint, say
from app.staff.wordings.wording_trials import senders_for


@client_blueprint.get("/recordings")
def recordings_list() -> str:
    """List the recordings, to be heard."""
    return page()


@client_blueprint.post("/recordings")
def recording_add() -> Response | tuple[str, int]:
    """Take an audio file in; one of the same name takes the place of the old one."""
    uploaded = request.files.get("file")
    content = uploaded.read(recordings.MAX_BYTES + 1) if uploaded else b""
    filename = (uploaded.filename if uploaded else None) or ""
    try:
        with unit_of_work() as session:
            client = session.get_one(Client, g.client.id)
            name, by = request.form.get("name", ""), current_user.email
            kept = recordings.save(session, client, name, filename, content, by).row
    except Refused as refused:
        return page([mistake.message for mistake in refused.mistakes]), 422
    say(f"“{kept.name}” is saved. Choose it for the calls of a number.")
    return redirect(url_for("client.recordings_list"))


@client_blueprint.post("/recordings/<recording_id>/delete")
def recording_delete(recording_id: str) -> Response:
    """Delete a recording that nothing uses."""
    here = url_for("client.recordings_list")
    return own.delete(own.find(Recording, recording_id, "recording"), here, here)


def page(mistakes: list[str] | None = None, not_called: str = "") -> str:
    """Show the recordings and the ways of adding one.

    :param mistakes: what is wrong with a file that was uploaded.
    :param not_called: why somebody who wanted to speak one by telephone was not called.
    """
    rows = db.session.execute(
        select(Recording, Media)
        .join(Media, Media.code == Recording.media_code)
        .where(Recording.client_id == g.client.id)
        .order_by(Recording.name)
    ).all()
    return render_template(
        "staff/recordings.html",
        rows=rows,
        uses=deletion.recordings_in_use(db.session(), g.client.id),
        mistakes=mistakes or [],
        senders=senders_for(TemplateKind.VOICE),
        not_called=not_called,
        typed=request.form,
    )
