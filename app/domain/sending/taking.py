"""Messages that Twilio has just taken, written down many at a time.

At a hundred texts a second the statements count: this takes a few for all of them together, and
does exactly what :func:`app.domain.sending.statuses.record_report` does for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain.audience import contacts
from app.domain.relaying import announcements, listeners
from app.domain.sending import reports, statuses
from app.domain.sending.reports import Report
from app.models.base import utcnow
from app.models.message import Message


def take_all(
    session: Session, found: Sequence[tuple[str, Report]], at: datetime | None = None
) -> None:
    """Keep the reports found and let them move their messages on; each carries a SID."""
    at = at or utcnow()
    with session.no_autoflush:
        for message_id, report in found:
            reports.keep(session, message_id, report, at)
        taken = _take_together(session, dict(found), at)
        listeners.read_ahead(session, taken)
        contacts.remember_all(session, [one for one in taken if statuses.is_contact(one)], at)
        for message in taken:
            announcements.taken(session, message)
            statuses.release_next_step(session, message, at)
    done = {message.id for message in taken}
    for message_id, report in found:
        if message_id not in done or report.status not in statuses.INITIAL:
            statuses.move_status(session, message_id, report, at)


def _take_together(session: Session, given: Mapping[str, Report], at: datetime) -> list[Message]:
    """Note the SIDs of several messages by one statement; return those that moved."""

    def each(column: InstrumentedAttribute[Any], found: Mapping[str, Any]) -> Any:
        known = {message_id: value for message_id, value in found.items() if value is not None}
        return case(known, value=Message.id, else_=column) if known else column

    status = {
        key: one.status if one.status in statuses.INITIAL else None for key, one in given.items()
    }
    return list(
        session.scalars(
            update(Message)
            .where(
                Message.id.in_(given), Message.sid.is_(None), Message.state.in_(statuses.TAKEABLE)
            )
            .values(
                {
                    **statuses.taken_values(at),
                    Message.sid: each(Message.sid, {k: one.sid for k, one in given.items()}),
                    Message.status: each(Message.status, status),
                    Message.from_: each(Message.from_, {k: one.sender for k, one in given.items()}),
                    Message.segments: each(
                        Message.segments, {k: one.segments for k, one in given.items()}
                    ),
                }
            )
            .returning(Message)
            .execution_options(populate_existing=True, synchronize_session=False)
        )
    )
