"""Calls of ours, and what Twilio asks and tells about them."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.sending import calls
from app.models.base import new_id
from app.models.client import Client
from app.models.communication import Callback, CallbackEvent, MachineDetection
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from tests.support.house import House, furnish, text
from tests.support.relay import AS_RECORDED
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, Twilio

SID = "CA" + "0123456789abcdef" * 2
TEMPLATE = (
    "<Response><Say>Hello {{ toName }}.</Say>"
    "{% if AnsweredBy == 'machine' %}<Say>Please call back.</Say>{% endif %}"
    "{% if AnsweredBy == 'human' %}<Say>How are you?</Say>{% endif %}</Response>"
)
FOR_ALL = "<Response><Say>Hello Ann.</Say></Response>"


def listening(rows: Rows) -> House:
    """Add a client whose endpoint is told each status."""
    made = furnish(rows)
    endpoint = Endpoint(
        client_id=made.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    rows.add(
        Callback(
            client_id=made.client.id, event=CallbackEvent.MESSAGE_STATUS, endpoint_id=endpoint.id
        )
    )
    return made


def call(rows: Rows, house: House, source: str = TEMPLATE, **columns: Any) -> Message:
    """Add a call that Twilio has taken, unless told otherwise."""
    values = {
        "state": MessageState.ACCEPTED, "sid": SID, "status": "queued", "options": {},
        "member": {"toName": "Ann"}, "twiml_source": source, **columns,
    }  # fmt: skip
    message = text(
        house, id=new_id(), destination=Destination.VOICE, body=FOR_ALL, segments=0,
        lane_key=f"voice:{ACCOUNT_SID}", **values,
    )  # fmt: skip
    rows.add(message)
    return message


def parameters(**changes: str) -> dict[str, str]:
    """What Twilio sends about an outgoing call ("TwiML voice: Twilio's request parameters")."""
    return {
        "CallSid": SID,
        "AccountSid": ACCOUNT_SID,
        "From": "+13195550100",
        "To": "+13195550150",
        "Caller": "+13195550100",
        "Called": "+13195550150",
        "CallStatus": "in-progress",
        "Direction": "outbound-api",
        "ApiVersion": "2010-04-01",
        **changes,
    }


def answer(twilio: Twilio, message: Message, **changes: str) -> Any:
    return twilio.post(f"/inbound/voice/answer/{message.id}", parameters(**changes))


def status(twilio: Twilio, message: Message, word: str, number: int, **changes: str) -> Any:
    form = parameters(
        CallStatus=word, SequenceNumber=str(number), CallbackSource="call-progress-events",
        Timestamp="Sat, 21 Nov 2026 12:00:00 +0000", **changes,
    )  # fmt: skip
    return twilio.post(f"/inbound/voice/status/{message.id}", form)


def told(rows: Rows) -> list[dict[str, Any]]:
    deliveries = rows.all(select(Delivery).order_by(*AS_RECORDED))
    return [json.loads(one.body)["data"] for one in deliveries]


def queued(
    session: Session,
    client: Client,
    sender: Sender,
    to: str,
    *,
    source: str,
    member: dict[str, Any] | None = None,
    machine_detection: MachineDetection = MachineDetection.OFF,
    **more: Any,
) -> Message:
    """Render a call and put it into its lane."""
    script = calls.script(source, member, machine_detection)
    return calls.queue_call(session, client, sender, to, script=script, **more)


def told_by(session: Session, message: Message, answered_by: str | None) -> str:
    """Return what the answered call is told, as the route does it."""
    return calls.answer(session, message, calls.choose(session, message, answered_by))
