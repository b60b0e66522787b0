"""What people say about messages of unknown fate, once Twilio has been asked for long enough."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.reach import Refusal
from app.domain.sending import journal, reports, statuses
from app.domain.sending.reports import Report
from app.models.base import utcnow
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination

ASKED_FOR = timedelta(minutes=30)
"""How long Twilio is asked before people may say what became of a message."""
_CANDIDATES = "candidates"
_PREFIXES = {Destination.SMS: ("SM", "MM"), Destination.VOICE: ("CA",)}


@dataclass(frozen=True)
class Candidate:
    """A text or call in Twilio's log that a message of ours may be."""

    sid: str
    status: str
    at: datetime | None
    """When Twilio made it, by its clock."""


def keep_candidates(session: Session, message_id: str, found: Sequence[Candidate]) -> None:
    """Keep in the message's history what Twilio's log had for it."""
    shown = [
        {"sid": one.sid, "status": one.status, "at": one.at.isoformat() if one.at else None}
        for one in found
    ]
    report = Report(MessageState.UNKNOWN.value, "lookup", details={_CANDIDATES: shown})
    reports.keep_all(session, [(message_id, report, utcnow())])


def candidates(session: Session, message: Message) -> list[Candidate]:
    """Return what Twilio's log had when it was asked last, less what is another message's since."""
    history = session.scalars(
        select(MessageReport)
        .where(MessageReport.message_id == message.id, MessageReport.source == "lookup")
        .order_by(MessageReport.id.desc())
    )
    last = next((one.details for one in history if _CANDIDATES in one.details), {})
    found = [_candidate(one) for one in last.get(_CANDIDATES, ())]
    sids = [one.sid for one in found]
    taken = set(session.scalars(select(Message.sid).where(Message.sid.in_(sids))))
    return [one for one in found if one.sid not in taken]


def _candidate(kept: dict[str, Any]) -> Candidate:
    at = datetime.fromisoformat(kept["at"]) if kept["at"] else None
    return Candidate(kept["sid"], kept["status"], at)


def is_open(message: Message) -> bool:
    """Tell whether people may say what became of the message.

    Not before Twilio was asked for long enough, or could not be: what people saw may be older than
    what it will say.
    """
    if message.state is not MessageState.UNKNOWN:
        return False
    return (
        message.check_at is None
        or (message.claimed_at or message.created_at) < utcnow() - ASKED_FOR
    )


def arrived(session: Session, message_id: str, sid: str, actor: str) -> None:
    """Take a person's word that the message is what Twilio calls ``sid``.

    :raises Refusal: when its fate is known, when this is no such id, or another message's.
    """
    message = _open_message(session, message_id)
    sid, prefixes = sid.strip(), _PREFIXES[message.destination]
    if not re.fullmatch(f"({'|'.join(prefixes)})[0-9a-f]{{32}}", sid):
        raise Refusal(
            "bad_sid",
            f"Twilio's id begins with {' or '.join(prefixes)}; 32 digits and letters from a to f"
            " follow. Copy it from Twilio's log.",
            "sid",
        )
    if session.scalar(select(Message.id).where(Message.sid == sid)) is not None:
        raise Refusal("taken", "Another message is known to be that one.", "sid")
    said = next((one.status for one in candidates(session, message) if one.sid == sid), "accepted")
    report = Report(said, "dispatch", sid=sid, details={"by": actor})
    statuses.record_report(session, message.id, report)
    session.execute(  # its latest word, or price, is still to be asked for
        update(Message)
        .where(Message.id == message.id, Message.check_at.is_not(None))
        .values(check_at=utcnow())
        .execution_options(synchronize_session=False)
    )
    _decided(session, message, actor, sid)


def did_not_arrive(session: Session, message_id: str, actor: str) -> None:
    """Take a person's word that Twilio never had the message: it can be sent again by hand.

    :raises Refusal: when its fate is known.
    """
    message = _open_message(session, message_id)
    statuses.end(
        session,
        message.id,
        MessageState.FAILED,
        before=(MessageState.UNKNOWN,),
        reason="failed",
        error_message="Somebody looked, and said that it did not arrive.",
    )
    _decided(session, message, actor, None)


def _open_message(session: Session, message_id: str) -> Message:
    journal.apply_to(session, [message_id])  # what Twilio says counts for more
    message = session.get_one(Message, message_id, with_for_update=True, populate_existing=True)
    if not is_open(message):
        raise Refusal(
            "wrong_state",
            "Nothing was changed: what became of it is known by now, or Twilio is still asked.",
            "state",
        )
    return message


def _decided(session: Session, message: Message, actor: str, sid: str | None) -> None:
    """Note who said so; and have Twilio asked about what is alike once more: less is in doubt."""
    details: dict[str, Any] = {"arrived": sid is not None, "sid": sid}
    audit.record(
        session, actor, "say what became", f"message {message.id}", message.client_id, details
    )
    session.execute(
        update(Message)
        .where(
            Message.client_id == message.client_id,
            Message.to == message.to,
            Message.sender_id == message.sender_id,
            Message.state == MessageState.UNKNOWN,
            Message.check_at.is_(None),
        )
        .values(check_at=utcnow())
        .execution_options(synchronize_session=False)
    )
