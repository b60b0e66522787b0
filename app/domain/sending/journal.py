"""Reports that are taken but not yet applied: committed before Twilio's request is answered.

Twilio tells two to four times what became of a text. Taking such a report is one small row; what
follows from it (the message's status, events, consequences) is done soon after, for many at a time,
by :mod:`app.outbound.afterwards.reports`. Whoever judges a message by what is known of it applies
its reports first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, cast

import structlog
from sqlalchemy import Connection, Row, Table, delete, insert, select
from sqlalchemy.orm import Session

from app.domain import aside
from app.domain.sending import statuses
from app.domain.sending.reports import Report
from app.domain.sending.statuses import Given
from app.models.message import JournaledReport, Message

log = structlog.get_logger(__name__)


_INSERT = insert(cast(Table, JournaledReport.__table__))


def append(connection: Connection | Session, given: Sequence[Given]) -> None:
    """Take reports in, in the order in which they came; the caller commits before it answers."""
    rows = [
        {"message_id": message_id, "report": _as_json(report), "at": at}
        for message_id, report, at in given
    ]
    connection.execute(_INSERT, rows if len(rows) > 1 else rows[0])


def oldest(session: Session, most: int) -> list[str]:
    """Return the messages of the oldest reports, each once, without what is set aside.

    :param most: how many reports are looked at.
    """
    waiting = (
        select(JournaledReport.message_id)
        .where(aside.free("reports", JournaledReport.message_id))
        .order_by(JournaledReport.id)
        .limit(most)
    )
    return list(dict.fromkeys(session.scalars(waiting)))


def apply_free(session: Session, ids: Collection[str]) -> int:
    """Apply the reports of those of these messages that nobody else has locked.

    :returns: how many were applied, or dropped because their message is gone after retention.
    """
    messages = statuses.lock(session, ids, skip_locked=True)
    applied = _apply(session, messages) if messages else 0
    if len(messages) < len(ids):
        applied += _drop(session, ids)
    return applied


def apply_to(session: Session, ids: Collection[str]) -> int:
    """Apply all reports of these messages, before they are judged; return how many those were."""
    there = session.scalars(
        select(JournaledReport.message_id).where(JournaledReport.message_id.in_(ids))
    ).all()
    return _apply(session, statuses.lock(session, set(there))) if there else 0


def apply_to_twins(session: Session, message: Message) -> int:
    """Apply the reports of all that the message's sender sent to its phone, before one is judged.

    What is found in Twilio's log may belong to another of them, as a report says.
    """
    theirs = (
        select(JournaledReport.message_id)
        .join(Message, Message.id == JournaledReport.message_id)
        .where(Message.sender_id == message.sender_id, Message.to == message.to)
    )
    there = set(session.scalars(theirs))
    return _apply(session, statuses.lock(session, there | {message.id})) if there else 0


def _apply(session: Session, messages: dict[str, Message]) -> int:
    """Apply what there is of locked messages: nobody else can have taken it out since."""
    rows = session.execute(
        delete(JournaledReport)
        .where(JournaledReport.message_id.in_(messages))
        .returning(
            JournaledReport.id,
            JournaledReport.message_id,
            JournaledReport.report,
            JournaledReport.at,
        )
        .execution_options(synchronize_session=False)
    ).all()
    statuses.apply(session, messages, [_given(row) for row in sorted(rows, key=lambda row: row.id)])
    return len(rows)


def _drop(session: Session, ids: Collection[str]) -> int:
    """Drop the reports of messages that are not there any more."""
    there = session.scalars(select(Message.id).where(Message.id.in_(ids))).all()
    gone = set(ids).difference(there)
    if not gone:
        return 0
    log.info("reports of messages that are gone", messages=len(gone))
    dropped = session.scalars(
        delete(JournaledReport)
        .where(JournaledReport.message_id.in_(gone))
        .returning(JournaledReport.id)
        .execution_options(synchronize_session=False)
    )
    return len(dropped.all())


def _as_json(report: Report) -> dict[str, Any]:
    """Return what the report says; what it does not say is left out."""
    said = {name: getattr(report, name) for name in _FIELDS}
    return {name: value for name, value in said.items() if value not in (None, {})}


_FIELDS = tuple(field.name for field in dataclasses.fields(Report))


def _given(row: Row[Any]) -> Given:
    return row.message_id, Report(**row.report), row.at
