"""The one place where a change of a message or a batch is announced.

Each function runs inside the transaction that made the change, once per change, and never waits
for the network. Clients' systems are told by events, each at most once (its ``dedupe_key``), to
the receiver of :mod:`app.domain.relaying.listeners`.

``status`` is only ever a word of Twilio's, and each word is told once. A report that comes after a
later one is kept in the log but not told: what a client hears never runs backwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.relaying import events, listeners, outbox
from app.domain.relaying.events import Happening
from app.models.base import utcnow
from app.models.batch import Batch
from app.models.communication import CallbackEvent
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint
from app.models.message import Message
from app.models.route import Destination
from app.twilio import errors

log = structlog.get_logger(__name__)

RECORDING_WAIT = timedelta(seconds=60)
"""How long ``completed`` waits for the recording's address, which Twilio sends a little later."""
KEYS_WAIT = timedelta(seconds=3)
"""How long it waits for keys: who presses one and hangs up has both reported at the same time."""
_FIRST = "queued"
_BEFORE_QUEUED = ("accepted", "scheduled")
_NOT_REACHED = {"failed": "failed", "undelivered": "failed", "canceled": "canceled"}


def taken(session: Session, message: Message) -> None:
    """Twilio has taken ``message``: it has its SID. Announced exactly once per message.

    This is the moment of ``message.sent``, and of the first ``message.status``, whose word is
    ``queued`` even where Twilio says ``accepted`` (as it does with a messaging service).
    """
    log.info("message taken", message=message.id, sid=message.sid)
    data = {**_about(message), "status": _FIRST}
    _tell(session, message, EventType.MESSAGE_STATUS, data, f"status:{_FIRST}")
    _tell(session, message, EventType.MESSAGE_SENT, data, "sent")


def status_changed(session: Session, message: Message) -> None:
    """Twilio's word on ``message`` has moved on to ``message.status``; it never moves back.

    Comes after :func:`taken`. With a messaging service ``queued`` can come here once more.
    """
    log.info("message status", message=message.id, status=message.status, error=message.error_code)
    status = _FIRST if message.status in _BEFORE_QUEUED else message.status or _FIRST
    data = {**_about(message), "status": status}
    wait = still_to_come(message)
    _tell(session, message, EventType.MESSAGE_STATUS, data, f"status:{status}", wait)
    if status in _NOT_REACHED and not errors.rule(message.error_code).opted_out:
        _tell_problem(session, message, _NOT_REACHED[status])


def problem(session: Session, message: Message, reason: str) -> None:
    """``message`` did not go out, or its fate is unknown.

    :param reason: ``invalid_phone, not_allowed, suppressed, template_error, refused, failed,
        unknown, canceled``; also in ``message.reason``. ``unknown`` can be followed by
        :func:`taken` or by another problem.
    """
    log.info("message problem", message=message.id, reason=reason, error=message.error_code)
    _tell_problem(session, message, reason)


def batch_complete(session: Session, batch: Batch, counts: Mapping[str, int]) -> None:
    """Nothing of ``batch`` waits or is being sent any more. Announced exactly once per batch.

    :param counts: how many of its messages, or of its members' calls, have which public status.
    """
    log.info("batch complete", batch=batch.id, total=batch.total)
    event = CallbackEvent.COMPLETE
    endpoint_id = listeners.of_communication(
        session, batch.client_id, batch.communication_id, event
    )
    if endpoint_id is None:
        return
    data = {
        "communication": batch.communication_id,
        "batch": batch.id,
        "batchId": batch.id,
        "counts": dict(counts),
    }
    outbox.tell(
        session,
        Happening(
            endpoint_id,
            EventType.COMMUNICATION_COMPLETE,
            data,
            batch.client_id,
            utcnow(),
            f"{batch.id}:complete",
        ),
    )


