"""What a process that died has left behind is found by state and age, however old."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import and_, or_, select

from app.domain import aside, clocks
from app.domain.sending import journal, statuses
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.message import Message, MessageState
from app.outbound.send.claims import CLAIM_SECONDS

MOST, AT_ONCE_ON_SQLITE = 500, 5
LONGEST_CLAIM = 4 * timedelta(seconds=CLAIM_SECONDS)
"""A claim that is to be looked at later than this was made by a clock that was ahead."""


def lost_claims() -> int:
    """Give up claims whose process has died: nobody knows whether their texts are out.

    :returns: how many messages became ``unknown``; Twilio's log is asked about them at once.
    """
    now = utcnow()
    ids = db.session.scalars(
        select(Message.id)
        .where(
            Message.state == MessageState.CLAIMED,
            or_(
                Message.check_at <= now,
                and_(
                    clocks.has_come(Message.check_at, now, LONGEST_CLAIM),
                    Message.claimed_at.is_not(None),
                ),
            ),
            aside.free("sweep", Message.id),
        )
        .limit(MOST)
    ).all()
    db.session.rollback()
    return sum(aside.together("sweep", ids, str, partial(_give_up, now), AT_ONCE_ON_SQLITE))


def _give_up(now: datetime, ids: Sequence[str]) -> int:
    with unit_of_work() as session:
        journal.apply_to(session, ids)
        ended = [
            statuses.end(
                session,
                message_id,
                MessageState.UNKNOWN,
                before=(MessageState.CLAIMED,),
                reason="unknown",
                error_message="The process that sent it died; it is being looked up at Twilio.",
                check_at=now,
            )
            for message_id in ids
        ]
    return sum(message is not None for message in ended)
