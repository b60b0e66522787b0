"""The call goes on to another phone; when nobody answers there, the caller is told."""

from __future__ import annotations

from typing import Any

from app.domain.routing.handlers.call_forward import CallForward
from app.extensions import current_settings
from app.inbound import dialing
from app.inbound.answers import Answer, CallContext
from app.inbound.number import RouteFacts
from app.models.incoming import Outcome
from app.twiml import voice


def answer(context: CallContext, route: RouteFacts) -> Answer:
    """Dial the route's phone, unless nobody may call it any more, or the call goes in circles."""
    session, arrival, number = context.session, context.arrival, context.number
    chosen = CallForward.of(route.options)
    ours = dialing.own(session, arrival, [chosen.to])
    if reason := dialing.refusal(chosen.to, number, ours):
        return Answer(voice.apology(), Outcome.FAILED, error=reason, flagged=True)
    reason = dialing.comes_from(arrival, chosen.to)
    if reason := reason or dialing.circle(session, arrival, number, ours):
        return dialing.stopped(arrival, number, unavailable(chosen), reason)
    if reason := dialing.over_limit(session, number, 1):
        return Answer(unavailable(chosen), Outcome.FAILED, error=reason, flagged=True)
    dialed = f"{current_settings().public_base_url}/inbound/voice/dialed/{context.incoming_id}"
    # A hidden or odd caller has nothing that may be shown; None is the caller's own.
    is_ours = chosen.caller_id == "number" or not dialing.is_shown(arrival.from_)
    caller_id = number.address if is_ours else None
    twiml = voice.dial(chosen.to, caller_id, chosen.timeout, action=dialed)
    return Answer(twiml, Outcome.FORWARDED, later=route.options, call_minutes=1)


def after(dial_status: str, options: dict[str, Any]) -> str:
    """Return what the caller hears when the forwarded call is over, or was never taken.

    :param options: of the route as it was when the call came.
    """
    is_over = dial_status in dialing.ANSWERED
    return voice.hangup() if is_over else unavailable(CallForward.of(options))


def unavailable(chosen: CallForward) -> str:
    """Return what a caller hears whom nobody can take."""
    return voice.say(chosen.no_answer_say or dialing.NO_ANSWER)