def more_came(session: Session, message: Message) -> None:
    """Keys, words or a recording of a call came: a ``completed`` that still waits tells them.

    It goes out as soon as nothing more is to come.
    """
    listener = listeners.of_message(session, message, CallbackEvent.MESSAGE_STATUS)
    if listener is not None and message.status == "completed":
        complete = partial(_complete, session, message, listener)
        outbox.at_commit(session, outbox.client_endpoint(listener), complete)


def _complete(session: Session, message: Message, listener: str) -> None:
    session.execute(
        select(Endpoint.id)
        .where(Endpoint.id == listener)
        .with_for_update(read=True, key_share=True)
    )
    waiting = session.scalar(
        select(Delivery)
        .where(
            Delivery.dedupe_key == events.key_of(listener, f"{message.id}:status:completed"),
            Delivery.attempts == 0,
            Delivery.state.in_((DeliveryState.PENDING, DeliveryState.HELD)),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if waiting is None:
        return
    data = {**json.loads(waiting.body)["data"], **_call_fields(message)}
    waiting.body = events.body_of(waiting.type, waiting.occurred_at, data)
    if still_to_come(message) is None and waiting.state is DeliveryState.PENDING:
        waiting.next_attempt_at = utcnow()
    session.flush()


def still_to_come(message: Message) -> timedelta | None:
    """Return how long to wait for what the TwiML of a completed call lets Twilio report to us."""
    if message.status != "completed":
        return None
    asked = message.answer_twiml or ""
    if f"/inbound/voice/recorded/{message.id}" in asked and message.recording_url is None:
        return RECORDING_WAIT
    if f"/inbound/voice/gathered/{message.id}" in asked and not (message.digits or message.speech):
        return KEYS_WAIT
    return None


def _tell_problem(session: Session, message: Message, reason: str) -> None:
    data = _about(message)
    if message.status is not None:
        data["status"] = message.status
    data["reason"] = reason
    _tell(session, message, EventType.MESSAGE_PROBLEM, data, f"problem:{reason}")


_CALLBACKS = {
    EventType.MESSAGE_STATUS: CallbackEvent.MESSAGE_STATUS,
    EventType.MESSAGE_SENT: CallbackEvent.MESSAGE_SENT,
    EventType.MESSAGE_PROBLEM: CallbackEvent.MESSAGE_PROBLEM,
}


def _tell(
    session: Session,
    message: Message,
    type: EventType,
    data: dict[str, Any],
    what: str,
    wait: timedelta | None = None,
) -> None:
    endpoint_id = listeners.of_message(session, message, _CALLBACKS[type])
    if endpoint_id is None:
        return
    now: datetime = utcnow()
    outbox.tell(
        session,
        Happening(
            endpoint_id,
            type,
            data,
            message.client_id,
            now,
            f"{message.id}:{what}",
            identity=f"{message.sid or message.id}:{what}",
            message_id=message.id,
            not_before=now + wait if wait else None,
        ),
    )


def _about(message: Message) -> dict[str, Any]:
    """Return what every event about a message says, in the names that clients read."""
    code = message.error_code
    return {
        "id": message.id,
        "sid": message.sid,
        "destination": message.destination.value,
        "to": message.to,
        "from": message.from_,
        "communication": message.communication_id,
        "batch": message.batch_id,
        "member": message.member,
        "errorCode": code,
        "errorMessage": message.error_message,
        "explanation": errors.explain(code) if code else message.error_message,
        **_call_fields(message),
    }


def _call_fields(message: Message) -> dict[str, Any]:
    """Return what is said of calls only, by Twilio's names, each where there is something."""
    if message.destination is not Destination.VOICE:
        return {}
    ended = message.status == "completed"
    found = {
        "CallDuration": message.call_duration if ended else None,
        "AnsweredBy": message.answered_by,
        "RecordingUrl": message.recording_url if ended else None,
        "Digits": message.digits,
        "SpeechResult": message.speech,
    }
    return {name: value for name, value in found.items() if value is not None}
