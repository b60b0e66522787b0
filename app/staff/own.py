"""What the pages of a client's things share: only its own are found, mistakes as sentences."""

from __future__ import annotations

from datetime import datetime
from typing import Any, BinaryIO, TypeVar, cast
from zoneinfo import ZoneInfo

from flask import abort, g, redirect, request
from flask_login import current_user
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import audit, deletion
from app.domain.mistakes import Refused
from app.extensions import Base, db, unit_of_work
from app.staff.access import say

Row = TypeVar("Row", bound=Base)
Thing = TypeVar("Thing", bound=deletion.Thing)
YEARS = range(2000, 2101)
"""What people mean when they type a time; at the ends of the calendar zones cannot be reckoned."""


def find(model: type[Row], key: str, word: str) -> Row:
    """Return the client's row of that id; stop with 404 when it is another's, or gone."""
    found = db.session.get(model, key)
    if found is None or getattr(found, "client_id", None) != g.client.id:
        abort(404, f"There is no such {word}; it may have been deleted.")
    return found


def delete(found: Thing, back: str, to: str, called: str | None = None) -> Response:
    """Delete a thing of the client's that nothing uses, or say what uses it; return where to go.

    :param back: the thing's own page, or wherever one looks at it.
    :param to: where its likes are listed.
    :param called: how people know it; by its name otherwise.
    """
    name = called or found.name
    try:
        with unit_of_work() as session:
            deletion.remove(session, session.get_one(type(found), found.id), current_user.email)
    except Refused as refused:
        say(str(refused), "bad")
        return redirect(back)
    say(f"“{name}” is deleted.")
    return redirect(to)


def note(session: Session, action: str, target: str, details: dict[str, Any] | None = None) -> None:
    """Write a change by the signed-in person into the audit log."""
    audit.record(session, current_user.email, action, target, g.client.id, details)


def sentences(refused: Refused) -> list[str]:
    """Return what is wrong, one sentence each."""
    return [mistake.message for mistake in refused.mistakes]


def typed_time(typed: str, field: str, sentence: str) -> datetime:
    """Read a day or a time that was typed in the client's zone.

    :raises Refused: with ``sentence`` when it is none, or centuries away.
    """
    try:
        found = datetime.fromisoformat(typed)
    except ValueError:
        raise Refused.because(sentence, field) from None
    if found.year not in YEARS:
        raise Refused.because(sentence, field)
    return found.replace(tzinfo=ZoneInfo(g.client.time_zone))


def uploaded_file() -> BinaryIO:
    """Return the uploaded ``file``, to be read; a large one is not in memory.

    :raises Refused: when no file was chosen.
    """
    uploaded = request.files.get("file")
    if uploaded is None or not uploaded.filename:
        raise Refused.because("Choose a file first.", "file")
    return cast(BinaryIO, uploaded.stream)
