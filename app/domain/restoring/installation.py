"""The installation's own row, which goes along into every copy of its database."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.models.base import insert_into, new_id, utcnow
from app.models.installation import Installation


def ensure(session: Session) -> Installation:
    """Return the installation's row, within the caller's transaction; made where it is missing.

    It is there before anything can wait to be sent, and so in every backup of what waits.
    """
    found = session.get(Installation, 1, populate_existing=True)
    if found is None:
        made = insert_into(session, Installation).values(place=1, id=new_id(), created_at=utcnow())
        session.execute(made.on_conflict_do_nothing(index_elements=["place"]))
        found = session.get_one(Installation, 1, populate_existing=True)
    return found
