"""Calendars of holidays are read further before what is known of them runs out."""

from __future__ import annotations

from app.domain import aside
from app.domain.hours import hours
from app.extensions import db, unit_of_work
from app.models.hours import Hours

LOOP = "calendars"


def tick() -> None:
    """Read what is due; a job of the queue ``house``. One that cannot be read is set aside."""
    due = [row.id for row in hours.running_out(db.session())]
    db.session.rollback()
    aside.one_by_one(LOOP, due, str, _read)


def _read(hours_id: str) -> None:
    with unit_of_work() as session:
        hours.read_calendar(session.get_one(Hours, hours_id, with_for_update=True))
