"""Messages that Twilio has just taken, written down many at a time.

At a hundred texts a second the statements count: this takes a few for all of them together, and
does exactly what :func:`app.domain.sending.statuses.record_report` does for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.domain.audience import contacts
from app.domain.relaying import announcements, listeners
from app.domain.sending import reports, statuses
from app.domain.sending.reports import Report
from app.models.base import utcnow
from app.models.message import Message, MessageReport


def take_all(
    session: Session, found: Sequence[tuple[str, Report]], at: datetime | None = None
) -> None:
    """Keep the reports found and let them move their messages on; each carries a SID."""
    if not found:
        return
    at = at or utcnow()
    messages = _locked(session, [message_id for message_id, _ in found])
    session.execute(insert(MessageReport), [reports.kept(id_, report, at) for id_, report in found])
    with session.no_autoflush:
        taken = _take_together(messages, dict(found), at)
        session.flush()
        listeners.read_ahead(session, taken)
        contacts.remember_all(session, [one for one in taken if statuses.is_contact(one)], at)
        for message in taken:
            announcements.taken(session, message)
            statuses.release_next_step(session, message, at)
    done = {message.id for message in taken}
    for message_id, report in found:
        if message_id not in done or report.status not in statuses.INITIAL:
            statuses.move_status(session, message_id, report, at)


def _locked(session: Session, ids: Sequence[str]) -> Sequence[Message]:
    """Return the messages, locked in one order always.

    Before their reports are inserted: a report's foreign key would share the row with another
    transaction's, and then neither could change it.
    """
    return session.scalars(
        select(Message)
        .where(Message.id.in_(ids))
        .order_by(Message.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def _take_together(
    messages: Sequence[Message], given: Mapping[str, Report], at: datetime
) -> list[Message]:
    """Note the SIDs of locked messages; return those that moved."""
    taken = [one for one in messages if one.sid is None and one.state in statuses.TAKEABLE]
    values = {column.key: value for column, value in statuses.taken_values(at).items()}
    for message in taken:
        report = given[message.id]
        for name, value in values.items():
            setattr(message, name, value)
        message.sid = report.sid
        message.from_ = report.sender or message.from_
        message.segments = report.segments or message.segments
        if report.status in statuses.INITIAL:
            message.status = report.status
    return taken
