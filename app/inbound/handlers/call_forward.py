"""The call goes on to another phone; when nobody answers there, the caller is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain import phones, reach
from app.domain.clients import spending
from app.domain.clients.spending import Amount, Limited
from app.domain.phones import Kind
from app.domain.relaying import notices
from app.domain.routing.handlers.call_forward import CallForward
from app.extensions import current_settings
from app.inbound.answers import Answer, CallContext
from app.inbound.number import Number, RouteFacts
from app.inbound.parsing import Arrival
from app.models.client import Client
from app.models.incoming import Incoming, Outcome
from app.models.route import Destination
from app.twiml import voice

NO_ANSWER = "We are sorry. Nobody can take your call just now. Please try again later. Goodbye."
ANSWERED = frozenset({"completed", "answered"})
"""The DialCallStatus of a call that somebody took (Twilio, <Dial>)."""
MAX_FORWARDS = 10
"""Most calls of one caller that a number forwards within :data:`LOOP_WINDOW`: more go in circles,
where no carrier says by whom they were forwarded to us."""
LOOP_WINDOW = timedelta(minutes=5)
_SHOWABLE = (Kind.DOMESTIC, Kind.TOLL_FREE, Kind.CARIBBEAN, Kind.INTERNATIONAL)


def answer(context: CallContext, route: RouteFacts) -> Answer:
    """Dial the route's phone, unless nobody may call it any more, or the call goes in circles."""
    session, arrival, number = context.session, context.arrival, context.number
    chosen = CallForward.of(route.options)
    if reason := refusal(session, chosen.to, number):
        return Answer(voice.apology(), Outcome.FAILED, error=reason, flagged=True)
    if reason := loop(session, arrival, number, chosen.to):
        return _loop_stopped(arrival, number, chosen, reason)
    try:
        client = session.get_one(Client, number.client.id)
        spending.check(session, client, Amount(call_minutes=1))
    except Limited as limited:
        reason = f"The call was not forwarded. {limited.sentence}"
        return Answer(unavailable(chosen), Outcome.FAILED, error=reason, flagged=True)
    dialed = f"{current_settings().public_base_url}/inbound/voice/dialed/{context.incoming_id}"
    caller_id = _caller_id(arrival, number, chosen)
    twiml = voice.dial(chosen.to, caller_id, chosen.timeout, action=dialed)
    return Answer(twiml, Outcome.FORWARDED, later=route.options, call_minutes=1)


def refusal(session: Session, to: str, number: Number) -> str | None:
    """Say why a call may not go on to ``to``; None when it may.

    The same was checked when the route was saved, but what is ours, and what the client may, can
    have changed since.
    """
    ours = reach.own_numbers(session, [to])
    refused = reach.silence(number.standing) or reach.why_not(
        number.standing, to, Destination.VOICE, ours
    )
    return f"The call was not forwarded. {refused.sentence}" if refused else None


def loop(session: Session, arrival: Arrival, number: Number, to: str) -> str | None:
    """Say why a call that would go on to ``to`` goes in circles; None when it does not.

    Whoever forwarded it to us is in ``ForwardedFrom``, where the carrier says so (Twilio's voice
    request). Where not, our own number as the caller, or many calls of one caller, give it away.
    """
    forwarded_by = _normal(arrival.parameters.get("ForwardedFrom", ""))
    if number.from_is_ours:
        return f"{arrival.from_} is one of our own numbers."
    if to == arrival.from_:
        return f"{to} itself is calling."
    if forwarded_by == to:
        return f"{to} has forwarded this call to us itself."
    if forwarded_by and reach.own_numbers(session, [forwarded_by]):
        return f"{forwarded_by}, which has forwarded this call to us, is one of our own numbers."
    if phones.classify(arrival.from_) in _SHOWABLE and _often_forwarded(session, arrival, number):
        return (
            f"{arrival.from_} has been forwarded {MAX_FORWARDS} times within"
            f" {LOOP_WINDOW.seconds // 60} minutes."
        )
    return None


def after(dial_status: str, options: dict[str, Any]) -> str:
    """Return what the caller hears when the forwarded call is over, or was never taken.

    :param options: of the route as it was when the call came.
    """
    return voice.hangup() if dial_status in ANSWERED else unavailable(CallForward.of(options))


def unavailable(chosen: CallForward) -> str:
    """Return what a caller hears whom nobody can take."""
    return voice.say(chosen.no_answer_say or NO_ANSWER)


def _often_forwarded(session: Session, arrival: Arrival, number: Number) -> bool:
    count = session.scalar(
        select(func.count()).where(
            Incoming.client_id == number.client.id,
            Incoming.from_ == arrival.from_,
            Incoming.received_at > arrival.received_at - LOOP_WINDOW,
            Incoming.sender_id == number.id,
            Incoming.outcome == Outcome.FORWARDED,
        )
    )
    return (count or 0) >= MAX_FORWARDS


def _loop_stopped(arrival: Arrival, number: Number, chosen: CallForward, reason: str) -> Answer:
    """Let the caller hear that nobody is there, and tell the owner, once a day for each number."""
    sentence = f"The call was not forwarded: it would go in circles. {reason}"

    def tell(session: Session) -> None:
        notices.notify(
            session,
            number.client.owner_email,
            f"Calls to {number.address} go in circles",
            f"{sentence}\nLook where {number.address} forwards its calls, and where that phone"
            " forwards them.\n",
            dedupe_key=f"call-loop:{number.id}:{arrival.received_at:%Y-%m-%d}",
        )

    return Answer(
        unavailable(chosen),
        Outcome.LOOP_STOPPED,
        error=sentence,
        flagged=True,
        afterwards=tell,
        wakes="relay",
    )


def _normal(written: str) -> str:
    try:
        return phones.normalize(written)
    except phones.InvalidPhone:
        return written.strip()


def _caller_id(arrival: Arrival, number: Number, chosen: CallForward) -> str | None:
    """Return the number to show, or None for the caller's own.

    A hidden or odd caller has nothing that may be shown (Twilio error 13214).
    """
    if chosen.caller_id == "number" or phones.classify(arrival.from_) not in _SHOWABLE:
        return number.address
    return None
