"""What somebody who texts or calls a number would get right now, as TwiML."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.domain import reach
from app.inbound import calls, lookup, replies
from app.inbound.handlers import auto_reply, handle_yourself
from app.inbound.lookup import Number, RouteFacts
from app.inbound.parsing import Arrival
from app.models.base import utcnow
from app.models.route import Channel, Handler
from app.models.sender import Sender
from app.twiml import messaging

CALLER = "+13195550142"
"""A fictional phone: 555-0100 to 555-0199 belong to nobody."""


@dataclass(frozen=True)
class Preview:
    """The answer, and why it is not what the route says, in a sentence."""

    twiml: str
    why: str | None = None


def now(session: Session, sender: Sender, channel: Channel) -> Preview | None:
    """Return the answer of the saved route, decided as for Twilio; nothing is stored.

    It is the answer to somebody of whom nothing is known. None where nothing was chosen.
    """
    connection = session.connection()
    if channel is Channel.VOICE:
        number = lookup.for_call(connection, sender.address, CALLER)
        if number is None:
            return None
        answer = calls.choose(session, "preview", _arrival(number, channel), number)
        return Preview(answer.twiml, answer.error or _silence(number))
    number = lookup.for_text(connection, sender.address, CALLER, None, "")
    if number is None or number.route is None:
        return None
    return _text(number, number.route)


def _text(number: Number, route: RouteFacts) -> Preview | None:
    forwards = route.handler in (Handler.FORWARD_TO_EMAIL, Handler.FORWARD_TO_WEBHOOK)
    if (silence := _silence(number)) and not (forwards and number.standing.enabled):
        return Preview(messaging.empty(), silence)
    if route.handler is Handler.HANDLE_YOURSELF:
        return Preview(handle_yourself.answer(route, Channel.SMS).twiml)
    arrival = _arrival(number, Channel.SMS)
    rendered = replies.prepare(arrival, number).route
    if forwards or rendered is None:
        return Preview(messaging.empty())
    if refused := auto_reply.refusal(arrival, number, suppressed=False):
        return Preview(messaging.empty(), refused)
    if rendered.problem is not None:
        return Preview(
            messaging.empty(),
            f"Somebody of whom nothing is known gets no answer. {rendered.problem}",
        )
    return Preview(messaging.reply(rendered.text, rendered.media))


def _silence(number: Number) -> str | None:
    refusal = reach.silence(number.standing)
    return refusal.sentence if refusal else None


def _arrival(number: Number, channel: Channel) -> Arrival:
    """Return a call, or a text of somebody who may be answered, on trial too."""
    standing = number.standing
    listed = standing.allow_list if standing.trial and channel is Channel.SMS else ()
    return Arrival(
        channel=channel,
        sid="CA" + "0" * 32,
        account_sid="AC" + "0" * 32,
        from_=listed[0] if listed else CALLER,
        to=number.address,
        received_at=utcnow(),
        parameters={},
    )
