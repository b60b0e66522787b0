"""The call goes on to another phone; when nobody answers there, the caller is told."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.domain import phones, reach
from app.domain.phones import Kind
from app.extensions import current_settings
from app.inbound.handlers import Answer
from app.inbound.lookup import Number, RouteFacts
from app.inbound.parsing import Arrival
from app.models.incoming import Outcome
from app.models.route import Channel
from app.twiml import voice

DEFAULT_TIMEOUT = 30
"""Seconds the phone rings; Twilio's own default."""
NO_ANSWER = "We are sorry. Nobody can take your call just now. Please try again later. Goodbye."
ANSWERED = frozenset({"completed", "answered"})
"""The DialCallStatus of a call that somebody took (Twilio, <Dial>)."""
_SHOWABLE = (Kind.DOMESTIC, Kind.TOLL_FREE, Kind.CARIBBEAN, Kind.INTERNATIONAL)


def answer(
    session: Session, incoming_id: str, arrival: Arrival, number: Number, route: RouteFacts
) -> Answer:
    """Dial the route's phone, unless nobody may call it any more."""
    to = str(route.options.get("to") or "")
    if reason := refusal(session, to, number):
        return Answer(voice.apology(), Outcome.FAILED, error=reason, flagged=True)
    twiml = voice.dial(
        to,
        caller_id=_caller_id(arrival, number, route.options),
        timeout=int(route.options.get("timeout") or DEFAULT_TIMEOUT),
        action=f"{current_settings().public_base_url}/inbound/voice/dialed/{incoming_id}",
    )
    return Answer(twiml, Outcome.FORWARDED)


def refusal(session: Session, to: str, number: Number) -> str | None:
    """Say why a call may not go on to ``to``; None when it may.

    The same was checked when the route was saved, but what is ours, and what the client may, can
    have changed since.
    """
    ours = reach.own_numbers(session, [to])
    refused = reach.silence(number.standing) or reach.why_not(
        number.standing, to, Channel.VOICE, ours
    )
    return f"The call was not forwarded. {refused.sentence}" if refused else None


def after(dial_status: str, options: dict[str, Any]) -> str:
    """Return what the caller hears when the forwarded call is over, or was never taken."""
    if dial_status in ANSWERED:
        return voice.hangup()
    text = options.get("no_answer_say") or NO_ANSWER
    return voice.say(text, options.get("voice"), options.get("language"))


def _caller_id(arrival: Arrival, number: Number, options: dict[str, Any]) -> str | None:
    """Return the number to show, or None for the caller's own.

    A hidden or odd caller has nothing that may be shown (Twilio error 13214).
    """
    if options.get("caller_id") == "number" or phones.classify(arrival.from_) not in _SHOWABLE:
        return number.address
    return None
