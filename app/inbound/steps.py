"""The steps of a call: what Twilio asks after a key was pressed, a phone has rung, and so on.

Each is answered once and kept with its answer in one transaction: a repeat gets the same, and a
process that dies in between has done nothing. A caller hears an apology whatever else happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from flask import Blueprint, Response, request
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from app.domain import metrics
from app.domain.clients import spending
from app.domain.clients.spending import Amount
from app.domain.wake import wake
from app.extensions import reading, unit_of_work
from app.inbound import calls, errors, flow, lookup, parsing, webhook
from app.inbound.answers import Answer, CallContext, Heard
from app.inbound.flow import Lost, Step
from app.inbound.handlers import STEPS
from app.inbound.number import CallFacts, Number, RouteFacts
from app.inbound.webhook import Webhook, twiml
from app.models.base import ERASED, PHONE_LENGTH, table, utcnow
from app.models.incoming import Incoming
from app.twiml import voice

log = structlog.get_logger(__name__)

_incoming = table(Incoming)
_KEPT = (
    select(_incoming.c.flow, _incoming.c.steps)
    .where(_incoming.c.id == bindparam("id"))
    .with_for_update()
)
_STORE = update(_incoming).where(_incoming.c.id == bindparam("stored"))

TOLD_LENGTH = 200
"""Most characters kept of what somebody pressed or said."""

blueprint = Blueprint("voice_steps", __name__, url_prefix="/inbound/voice/step")
errors.for_calls(blueprint)


@blueprint.post("/<incoming_id>")
def step(incoming_id: str) -> Response:
    """Answer one step of a call, once."""
    return answer(incoming_id, request.args)


def answer(incoming_id: str, query: Mapping[str, str]) -> Response:
    """Answer the step of a call that a query names.

    The request is the step's own, or that to the fallback URL after Twilio had no answer there.
    """
    with reading() as connection:
        found = lookup.for_step(connection, incoming_id) if webhook.is_id(incoming_id) else None
    if found is None:
        metrics.unknown_ids.labels("step").inc()
        return twiml(voice.apology())
    call, number = found
    told = webhook.received()
    _require(told, call, number)
    if call.from_ == ERASED:  # in the middle of the call: nothing more is kept of it
        return twiml(voice.apology())
    try:
        asked = Step.read(query)
        document, given = _in_one_transaction(call, number, asked, told)
    except Lost as lost:
        log.warning("a call has no such step", sid=call.sid, reason=str(lost))
        return twiml(voice.apology())
    if given is not None and given.wakes:
        wake(given.wakes)
    return twiml(document)


def _require(told: Webhook, call: CallFacts, number: Number) -> None:
    """Go on only if the request is signed for, and speaks of, this call or a leg of it.

    The phone of somebody who is rung has a call of its own, whose ParentCallSid is the caller's
    (Twilio, <Number url>).

    :raises Forbidden: otherwise.
    """
    told.require_signature(number.tokens)
    told.require(AccountSid=number.account_sid)
    if told.get("ParentCallSid") == call.sid:
        return
    told.require(CallSid=call.sid)
    if call.from_ not in (ERASED, told.get("From").strip()[:PHONE_LENGTH]):
        told.require(From=call.from_)


def _in_one_transaction(
    call: CallFacts, number: Number, asked: Step, told: Webhook
) -> tuple[str, Answer | None]:
    """Return the TwiML; and the answer, unless it was given before.

    :raises Lost: when the call has no such step.
    """
    with unit_of_work() as session:
        kept = session.connection().execute(_KEPT, {"id": call.id}).one()
        if kept.flow is None:
            raise Lost("The call has no steps.")
        before = kept.steps or {}
        if asked.key in before:
            return before[asked.key]["twiml"], None
        context = CallContext(
            session, call.id, parsing.step(told, call, number.account_sid), number, asked.at
        )
        given = {key: one["twiml"] for key, one in before.items()}
        context, answer = answered(context, flow.read(kept.flow), asked, told, given)
        _store(session, context, answer, {**before, asked.key: _kept(context, told, answer)})
    return answer.twiml, answer


def _kept(context: CallContext, told: Webhook, answer: Answer) -> dict[str, Any]:
    """Return what is kept of a step: for its repeat, and for people who read how the call went."""
    said = (told.get(name) for name in ("Digits", "SpeechResult", "DialCallStatus"))
    return {
        "twiml": answer.twiml,
        "at": utcnow().isoformat(),
        "told": next(filter(None, said), "")[:TOLD_LENGTH],
        "place": list(context.at),
    }


def answered(
    context: CallContext,
    root: RouteFacts,
    asked: Step,
    told: Webhook,
    before: Mapping[str, str],
) -> tuple[CallContext, Answer]:
    """Return what is answered at a step, and where the call is then; nothing is stored.

    :param before: what was answered at the steps before, by :attr:`Step.key`.
    :raises Lost: when the call has no such step.
    """
    route = flow.find(root, asked.at)
    if route.handler not in STEPS:
        raise Lost(f"“{route.handler}” has no steps.")
    if barred := calls.barrier(context.number):
        return context, barred
    found = STEPS[route.handler](context, route, Heard(asked.what, asked.turn, told, before))
    context, answer = calls.arrived(context, route, found)
    return context, replace(answer, text_back=flow.text_back(root, context.at))


def _store(
    session: Session, context: CallContext, answer: Answer, steps: dict[str, dict[str, Any]]
) -> None:
    values: dict[str, Any] = {
        "steps": steps,
        "path": context.path,
        "outcome": answer.outcome,
        "text_back_id": answer.text_back,
    }
    if answer.error:
        values["error"] = answer.error[:500]
    if answer.flagged:
        values["flagged"] = True
    if answer.dial_status:
        values["dial_status"] = answer.dial_status
    if answer.later is not None:
        values["later"] = answer.later
    session.connection().execute(_STORE, {"stored": context.incoming_id, **values})
    if answer.call_minutes:
        number = context.number
        amount = Amount(call_minutes=answer.call_minutes)
        spending.add(session, {(number.client.id, number.id): amount}, utcnow())
    if answer.afterwards:
        answer.afterwards(session)
