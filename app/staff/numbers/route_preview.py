"""What somebody who texts or calls a number would get right now, as TwiML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from app.domain import reach
from app.inbound import calls, lookup, texts
from app.inbound.answers import NOTHING, Answer, CallContext, TextContext
from app.inbound.handlers import auto_reply
from app.inbound.number import Number
from app.inbound.parsing import Arrival
from app.models.base import utcnow
from app.models.incoming import Outcome
from app.models.route import Destination
from app.models.sender import Sender
from app.twiml import messaging

CALLER = "+13195550142"
"""A fictional phone: 555-0100 to 555-0199 belong to nobody."""


@dataclass(frozen=True)
class Preview:
    """The answer, and why it is not what the route says, in a sentence."""

    twiml: str
    why: str | None = None


def now(session: Session, sender: Sender, destination: Destination) -> Preview | None:
    """Return the answer of the saved route, decided as for Twilio; nothing is stored.

    It is the answer to somebody of whom nothing is known. None where nothing was chosen.
    """
    return shown(session, found(session, sender, destination), destination)


def found(session: Session, sender: Sender, destination: Destination) -> Number | None:
    """Return what the answer of the route depends on, as it is for Twilio."""
    connection = session.connection()
    if destination is Destination.VOICE:
        return lookup.for_call(connection, sender.address, CALLER)
    return lookup.for_text(connection, sender.address, CALLER, None, "")


def shown(session: Session, number: Number | None, destination: Destination) -> Preview | None:
    """Return the answer of what was :func:`found`; templates are filled in, so nothing is locked.

    None where nothing was chosen.
    """
    if number is None:
        return None
    if destination is Destination.VOICE:
        return _of(calls.choose(call(session, number, utcnow())), number)
    return None if number.route is None else _of(texts.choose(_text(session, number), None), number)


def _of(answer: Answer, number: Number) -> Preview:
    """Return an answer as people read it: where Twilio reports to is nothing to them."""
    why, reply, silence = answer.error, answer.reply, reach.silence(number.standing)
    if answer.outcome is Outcome.NOT_ENABLED and silence:
        why = silence.sentence
    return Preview(messaging.reply(reply.body, reply.media) if reply else answer.twiml, why)


def call(session: Session, number: Number, at: datetime) -> CallContext:
    """Return a call at a time, of somebody of whom nothing is known."""
    arrival = replace(_arrival(number, Destination.VOICE), received_at=at)
    return CallContext(session, "preview", arrival, number)


def moved(context: CallContext, at: tuple[str, ...], told: dict[str, str]) -> CallContext:
    """Return the same call at a place inside the route, with what Twilio would tell there."""
    return replace(context, at=at, arrival=replace(context.arrival, parameters=told))


def _text(session: Session, number: Number) -> TextContext:
    arrival = _arrival(number, Destination.SMS)
    prepared = auto_reply.prepare(arrival, number)
    return TextContext(session, "preview", arrival, number, NOTHING, None, None, (), prepared)


def _arrival(number: Number, destination: Destination) -> Arrival:
    """Return a call, or a text of somebody who may be answered, on trial too."""
    standing = number.standing
    listed = standing.allow_list if standing.trial and destination is Destination.SMS else ()
    return Arrival(
        destination=destination,
        sid="CA" + "0" * 32,
        account_sid="AC" + "0" * 32,
        from_=listed[0] if listed else CALLER,
        to=number.address,
        received_at=utcnow(),
        parameters={},
    )
