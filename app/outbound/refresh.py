"""Statuses that never came, and prices, are fetched from Twilio's log some hours later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog
from sqlalchemy import case, null, select, update

from app.domain.sending import statuses
from app.domain.sending.statuses import Report
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.models.route import Channel
from app.outbound.send import client_of
from app.outbound.settle import report_of, report_of_call
from app.twilio.client import Refused, TwilioClient, TwilioFailure
from app.twilio.statuses import CALL_TERMINAL, MESSAGE_TERMINAL

log = structlog.get_logger(__name__)

AGAIN = timedelta(days=1)
MOST_LOOKS = 3
"""A carrier that sends no receipt leaves a text ``sent`` for ever; we stop asking."""
A_FEW = 20
"""Up to this many are asked for one by one, more by Twilio's list of a span of time."""
MOST = 1000
LONGEST_WAY = timedelta(hours=10)
"""How long Twilio may keep a text in its queue."""


def run() -> None:
    """Ask about what is due for a look, account by account; a job of the queue ``house``."""
    for destination in Channel:
        _run(destination)


def _run(destination: Channel) -> None:
    now = utcnow()
    due = (
        Message.check_at <= now,
        Message.state == MessageState.ACCEPTED,
        Message.sid.is_not(None),
        Message.destination == destination,
    )
    ask = _ask_calls if destination is Channel.VOICE else _ask
    for credential_id in db.session.scalars(select(Message.credential_id).where(*due).distinct()):
        rows = db.session.execute(
            select(Message.id, Message.sid, Message.accepted_at, Message.checks)
            .where(*due, Message.credential_id == credential_id)
            .order_by(Message.check_at)
            .limit(MOST)
        ).all()
        twilio = client_of(db.session.get_one(Credential, credential_id))
        db.session.rollback()
        by_sid = {str(row.sid): row.id for row in rows}
        try:
            for report in ask(twilio, by_sid, [row.accepted_at for row in rows if row.accepted_at]):
                with unit_of_work() as session:
                    statuses.record_report(session, by_sid[report.sid or ""], report)
        except TwilioFailure as failure:
            log.warning("Twilio's log cannot be asked", error=str(failure))
            continue
        _asked(list(by_sid.values()), now)


def _ask(twilio: TwilioClient, by_sid: dict[str, str], times: list[datetime]) -> Iterator[Report]:
    if len(by_sid) <= A_FEW or not times:
        for sid in by_sid:
            try:
                yield report_of(twilio.fetch_message(sid))
            except Refused as refused:
                log.warning("Twilio does not show a text of ours", sid=sid, error=str(refused))
        return
    for found in twilio.list_messages(
        sent_after=min(times), sent_before=max(times) + LONGEST_WAY, limit=100_000, page_size=1000
    ):
        if found.sid in by_sid:
            yield report_of(found)


def _ask_calls(
    twilio: TwilioClient, by_sid: dict[str, str], _times: list[datetime]
) -> Iterator[Report]:
    for sid in by_sid:
        try:
            yield report_of_call(twilio.fetch_call(sid))
        except Refused as refused:
            log.warning("Twilio does not show a call of ours", sid=sid, error=str(refused))


def _asked(ids: list[str], now: datetime) -> None:
    """Note the look; there is another one unless all is known, or we have asked often enough."""
    asked = update(Message).where(Message.id.in_(ids), Message.state == MessageState.ACCEPTED)
    known = Message.status.in_(MESSAGE_TERMINAL | CALL_TERMINAL) & Message.price.is_not(None)
    with unit_of_work() as session:
        session.execute(
            asked.values(
                checks=Message.checks + 1,
                check_at=case(
                    (known | (Message.checks + 1 >= MOST_LOOKS), null()), else_=now + AGAIN
                ),
            ).execution_options(synchronize_session=False)
        )
