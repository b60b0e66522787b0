"""That somebody was erased is noted where no backup of the database reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta

import structlog
from sqlalchemy import select
from ulid import ULID

from app.domain.restoring import outside
from app.domain.restoring.installation import ensure
from app.domain.restoring.outside import Noted
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.erasure import Erasure
from app.models.installation import Installation

log = structlog.get_logger(__name__)

KEPT = timedelta(days=400)
"""How long an erasure is remembered: backups that are older than this are not to be restored."""


def note(ids: Sequence[str]) -> None:
    """Note erasures outside the database; what cannot be noted now is by the clock."""
    erasures = [_as_noted(one) for one in _read(ids)]
    db.session.rollback()
    if not outside.write(_installation(), erasures, oldest_kept()):
        log.error("an erasure is noted nowhere outside the database yet")


def known() -> Mapping[str, Noted]:
    """Return what is noted of this installation, by the ids of the erasures."""
    return outside.read(_installation())


def oldest_kept() -> str:
    """Return the id before which erasures are forgotten."""
    return str(ULID.from_datetime(utcnow() - KEPT))


def _installation() -> str:
    found = db.session.scalar(select(Installation.id))
    db.session.rollback()
    if found is None:
        with unit_of_work() as session:
            found = ensure(session).id
    return found


def _read(ids: Sequence[str]) -> Sequence[Erasure]:
    return db.session.scalars(select(Erasure).where(Erasure.id.in_(ids))).all()


def _as_noted(erasure: Erasure) -> Noted:
    at = erasure.at.astimezone(UTC).isoformat()
    return Noted(erasure.id, erasure.client_id, erasure.digest, at)
