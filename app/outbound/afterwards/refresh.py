"""Statuses that never came, and prices, are fetched from Twilio's log some hours later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, and_, case, func, null, select, update

from app.domain import aside, clocks, wake
from app.domain.clients.accounts import client_by_id
from app.domain.sending import journal, statuses
from app.domain.sending.reports import Report
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.outbound.afterwards.traces import report_of, report_of_call
from app.twilio.client import RefusedByTwilio, TwilioClient, TwilioFailure
from app.twilio.statuses import CALL_TERMINAL, MESSAGE_TERMINAL

log = structlog.get_logger(__name__)

AGAIN = timedelta(days=1)
MOST_LOOKS = 3
"""A carrier that sends no receipt leaves a text ``sent`` for ever; we stop asking."""
A_FEW = 20
"""Up to this many are asked for one by one, more by Twilio's list of a span of time."""
MOST_SINGLE = 80
"""Most requests for one text or call each, in one job and account."""
MOST = 1000
MOST_LISTED = 10_000
"""Read of Twilio's list in one job: ten requests."""
SPAN = timedelta(minutes=10)
ON_ITS_WAY = timedelta(minutes=1)
"""Twilio lists by when it sent something, which may be that much later than when it took it."""

_taken_at = func.coalesce(Message.accepted_at, Message.created_at)


@dataclass(frozen=True)
class _Log:
    """How Twilio is asked about texts, or about calls."""

    fetch: Callable[[TwilioClient, str], Report]
    listed: Callable[[TwilioClient, datetime, datetime], Iterator[Report]]


def _texts(twilio: TwilioClient, after: datetime, before: datetime) -> Iterator[Report]:
    found = twilio.list_messages(
        sent_after=after, sent_before=before, limit=MOST_LISTED, page_size=1000
    )
    return map(report_of, found)


def _calls(twilio: TwilioClient, after: datetime, before: datetime) -> Iterator[Report]:
    found = twilio.list_calls(
        started_after=after, started_before=before, limit=MOST_LISTED, page_size=1000
    )
    return map(report_of_call, found)


_LOGS = {
    Destination.SMS: _Log(lambda twilio, sid: report_of(twilio.fetch_message(sid)), _texts),
    Destination.VOICE: _Log(lambda twilio, sid: report_of_call(twilio.fetch_call(sid)), _calls),
}


def run() -> None:
    """Ask about some of what is due for a look, each account in turn; a job of the queue ``house``.

    It makes about a hundred requests to an account at most and ends after some seconds: batches
    wait behind it. The rest waits for the next time.
    """
    end = time.monotonic() + wake.DRAIN_SECONDS
    for destination in Destination:
        due = _due(destination)
        accounts = select(Message.credential_id).where(due).group_by(Message.credential_id)
        for credential_id in db.session.scalars(
            accounts.order_by(func.min(Message.check_at))
        ).all():
            if _in_time(end):
                with aside.set_aside("refresh", credential_id):
                    _look(credential_id, destination, end)
    db.session.rollback()


def _due(destination: Destination) -> ColumnElement[bool]:
    return and_(
        clocks.has_come(Message.check_at, utcnow(), max(AGAIN, statuses.MISSING_AFTER)),
        Message.state == MessageState.ACCEPTED,
        Message.sid.is_not(None),
        Message.destination == destination,
        aside.free("refresh", Message.id),
        aside.free("refresh", Message.credential_id),
        aside.free("credential", Message.credential_id),
    )


def _look(credential_id: str, destination: Destination, end: float) -> None:
    """Ask about the oldest of an account's due messages, as many as lie close together."""
    rows = db.session.execute(
        select(Message.id, Message.sid, _taken_at.label("taken_at"))
        .where(_due(destination), Message.credential_id == credential_id)
        .order_by(_taken_at)
        .limit(MOST)
    ).all()
    twilio = client_by_id(credential_id)
    db.session.rollback()
    if twilio is None:
        return
    close = [row for row in rows if row.taken_at <= rows[0].taken_at + SPAN]
    by_sid = {str(row.sid): str(row.id) for row in close}
    asked: set[str] = set()
    try:
        if len(close) > A_FEW:
            first, last = close[0].taken_at, close[-1].taken_at
            for report in _LOGS[destination].listed(twilio, first - ON_ITS_WAY, last + ON_ITS_WAY):
                if report.sid in by_sid:
                    _note(by_sid[report.sid], report)
                    asked.add(report.sid)
        for sid in [sid for sid in by_sid if sid not in asked][:MOST_SINGLE]:
            if not _in_time(end):
                break
            _ask(twilio, _LOGS[destination], sid, by_sid[sid])
            asked.add(sid)
    except TwilioFailure as failure:
        log.warning("Twilio's log cannot be asked", error=str(failure))
    _asked(by_sid[sid] for sid in asked)


def _ask(twilio: TwilioClient, its_log: _Log, sid: str, message_id: str) -> None:
    try:
        _note(message_id, its_log.fetch(twilio, sid))
    except RefusedByTwilio as refused:
        log.warning("Twilio does not show a message of ours", sid=sid, error=str(refused))


def _note(message_id: str, report: Report) -> None:
    with aside.set_aside("refresh", message_id), unit_of_work() as session:
        journal.apply_to(session, [message_id])
        statuses.record_report(session, message_id, report)


def _in_time(end: float) -> bool:
    return time.monotonic() < end and not wake.stopping.is_set()


def _asked(ids: Iterable[str]) -> None:
    """Note the look; there is another one unless all is known, or we have asked often enough."""
    asked = update(Message).where(Message.id.in_(list(ids)), Message.state == MessageState.ACCEPTED)
    known = Message.status.in_(MESSAGE_TERMINAL | CALL_TERMINAL) & Message.price.is_not(None)
    with unit_of_work() as session:
        session.execute(
            asked.values(
                checks=Message.checks + 1,
                check_at=case(
                    (known | (Message.checks + 1 >= MOST_LOOKS), null()), else_=utcnow() + AGAIN
                ),
            ).execution_options(synchronize_session=False)
        )
