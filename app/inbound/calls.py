"""What becomes of an incoming call."""

from __future__ import annotations

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.exceptions import Forbidden

from app.domain import reach
from app.domain.wake import wake
from app.extensions import current_settings, unit_of_work
from app.inbound import journal
from app.inbound.handlers import Answer, call_forward, handle_yourself, play_message
from app.inbound.history import look_back
from app.inbound.lookup import Number
from app.inbound.parsing import Arrival
from app.models.base import new_id
from app.models.incoming import Outcome
from app.models.route import Channel, Handler
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
        connection = session.connection()
        journal.take_turn(connection, number, arrival.from_)
        past = look_back(connection, arrival, number)
        if past.sender_id is not None:
            if past.sender_id != number.id:
                raise Forbidden("This CallSid belongs to a call to another number.")
            return voice.apology() if _went_wrong(arrival) else past.answer or ""
        incoming_id = new_id()
        answer = choose(session, incoming_id, arrival, number)
        journal.store(session, incoming_id, arrival, number, answer)
        if answer.afterwards:
            answer.afterwards(session)
    if answer.wakes:
        wake(answer.wakes)
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
        connection = session.connection()
        journal.take_turn(connection, number, arrival.from_)
        if look_back(connection, arrival, number).sender_id is None:
            journal.store(session, new_id(), arrival, number, answer)


def choose(session: Session, incoming_id: str, arrival: Arrival, number: Number) -> Answer:
    """Answer by the client's switch and the number's route, without storing anything."""
    route = number.route
    if not number.standing.enabled:
        return Answer(voice.neutral(), Outcome.NOT_ENABLED)
    if silence := reach.silence(number.standing):
        return Answer(voice.neutral(), Outcome.NOT_REPLIED, error=silence.sentence)
    if route is None:
        return Answer(voice.neutral(), Outcome.NO_ROUTE)
    if route.handler is Handler.PLAY_MESSAGE:
        return play_message.answer(route)
    if route.handler is Handler.CALL_FORWARD:
        return call_forward.answer(session, incoming_id, arrival, number, route)
    return handle_yourself.answer(route, Channel.VOICE)


def _went_wrong(arrival: Arrival) -> bool:
    """Tell whether Twilio had our answer and could not go through with it.

    Then it asks the fallback URL, which is ours too, and the same answer would fail again. When it
    never had our answer, ErrorUrl is our own address and ErrorCode an HTTP failure (11xxx).
    """
    code = arrival.parameters.get("ErrorCode", "")
    ours = f"{current_settings().public_base_url}/inbound/voice"
    asked = arrival.parameters.get("ErrorUrl", "").partition("?")[0]
    return bool(code) and not (code.startswith("11") and asked in ("", ours))
