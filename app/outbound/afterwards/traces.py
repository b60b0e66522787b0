"""What Twilio's log has that may be a message of ours: found by phone, sender, text and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain import clocks
from app.domain.sending.reports import Report
from app.models.base import utcnow
from app.models.message import Message
from app.models.route import Destination
from app.twilio.client import TwilioClient
from app.twilio.clock import Difference
from app.twilio.results import Call
from app.twilio.results import Message as TwilioMessage
from app.twilio.segments import smart_encode

LATEST_POST = timedelta(minutes=2)
"""How long after its claim a POST reaches Twilio at the latest."""
STAMPED = timedelta(seconds=1)
"""How much earlier than its claim a message may seem to be, by clocks that drift."""
WRONG_CLOCK = timedelta(days=1)
"""How far back a message is looked for whose claim bears a time that has not come yet."""


@dataclass(frozen=True)
class Found:
    """A message or call in Twilio's log that could be ours."""

    sid: str
    report: Report
    created: datetime | None = None
    """By Twilio's clock, in whole seconds."""


@dataclass(frozen=True)
class Span:
    """When a message may have been made at Twilio, by Twilio's clock: ends included."""

    earliest: datetime
    latest: datetime | None

    def holds(self, at: datetime | None) -> bool:
        """Tell whether something made then can be the message; what has no time may always."""
        if at is None:
            return True
        return self.earliest <= at and (self.latest is None or at <= self.latest)


Search = Callable[[TwilioClient, Message], Iterator[Found]]


def span_of(message: Message, ahead: Difference) -> Span:
    """Return when the message may have been made at Twilio, by Twilio's clock.

    Nothing in Twilio's log tells what a call says: one that was placed later is somebody else's.

    :param ahead: the difference of Twilio's clock and the one by which the message was claimed.
    """
    claimed, now = message.claimed_at or message.created_at, utcnow()
    wrong = claimed > now + clocks.MOST_APART  # our clock was ahead then, and was set since
    earliest = now - WRONG_CLOCK if wrong else claimed - STAMPED
    latest = (now if wrong else claimed) + LATEST_POST
    is_call = message.destination is Destination.VOICE
    return Span(ahead.earliest(earliest), ahead.latest(latest) if is_call else None)


def find_texts(twilio: TwilioClient, message: Message) -> Iterator[Found]:
    """Yield the texts in Twilio's log that have this phone, sender and text."""
    service = message.from_ if message.from_.startswith("MG") else None
    wanted = essence(message.body)
    sender = None if service else message.from_
    for found in twilio.list_messages(to=message.to, from_=sender, limit=300, page_size=300):
        if found.direction == message.direction and essence(found.body) == wanted:
            if service is not None and found.messaging_service_sid != service:
                continue
            yield Found(found.sid, report_of(found), found.date_created)


def report_of(found: TwilioMessage) -> Report:
    """Return what Twilio's log says about one of our texts."""
    return Report(
        found.status,
        "lookup",
        sid=found.sid,
        error_code=found.error_code,
        error_message=found.error_message,
        sender=found.from_,
        segments=found.num_segments or None,
        price=abs(float(found.price)) if found.price is not None else None,
        price_unit=found.price_unit,
    )


def find_calls(twilio: TwilioClient, message: Message) -> Iterator[Found]:
    """Yield the calls in Twilio's log from our number to this phone.

    Without a filter of time, since Twilio's filters by the start, which a queued call has not.
    """
    for found in twilio.list_calls(to=message.to, from_=message.from_, limit=300, page_size=300):
        if found.direction == "outbound-api":
            yield Found(found.sid, report_of_call(found), found.date_created)


def report_of_call(found: Call) -> Report:
    """Return what Twilio's log says about one of our calls."""
    return Report(
        found.status,
        "lookup",
        sid=found.sid,
        call_duration=found.duration if found.status == "completed" else None,
        answered_by=found.answered_by or None,
        price=abs(float(found.price)) if found.price is not None else None,
        price_unit=found.price_unit,
    )


SEARCHES: dict[Destination, Search] = {Destination.SMS: find_texts, Destination.VOICE: find_calls}
"""How each destination is looked for; what follows from the finds is the same for all."""


def essence(body: str | None) -> str:
    """Return a text as far as Twilio's log tells it: two that share this cannot be told apart.

    Without what Twilio adds for trial accounts, leaves out at the ends, and replaces in smart
    encoding.
    """
    text = (body or "").removeprefix("Sent from your Twilio trial account - ")
    return smart_encode(text).strip()
