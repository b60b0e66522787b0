"""What the pages of a client's things share: only its own are found, mistakes as sentences."""

from __future__ import annotations

from typing import Any, BinaryIO, TypeVar, cast

from flask import abort, g, request
from flask_login import current_user
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.mistakes import Refused
from app.extensions import Base, db

Row = TypeVar("Row", bound=Base)


def find(model: type[Row], key: str, word: str) -> Row:
    """Return the client's row of that id; stop with 404 when it is another's, or gone."""
    found = db.session.get(model, key)
    if found is None or getattr(found, "client_id", None) != g.client.id:
        abort(404, f"There is no such {word}; it may have been deleted.")
    return found


def note(session: Session, action: str, target: str, details: dict[str, Any] | None = None) -> None:
    """Write a change by the signed-in person into the audit log."""
    audit.record(session, current_user.email, action, target, g.client.id, details)


def sentences(refused: Refused) -> list[str]:
    """Return what is wrong, one sentence each."""
    return [mistake.message for mistake in refused.mistakes]


def uploaded_file() -> BinaryIO:
    """Return the uploaded ``file``, to be read; a large one is not in memory.

    :raises Refused: when no file was chosen.
    """
    uploaded = request.files.get("file")
    if uploaded is None or not uploaded.filename:
        raise Refused.because("Choose a file first.", "file")
    return cast(BinaryIO, uploaded.stream)
