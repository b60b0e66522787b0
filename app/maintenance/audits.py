"""The settings of numbers and services at Twilio are looked over a few times a day."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import func, select

from app.domain.provisioning import number_audit, verifications
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.house import Bookmark
from app.models.route import Route

log = structlog.get_logger(__name__)

BOOKMARK = "audit of numbers"
EVERY = timedelta(hours=6)


def tick() -> None:
    """Compare everything with Twilio if that is due, and mail support about what differs.

    It is due sooner when a route has changed: a number that a client has handled itself has to be
    pointed at us.
    """
    verifications.expire()
    bookmark = db.session.get(Bookmark, BOOKMARK)
    changed = db.session.scalar(select(func.max(Route.updated_at)))
    db.session.rollback()
    if bookmark is not None and bookmark.at > max(utcnow() - EVERY, changed or bookmark.at - EVERY):
        return
    with unit_of_work() as session:  # first, so that a second clock does not do it as well
        session.merge(Bookmark(name=BOOKMARK, at=utcnow()))
    found = number_audit.run()
    if found:
        log.warning("settings at Twilio differ", count=len(found))
    number_audit.tell_support(found)
