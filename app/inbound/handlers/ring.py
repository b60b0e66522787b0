"""Phones ring, in rounds of one or of all, until somebody takes the call; then the call is over.

The steps: ``picked-up`` and ``key`` of each person, by their position in the route, and ``rung`` of
each round. Who has not pressed the key is hung up on, as is every mailbox, and the caller goes on.
"""

from __future__ import annotations

from dataclasses import replace

from app.domain.audience import contacts
from app.domain.routing.handlers.ring import Ring
from app.domain.sending import allowance
from app.inbound import dialing, flow, parsing
from app.inbound.answers import Answer, CallContext, Heard, Onward
from app.inbound.flow import Lost
from app.inbound.number import RouteFacts
from app.models.incoming import CALL_ENDS, Outcome
from app.twiml import ringing, voice
from app.twiml.ringing import Phone
from app.twiml.voice import Greeting

OTHERWISE = "otherwise"


def answer(context: CallContext, route: RouteFacts) -> Answer | Onward:
    """Let the first phones ring, unless the call goes in circles."""
    arrival, number = context.arrival, context.number
    ours = _own(context, route)
    if reason := dialing.circle(context.session, arrival, number, ours):
        return dialing.stopped(arrival, number, voice.say(dialing.NO_ANSWER), reason)
    return _from_round(context, route, 0, ours)


def heard(context: CallContext, route: RouteFacts, heard: Heard) -> Answer | Onward:
    """Go on by what Twilio tells of the phones that rang.

    :raises Lost: when the route has no such step.
    """
    chosen = Ring.of(route.options)
    if heard.what == "rung" and heard.turn < len(chosen.rounds()):
        return _rung(context, route, heard, chosen)
    if heard.turn >= len(chosen.people):
        raise Lost("The route has no such person.")
    if heard.what == "picked-up":
        return Answer(_announced(context, chosen, heard.turn), Outcome.FORWARDED)
    if heard.what == "key":
        took = heard.get("Digits") == ringing.TAKES
        return Answer(ringing.take() if took else voice.hangup(), Outcome.FORWARDED)
    raise Lost(f"Nobody who is rung has a step “{heard.what}”.")


def _own(context: CallContext, route: RouteFacts) -> set[str]:
    people = Ring.of(route.options).people
    return dialing.own(context.session, context.arrival, (one.to for one in people))


def _from_round(
    context: CallContext, route: RouteFacts, first: int, ours: set[str]
) -> Answer | Onward:
    """Let the phones of a round ring, or of the next one in which anybody may be called."""
    chosen = Ring.of(route.options)
    rounds, reasons = chosen.rounds(), []
    is_wrong = False
    for turn in range(first, len(rounds)):
        reached = []
        for at in rounds[turn]:
            to = chosen.people[at].to
            refused = dialing.refusal(to, context.number, ours)
            is_wrong = is_wrong or refused is not None
            if reason := refused or dialing.comes_from(context.arrival, to):
                reasons.append(reason)
            else:
                reached.append(at)
        if not reached:
            continue
        if reason := dialing.over_limit(context.session, context.number, len(reached)):
            return _nobody(route, [*reasons, reason], is_wrong=True)
        found = _ringing(context, chosen, reached, turn)
        return replace(found, error=" ".join(reasons) or None, flagged=is_wrong)
    return _nobody(route, reasons, is_wrong)


def _ringing(context: CallContext, chosen: Ring, reached: list[int], turn: int) -> Answer:
    speaks = chosen.confirm or chosen.whisper
    phones = [
        Phone(chosen.people[at].to, flow.step(context, "picked-up", at) if speaks else None)
        for at in reached
    ]
    twiml = ringing.ring(
        phones,
        None if dialing.is_shown(context.arrival.from_) else context.number.address,
        max(chosen.people[at].seconds for at in reached),
        flow.step(context, "rung", turn),
    )
    return Answer(twiml, Outcome.FORWARDED, call_minutes=len(phones))


def _announced(context: CallContext, chosen: Ring, at: int) -> str:
    words = Greeting(chosen.whisper or "", chosen.voice, chosen.language)
    key_step = flow.step(context, "key", at) if chosen.confirm else None
    return ringing.announce(_caller(context), words, key_step)


def _caller(context: CallContext) -> str:
    """Say who calls: by the name under which they were last written to, and digit by digit."""
    phone = context.arrival.from_
    if not dialing.is_shown(phone):
        return "a hidden number"
    number = context.number
    contact = contacts.find(context.session, number.client.id, phone, number)
    name = str((contact.member or {}).get("toName") or "").strip() if contact else ""
    spelled = ringing.spelled(phone)
    return f"{name}, {spelled}" if name else spelled


def _rung(context: CallContext, route: RouteFacts, heard: Heard, chosen: Ring) -> Answer | Onward:
    """End a call that was taken; let the next phones ring for a caller who is still there."""
    status = heard.get("DialCallStatus")[:32]
    if _was_taken(context, heard, chosen):
        rest = allowance.rest_of(parsing.seconds(heard.get("DialCallDuration")))
        return Answer(
            voice.hangup(), Outcome.FORWARDED, dial_status=status, call_minutes=rest.call_minutes
        )
    if status in dialing.ANSWERED:
        status = "no-answer"
    if heard.get("CallStatus") in CALL_ENDS:
        return Answer(voice.hangup(), Outcome.FORWARDED, dial_status=status)
    found = _from_round(context, route, heard.turn + 1, _own(context, route))
    return replace(found, dial_status=status)


def _was_taken(context: CallContext, heard: Heard, chosen: Ring) -> bool:
    """Tell whether somebody took the call.

    Who was called and hung up before the two were connected, Twilio may call ``completed`` all the
    same; ``DialBridged``, where it is told, and the key that we were told of, say better.
    """
    if heard.get("DialCallStatus") not in dialing.ANSWERED or heard.get("DialBridged") == "false":
        return False
    keys = (flow.Step(context.at, "key", at).key for at in chosen.rounds()[heard.turn])
    return not chosen.confirm or any(heard.before.get(key) == ringing.take() for key in keys)


def _nobody(route: RouteFacts, reasons: list[str], is_wrong: bool) -> Answer | Onward:
    error = " ".join(reasons) or None
    if OTHERWISE in route.inner:
        return Onward(OTHERWISE, error=error, flagged=is_wrong)
    outcome = Outcome.FAILED if is_wrong else Outcome.FORWARDED
    return Answer(voice.say(dialing.NO_ANSWER), outcome, error=error, flagged=is_wrong)
