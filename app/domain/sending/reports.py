"""What is reported about a message: kept word by word, and weighed against what is known.

Order, repeats and unknown words are harmless: :mod:`app.domain.sending.statuses` moves a message
on only by what is news here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.models.message import Message, MessageReport
from app.models.route import Destination
from app.twilio import statuses as words


@dataclass(frozen=True)
class Report:
    """What somebody says about a message; what it does not say is None."""

    status: str
    """Twilio's word, known to us or not; or our own state, from ``dispatch``."""
    source: str
    """``callback``, ``response`` (to our POST), ``lookup`` (Twilio's log) or ``dispatch``."""
    sid: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    sender: str | None = None
    """The number that a messaging service chose."""
    segments: int | None = None
    price: float | None = None
    """What Twilio charges, as a positive sum."""
    price_unit: str | None = None
    sequence: int | None = None
    """SequenceNumber of a call's report."""
    call_duration: int | None = None
    """Seconds; with a call's end."""
    answered_by: str | None = None
    """Twilio's word on who answered a call."""
    recording_url: str | None = None
    digits: str | None = None
    speech: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def is_news(message: Message, report: Report) -> bool:
    """Tell whether the report's word replaces the message's; never a word that we do not know."""
    if message.destination is Destination.VOICE:
        return words.call_may_become(
            message.status, report.status, message.status_sequence, report.sequence
        )
    return words.message_may_become(message.status, report.status)


def is_end(destination: Destination, report: Report) -> bool:
    """Tell whether nothing can follow the report's word."""
    voice = destination is Destination.VOICE
    return report.status in (words.CALL_TERMINAL if voice else words.MESSAGE_TERMINAL)


def extras(report: Report) -> dict[str, Any]:
    """Return what a report brings besides its word, wherever it stands in the order."""
    found = {
        "from_": report.sender,
        "segments": report.segments or None,
        "price": report.price,
        "price_unit": report.price_unit if report.price is not None else None,
        "call_duration": report.call_duration,
        "answered_by": report.answered_by,
        "recording_url": report.recording_url,
        "digits": report.digits,
        "speech": report.speech,
    }
    return {name: value for name, value in found.items() if value is not None}


def keep_all(session: Session, given: Sequence[tuple[str, Report, datetime]]) -> None:
    """Add reports to the histories of their messages, in this order."""
    if given:
        session.execute(insert(MessageReport), [_kept(*one) for one in given])


def _kept(message_id: str, report: Report, at: datetime) -> dict[str, Any]:
    """Return what is kept of a report, by the columns of MessageReport."""
    return {
        "message_id": message_id,
        "at": at,
        "status": report.status[:32],
        "source": report.source,
        "error_code": report.error_code,
        "details": report.details,
    }
