"""What becomes of an incoming text, wherever we hear of it: from Twilio's webhook or its log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.domain import metrics
from app.domain.audience import reachability
from app.domain.keywords import sounds_like_stop
from app.domain.wake import wake
from app.extensions import unit_of_work
from app.inbound import incoming_log, meaning
from app.inbound.answers import Answer, History, Prepared, TextContext
from app.inbound.handlers import TEXTS, Part, auto_reply
from app.inbound.meaning import Wish
from app.inbound.number import Number
from app.inbound.parsing import Arrival
from app.models.base import new_id, utcnow
from app.models.incoming import OptOut, Outcome, TextChannel
from app.models.media import new_media_code
from app.twiml import messaging

log = structlog.get_logger(__name__)

Seen = TypeVar("Seen")
MAX_LATENESS = timedelta(minutes=1)
"""Heard of later than this, a text gets no automatic reply."""


def take_in(arrival: Arrival, number: Number) -> str:
    """Store a text and what it causes, once, and return the TwiML that answers it.

    Whoever brings the same SID again, at the same moment or later, gets the same answer and causes
    nothing.

    :raises Forbidden: when the SID is in the log under another number.
    """
    prepared = auto_reply.prepare(arrival, number)
    try:
        answer = _in_one_transaction(arrival, number, prepared)
    except IntegrityError:
        # The same SID was stored between our look and our insert, for another phone or number.
        answer = _in_one_transaction(arrival, number, prepared)
    if isinstance(answer, str):
        return answer
    if answer.wakes:
        wake(answer.wakes)
    metrics.arrivals.labels(arrival.destination.value, answer.outcome.value).inc()
    log.info(
        "text received",
        sid=arrival.sid,
        client=number.client.id,
        number=number.id,
        outcome=answer.outcome.value,
    )
    return answer.twiml


class _Undone(Exception):
    """Ends a transaction of which nothing is to stay."""


def rehearse(
    arrival: Arrival, number: Number, look: Callable[[Session, Answer, str], Seen]
) -> Seen:
    """Do all that a text causes, have it looked at, and undo it.

    :param look: is given the answer and the text's SID while everything is still there.
    """
    prepared = auto_reply.prepare(arrival, number)
    seen: list[Seen] = []
    with suppress(_Undone), unit_of_work() as session:
        past = incoming_log.begin(session, arrival, number)
        answer = _decide_and_store(session, arrival, number, past, prepared)
        session.flush()
        seen.append(look(session, answer, arrival.sid))
        raise _Undone
    return seen[0]


def _in_one_transaction(arrival: Arrival, number: Number, prepared: Prepared) -> Answer | str:
    with unit_of_work() as session:
        past = incoming_log.begin(session, arrival, number)
        if past.sender_id is not None:
            return past.answer or ""
        return _decide_and_store(session, arrival, number, past, prepared)


def _decide_and_store(
    session: Session, arrival: Arrival, number: Number, past: History, prepared: Prepared
) -> Answer:
    incoming_id = new_id()
    codes = tuple(new_media_code() for _ in arrival.media)
    reaction, asked = meaning.of(session, arrival, number, prepared.asked)
    if past.unreachable and _proves_reach(arrival, asked):
        reachability.proved(session, number.client.id, [arrival.from_], arrival.received_at)
    if asked and asked.what is OptOut.START:
        # The list has just changed.
        past = incoming_log.look_back(session.connection(), arrival, number)
    context = TextContext(
        session, incoming_id, arrival, number, past, reaction, asked.what if asked else None, codes,
        prepared,
    )  # fmt: skip
    answer = choose(context, asked)
    if reaction is None:
        answer = _flag(answer, arrival, asked)
    if arrival.recovered:
        answer = _late(answer, arrival)
    incoming_log.store(
        session, incoming_id, arrival, number, answer, codes, context.opt_out, reaction
    )
    if answer.afterwards:
        answer.afterwards(session)
    return answer


def _proves_reach(arrival: Arrival, asked: Wish | None) -> bool:
    """Tell whether a text shows that its phone can be texted.

    A START says what somebody wants; and WhatsApp comes from landlines as well.
    """
    wants = asked is not None and asked.what is OptOut.START
    return not wants and arrival.text_channel is not TextChannel.WHATSAPP


def choose(context: TextContext, asked: Wish | None) -> Answer:
    """Choose the answer: the client's switch first, then keywords, then the number's handler."""
    route = context.number.route
    if not context.number.standing.enabled:
        return Answer(messaging.empty(), Outcome.NOT_ENABLED)
    handler = TEXTS[route.handler] if route else None
    if handler is None or handler.part is Part.REPLIES:
        if context.reaction:
            return Answer(messaging.empty(), Outcome.REACTION)
        if asked:
            return _keyword_answer(context, asked)
    if route is None or handler is None:
        return Answer(messaging.empty(), Outcome.NO_ROUTE)
    answer = handler.answer(context, route)
    if handler.part is Part.HANDS_OVER:
        return answer
    if context.reaction and answer.outcome is Outcome.FORWARDED:
        return replace(answer, outcome=Outcome.REACTION)
    if asked:
        own = _keyword_answer(context, asked)
        answer = replace(
            answer, twiml=own.twiml, reply=own.reply,
            error=answer.error or own.error, flagged=answer.flagged or own.flagged,
        )  # fmt: skip
    return answer


def _keyword_answer(context: TextContext, asked: Wish) -> Answer:
    """Leave the answer to Twilio, except where Twilio leaves it to us.

    It does on a short code, and for a word that is not exactly its own; that word is confirmed
    once, not each time that it is said again.
    """
    arrival, number = context.arrival, context.number
    short_code = number.is_short_code and not arrival.opt_out_type
    if not short_code and (asked.exact or (asked.what is OptOut.STOP and not asked.changed)):
        return Answer(messaging.empty(), Outcome.KEYWORD)
    only_start = not short_code and asked.what is OptOut.START and not asked.changed
    ours = only_start or asked.blocked
    rendered = auto_reply.only_start(number) if ours else context.prepared.keyword
    if rendered is None:
        return Answer(messaging.empty(), Outcome.KEYWORD)
    # Whoever Twilio blocks asked how to come back: that is help, which the list does not keep away.
    confirmed = OptOut.HELP if asked.blocked else asked.what
    answer = auto_reply.reply(arrival, number, context.past, rendered, confirmed)
    if answer.outcome is Outcome.REPLIED:
        return replace(answer, outcome=Outcome.KEYWORD)
    return answer


def is_late(received_at: datetime) -> bool:
    """Tell whether an automatic reply to a text that came in then makes no sense any more."""
    return utcnow() - received_at > MAX_LATENESS


def _late(answer: Answer, arrival: Arrival) -> Answer:
    """Answer a text that comes from Twilio's log: there is no TwiML to answer with any more.

    The reply goes out as a message of ours instead, unless it did before a restore; after a minute
    nobody expects one.
    """
    if answer.reply is None or arrival.answered:
        return replace(answer, twiml=messaging.empty(), reply=None)
    if not is_late(arrival.received_at):
        return replace(answer, twiml=messaging.empty(), wakes="send")
    outcome = Outcome.TOO_LATE if answer.outcome is Outcome.REPLIED else answer.outcome
    return replace(answer, twiml=messaging.empty(), reply=None, outcome=outcome)


def _flag(answer: Answer, arrival: Arrival, asked: Wish | None) -> Answer:
    """Ask staff to look at what no machine may decide."""
    if asked and asked.unkept:
        return replace(answer, flagged=True, error=asked.unkept)
    if asked is None and sounds_like_stop(arrival.body):
        return replace(answer, flagged=True)
    return answer
