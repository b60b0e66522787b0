"""Incoming calls: Twilio's webhook of every number, and what it asks and tells afterwards."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

import structlog
from flask import Blueprint, Response
from sqlalchemy import update

from app.domain import metrics
from app.domain.clients import spending
from app.domain.sending import allowance
from app.extensions import current_settings, reading, unit_of_work
from app.inbound import call_log, calls, errors, lookup, parsing, steps, voicemail, webhook
from app.inbound.handlers import call_forward
from app.inbound.webhook import twiml
from app.models.base import ERASED, PHONE_LENGTH, utcnow
from app.models.incoming import CALL_ENDS, Incoming
from app.twiml import voice

log = structlog.get_logger(__name__)

_LATER = re.compile(
    r"/inbound/voice/(?:(?P<dialed>dialed)|step)/(?P<id>[0-9A-Z]+)(?P<recorded>/recorded)?"
)
"""The addresses at which Twilio asks for TwiML later in a call."""

blueprint = Blueprint("voice", __name__, url_prefix="/inbound/voice")
errors.for_calls(blueprint)
reports = Blueprint("voice_reports", __name__, url_prefix="/inbound/voice")
errors.for_texts(reports)


@blueprint.post("")
def receive() -> Response:
    """Answer a call: find the number, verify, parse, choose and store, answer.

    This is the fallback URL too: for what Twilio asked later in the call and had no answer to.
    """
    request = webhook.received()
    if (again := _asked_before(request)) is not None:
        return again
    with reading() as connection:
        number = lookup.for_call(connection, request.get("To").strip(), request.get("From").strip())
    request.require_signature(number.tokens if number else _tokens_of_account(request))
    call = parsing.call(request)
    if number is None:
        log.warning("call to a number that is not ours", to=call.to, account=call.account_sid)
        return twiml(voice.apology())
    request.require(AccountSid=number.account_sid)
    return twiml(calls.take_in(call, number))


def _asked_before(request: webhook.Webhook) -> Response | None:
    """Answer what never came through to an address of one of a call's steps; None of all else.

    ErrorCode is an HTTP failure (11xxx) then, and ErrorUrl that address; what the caller pressed is
    told again (Twilio, fallback URLs). What answers there verifies the request.
    """
    base = current_settings().public_base_url
    if not request.get("ErrorCode").startswith("11"):
        return None
    if not request.get("ErrorUrl").startswith(f"{base}/inbound/voice/"):
        return None
    path, _, query = request.get("ErrorUrl").removeprefix(base).partition("?")
    found = _LATER.fullmatch(path)
    if found is None:
        return None
    log.warning("a step of a call is asked for by way of the fallback", incoming=found["id"])
    if found["dialed"]:
        return dialed(found["id"])
    if found["recorded"]:
        return voicemail.recorded(found["id"])
    return steps.answer(found["id"], dict(parse_qsl(query)))


@blueprint.post("/dialed/<incoming_id>")
def dialed(incoming_id: str) -> Response:
    """Note how the call that we forwarded to ended, and tell the caller if nobody took it."""
    call = _logged(id=incoming_id) if webhook.is_id(incoming_id) else None
    if call is None:
        metrics.unknown_ids.labels("dialed").inc()
        return twiml(voice.apology())
    request = webhook.received()
    _require_call(request, call)
    status = request.get("DialCallStatus")[:32]
    with unit_of_work() as session:
        noted = session.execute(
            update(Incoming)
            .where(Incoming.id == call.id, Incoming.dial_status.is_(None))
            .values(dial_status=status)
            .returning(Incoming.client_id, Incoming.sender_id)
        ).first()
        if noted is not None:
            rest = allowance.rest_of(parsing.seconds(request.get("DialCallDuration")))
            spending.add(session, {(noted.client_id, noted.sender_id): rest}, utcnow())
    return twiml(call_forward.after(call.dial_status or status, call.later or {}))


@reports.post("/status")
def status() -> Response:
    """Note how an incoming call goes on and ends."""
    request = webhook.received()
    call = _logged(sid=request.get("CallSid"))
    if call is None:
        request.require_signature(_tokens_of_account(request))
        parsing.call_sid(request)
        metrics.unknown_ids.labels("voice_status").inc()
        return Response(status=204)
    _require_call(request, call)
    _note_status(call.id, request.get("CallStatus")[:32], request.get("CallDuration"))
    return Response(status=204)


def _logged(**key: str) -> call_log.LoggedCall | None:
    with reading() as connection:
        return call_log.logged_call(connection, **key)


def _note_status(incoming_id: str, status: str, duration: str) -> None:
    """Move the call forward; once it has ended, late reports change nothing."""
    if not status:
        return
    values: dict[str, Any] = {"call_status": status}
    if status in CALL_ENDS:
        values["ended_at"] = utcnow()
        values["call_duration"] = parsing.seconds(duration)
        values["text_back_at"] = call_log.texted_at()
    with unit_of_work() as session:
        session.execute(
            update(Incoming)
            .where(Incoming.id == incoming_id, Incoming.ended_at.is_(None))
            .values(**values)
        )


def _require_call(request: webhook.Webhook, call: call_log.LoggedCall) -> None:
    """Go on only if the request is signed for, and speaks of, this very call.

    :raises Forbidden: otherwise.
    """
    request.require_signature(call.tokens)
    request.require(AccountSid=call.account_sid, CallSid=call.sid)
    if call.from_ not in (ERASED, request.get("From").strip()[:PHONE_LENGTH]):
        request.require(From=call.from_)


def _tokens_of_account(request: webhook.Webhook) -> tuple[str, ...]:
    account_sid = request.get("AccountSid")
    if not account_sid and not request.get("To"):
        parsing.call(request)
    with reading() as connection:
        return lookup.tokens_of_account(connection, account_sid)
