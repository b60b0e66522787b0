"""Voice messages as the log shows them: beside their calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.incoming import Incoming
from app.models.route import Destination
from app.models.voicemail import HEARD, Voicemail


def beside(session: Session, calls: Iterable[Incoming]) -> dict[str, list[Voicemail]]:
    """Return what callers have left, by the id of the call: one statement, none without a call."""
    ids = [one.id for one in calls if one.destination is Destination.VOICE]
    found: dict[str, list[Voicemail]] = defaultdict(list)
    if ids:
        left = select(Voicemail).where(Voicemail.incoming_id.in_(ids), Voicemail.state.in_(HEARD))
        for one in session.scalars(left.order_by(Voicemail.id)):
            found[one.incoming_id].append(one)
    return found
