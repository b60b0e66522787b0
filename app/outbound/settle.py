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
from sqlalchemy import ColumnElement, Select, and_, or_, select, update
from sqlalchemy.orm import Session

from app.domain import clocks, wake
from app.domain.clients.accounts import client_of
from app.domain.sending import journal, statuses
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.credential import Credential
from app.models.message import Direction, Message, MessageState
from app.models.route import Channel
from app.outbound.traces import LATEST_POST, SEARCHES, Found, span_of
from app.twilio.client import TwilioFailure

log = structlog.get_logger(__name__)

LOOKS = (30, 120, 600, 1800)
"""Seconds after a POST became uncertain at which Twilio's log is asked."""
REPLY_LOOKS = (statuses.REPLY_UNHEARD_OF.total_seconds(), 1800)
"""Likewise after a reply was given: asked about late, since Twilio may have many in its queue."""
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
SEVERAL = (
    "Twilio's log holds several messages that this could be; look there before sending it again."
)

NOT_CERTAIN = (
    "It could not be found out whether the text before this one went out, so this one was left out."
)


def run() -> None:
    """Look up messages whose look is due, several at once; a job of the queue ``house``.

    It ends after some seconds, however slow Twilio is: batches wait behind it. The clock starts it
    again for the rest.
    """
    end = time.monotonic() + wake.DRAIN_SECONDS
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    ids = _due(_LOST, MOST) + _due(_UNHEARD_OF, MOST_REPLIES)
    db.session.rollback()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look-up") as pool:
        for _ in pool.map(lambda id_: _look_up_in_time(app, id_, end), ids):
            pass


_LOST: ColumnElement[bool] = Message.state == MessageState.UNKNOWN
_UNHEARD_OF = and_(
    Message.state == MessageState.ACCEPTED,
    Message.sid.is_(None),
    Message.direction == Direction.REPLY,
)


def _due(fate: ColumnElement[bool], most: int) -> list[str]:
    query = select(Message.id).where(fate, Message.check_at <= utcnow())
    return list(db.session.scalars(query.order_by(Message.check_at).limit(most)))


def look_up(message_id: str) -> None:
    """Ask Twilio's log about one message of unknown fate, and settle it if that is possible."""
    message = db.session.scalar(_open(message_id))
    if message is None:
        return
    credential = db.session.get_one(Credential, message.credential_id)
    twilio = client_of(credential)
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
        still = _open(message_id).where(
            Message.checks == message.checks,
            Message.claim_token.is_not_distinct_from(message.claim_token),
        )
        if session.scalar(still.with_for_update()) is not None:
            _settle(session, message, found)


def _open(message_id: str) -> Select[Message]:
    return select(Message).where(Message.id == message_id, or_(_LOST, _UNHEARD_OF))


def _settle(session: Session, message: Message, found: Sequence[Found]) -> None:
    """Adopt the only SID that can be this message's; else look again later, or give up."""
    taken = set(
        session.scalars(select(Message.sid).where(Message.sid.in_([one.sid for one in found])))
    )
    free = [one for one in found if one.sid not in taken]
    twins = session.scalar(
        select(Message.id)
        .where(
            Message.to == message.to,
            Message.sender_id == message.sender_id,
            # Twilio's log does not tell what a call said: any other one may be the one found.
            or_(Message.body == message.body, Message.destination == Channel.VOICE),
            Message.id != message.id,
            Message.lane_key == message.lane_key,
            or_(Message.state == MessageState.CLAIMED, _LOST, _UNHEARD_OF),
            # One whose POST was over long before cannot be what is found.
            or_(
                Message.claimed_at.is_(None),
                Message.claimed_at >= (message.claimed_at or message.created_at) - LATEST_POST,
            ),
        )
        .limit(1)
    )
    if len(free) == 1 and twins is None:
        statuses.record_report(session, message.id, free[0].report)
        return
    looks = message.checks + 1
    times = LOOKS if message.direction is Direction.API else REPLY_LOOKS
    if looks < len(times):
        wait = timedelta(seconds=times[looks] - times[looks - 1])
        _look_again(session, message, utcnow() + wait, looks)
    elif free:
        _give_up(session, message, looks)
    else:
        statuses.end(
            session,
            message.id,
            MessageState.FAILED,
            before=(message.state,),
            reason="failed",
            error_message=NO_TRACE if message.direction is Direction.API else NO_TRACE_OF_REPLY,
        )


def _give_up(session: Session, message: Message, looks: int) -> None:
    """Leave it open which of several is the message: staff can see them in Twilio's log."""
    if message.state is MessageState.UNKNOWN:
        _look_again(session, message, None, looks, SEVERAL)
        statuses.drop_next_steps(session, message, NOT_CERTAIN)
    else:
        statuses.end(
            session,
            message.id,
            MessageState.UNKNOWN,
            before=(message.state,),
            reason="unknown",
            error_message=SEVERAL,
        )


def _look_again(
    session: Session, message: Message, at: datetime | None, looks: int, note: str | None = None
) -> None:
    values = {"check_at": at, "checks": looks}
    session.execute(
        update(Message)
        .where(Message.id == message.id, or_(_LOST, _UNHEARD_OF), Message.checks == message.checks)
        .values({**values, "error_message": note} if note else values)
        .execution_options(synchronize_session=False)
    )


def _look_up_in_time(app: Flask, message_id: str, end: float) -> None:
    if wake.stopping.is_set() or time.monotonic() >= end:
        return
    with app.app_context():
        try:
            look_up(message_id)
        except Exception:
            log.exception("a look-up failed; it will be tried again", message=message_id)
        finally:
            db.session.remove()
