"""What became of a POST whose answer was lost: Twilio's own log is asked, and never a second POST.

So it is with a reply by TwiML of which nothing was heard: Twilio may not have had our answer in
time, or not have been able to carry it out.

A look-up adopts a SID only when there can be no doubt whose it is. A status callback, a call's
answer request or the late answer of the POST itself may settle the message at any time before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from flask import Flask, current_app
from redis import RedisError
from sqlalchemy import ColumnElement, Select, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.domain import aside, clocks, wake
from app.domain.clients.accounts import client_by_id
from app.domain.sending import journal, statuses
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.message import Direction, Message, MessageState
from app.outbound.afterwards import matching
from app.outbound.afterwards.matching import LOST, UNHEARD_OF
from app.outbound.afterwards.traces import SEARCHES, Found, span_of
from app.twilio.client import TwilioFailure

log = structlog.get_logger(__name__)

LOOKS = (30, 120, 600, 1800)
"""Seconds after a POST became uncertain at which Twilio's log is asked."""
REPLY_LOOKS = (statuses.REPLY_UNHEARD_OF.total_seconds(), 1800)
"""Likewise after a reply was given: asked about late, since Twilio may have many in its queue."""
LONGEST_WAIT = timedelta(seconds=max(*LOOKS, *REPLY_LOOKS))
TWILIO_AWAY = timedelta(seconds=60)
"""When Twilio cannot be asked, that look does not count; it is made up for after this."""
AT_ONCE = 8
MOST = 400
MOST_REPLIES = 40
NO_TRACE = "Twilio has no trace of this message, so it was not sent; it may be sent again by hand."
NO_TRACE_OF_REPLY = (
    "Twilio has no trace of this reply, so it was not sent. Twilio's debugger may say why: it did"
    " not have our answer in time, or the account may not text this phone."
)


def run() -> None:
    """Look up messages whose look is due, several at once; a job of the queue ``house``.

    It ends after some seconds, however slow Twilio is: batches wait behind it. The clock starts it
    again for the rest.
    """
    end = time.monotonic() + wake.DRAIN_SECONDS
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    ids = _due(LOST, MOST) + _due(UNHEARD_OF, MOST_REPLIES)
    db.session.rollback()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look-up") as pool:
        for _ in pool.map(lambda id_: _look_up_in_time(app, id_, end), ids):
            pass


def _due(fate: ColumnElement[bool], most: int) -> list[str]:
    query = select(Message.id).where(
        fate,
        clocks.has_come(Message.check_at, utcnow(), LONGEST_WAIT),
        aside.free("settle", Message.id),
        aside.free("credential", Message.credential_id),
    )
    return list(db.session.scalars(query.order_by(Message.check_at).limit(most)))


def look_up(message_id: str) -> None:
    """Ask Twilio's log about one message of unknown fate, and settle it if that is possible."""
    message = db.session.scalar(_open(message_id))
    if message is None:
        return
    twilio = client_by_id(message.credential_id)
    if twilio is None:
        return
    database = clocks.database(db.session())
    db.session.expunge_all()
    db.session.rollback()
    try:
        found = list(SEARCHES[message.destination](twilio, message))
    except TwilioFailure as failure:
        log.warning("Twilio's log cannot be asked", message=message_id, error=str(failure))
        with unit_of_work() as session:
            _look_again(session, message, utcnow() + TWILIO_AWAY, message.checks)
        return
    span = span_of(message, twilio.clock.known().minus(database))
    found = [one for one in found if span.holds(one.created)]
    with unit_of_work() as session:
        journal.apply_to_twins(session, message)
        # Meanwhile a report may have come, which says more than the log; or another look has been
        # quicker, whose time for the next one counts.
        alike = matching.in_doubt(session, message)
        now = next((one for one in alike if one.id == message.id), None)
        if now is not None and _doubt(now) == _doubt(message):
            _settle(session, now, alike, found)


def _doubt(message: Message) -> tuple[MessageState, int, str | None]:
    """Return what stays the same while a look is about the same doubt."""
    return message.state, message.checks, message.claim_token


def _open(message_id: str) -> Select[Message]:
    return select(Message).where(Message.id == message_id, or_(LOST, UNHEARD_OF))


def _settle(
    session: Session, message: Message, alike: Sequence[Message], found: Sequence[Found]
) -> None:
    """Adopt what was found where there is no doubt whose it is; else look again, or give up."""
    free = matching.nobodys(session, found)
    if matching.assign(session, alike, free):
        return
    looks = message.checks + 1
    times = LOOKS if message.direction is Direction.API else REPLY_LOOKS
    if looks < len(times):
        wait = timedelta(seconds=times[looks] - times[looks - 1])
        _look_again(session, message, utcnow() + wait, looks)
    elif free:
        matching.leave_open(session, message, alike, free)
    else:
        statuses.end(
            session,
            message.id,
            MessageState.FAILED,
            before=(message.state,),
            reason="failed",
            error_message=NO_TRACE if message.direction is Direction.API else NO_TRACE_OF_REPLY,
        )


def _look_again(session: Session, message: Message, at: datetime, looks: int) -> None:
    session.execute(
        update(Message)
        .where(Message.id == message.id, or_(LOST, UNHEARD_OF), Message.checks == message.checks)
        .values(check_at=at, checks=looks)
        .execution_options(synchronize_session=False)
    )


def _look_up_in_time(app: Flask, message_id: str, end: float) -> None:
    if wake.stopping.is_set() or time.monotonic() >= end:
        return
    with app.app_context():
        try:
            with aside.set_aside("settle", message_id):
                look_up(message_id)
        except (SQLAlchemyError, RedisError) as error:
            log.warning("a look-up has to wait", message=message_id, error=type(error).__name__)
        finally:
            db.session.remove()
