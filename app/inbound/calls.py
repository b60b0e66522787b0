"""What becomes of an incoming call."""

from __future__ import annotations

from dataclasses import replace

import structlog
from sqlalchemy.exc import IntegrityError

from app.domain import metrics, reach
from app.domain.wake import wake
from app.extensions import current_settings, unit_of_work
from app.inbound import by_hours, flow, incoming_log
from app.inbound.answers import Answer, CallContext, Onward
from app.inbound.handlers import CALLS, STEPS
from app.inbound.number import Number, RouteFacts
from app.inbound.parsing import Arrival
from app.models.base import new_id
from app.models.incoming import Outcome
from app.models.route import Handler
from app.twiml import voice

log = structlog.get_logger(__name__)


def take_in(arrival: Arrival, number: Number) -> str:
    """Store a call, once, and return the TwiML that answers it; a repeat gets the same.

    :raises Forbidden: when the SID is in the log under another number.
    """
    try:
        return _in_one_transaction(arrival, number)
    except IntegrityError:
        # The same SID was stored between our look and our insert, for another phone or number.
        return _in_one_transaction(arrival, number)


def _in_one_transaction(arrival: Arrival, number: Number) -> str:
    with unit_of_work() as session:
        past = incoming_log.begin(session, arrival, number)
        if past.sender_id is not None:
            return voice.apology() if _went_wrong(arrival) else past.answer or ""
        incoming_id = new_id()
        answer = choose(CallContext(session, incoming_id, arrival, number))
        incoming_log.store(session, incoming_id, arrival, number, answer)
        if answer.afterwards:
            answer.afterwards(session)
    if answer.wakes:
        wake(answer.wakes)
    metrics.arrivals.labels(arrival.destination.value, answer.outcome.value).inc()
    log.info(
        "call received",
        sid=arrival.sid,
        client=number.client.id,
        number=number.id,
        outcome=answer.outcome.value,
    )
    return answer.twiml


def take_in_missed(arrival: Arrival, number: Number) -> None:
    """Log a call that never reached us, once: somebody may want to call back."""
    answer = Answer(
        voice.neutral(),
        Outcome.FAILED,
        error="Dispatch could not be reached; the call was found in Twilio's log afterwards.",
        flagged=True,
    )
    with unit_of_work() as session:
        if incoming_log.begin(session, arrival, number).sender_id is None:
            incoming_log.store(session, new_id(), arrival, number, answer)


def choose(context: CallContext) -> Answer:
    """Answer by the client's switch and the number's route, without storing anything."""
    return begun(context)[1]


def begun(context: CallContext) -> tuple[CallContext, Answer]:
    """Return what is answered first, and where in the route the call is then."""
    if barred := barrier(context.number):
        return context, barred
    route = context.number.route
    if route is None:
        return context, Answer(voice.neutral(), Outcome.NO_ROUTE)
    if route.handler not in STEPS:
        context, answer = arrived(context, route, CALLS[route.handler](context, route))
        return context, replace(answer, text_back=route.text_back_id)
    number, now = context.number, context.arrival.received_at
    whole = flow.whole(context.session.connection(), number.id, route, now)
    context, answer = arrived(context, whole, CALLS[route.handler](context, whole))
    texted = flow.text_back(whole, context.at)
    return context, replace(answer, flow=flow.written(whole), text_back=texted)


def arrived(
    context: CallContext, route: RouteFacts, found: Answer | Onward
) -> tuple[CallContext, Answer]:
    """Return what a handler has answered; where it sends the call on, what answers there.

    That goes through office hours too, and may go on again.
    """
    told = Onward("")
    while isinstance(found, Onward):
        told = Onward(
            found.place,
            error=found.error or told.error,
            flagged=found.flagged or told.flagged,
            dial_status=found.dial_status or told.dial_status,
        )
        if found.place not in route.inner:
            spoken = (route.options.get("voice"), route.options.get("language"))
            found = Answer(voice.farewell(*spoken), Outcome.PLAYED)
            break
        route, context = route.inner[found.place], context.inside(found.place)
        found = _entered(context, route)
    return context, replace(
        found,
        error=found.error or told.error,
        flagged=found.flagged or told.flagged,
        dial_status=found.dial_status or told.dial_status,
    )


def _entered(context: CallContext, route: RouteFacts) -> Answer | Onward:
    if route.handler is Handler.HOURS:
        connection, now = context.session.connection(), context.arrival.received_at
        return Onward(by_hours.place(connection, route, context.number.id, now))
    return CALLS[route.handler](context, route)


def barrier(number: Number) -> Answer | None:
    """Return what a caller hears where nothing goes out, or nothing may; None otherwise."""
    if not number.standing.enabled:
        return Answer(voice.neutral(), Outcome.NOT_ENABLED)
    if silence := reach.silence(number.standing):
        return Answer(voice.neutral(), Outcome.NOT_REPLIED, error=silence.sentence)
    return None


def _went_wrong(arrival: Arrival) -> bool:
    """Tell whether Twilio had our answer and could not go through with it.

    Then it asks the fallback URL, which is ours too, and the same answer would fail again. When it
    never had our answer, ErrorUrl is our own address and ErrorCode an HTTP failure (11xxx).
    """
    code = arrival.parameters.get("ErrorCode", "")
    ours = f"{current_settings().public_base_url}/inbound/voice"
    asked = arrival.parameters.get("ErrorUrl", "").partition("?")[0]
    return bool(code) and not (code.startswith("11") and asked in ("", ours))
