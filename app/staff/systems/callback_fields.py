"""Which system is told of what, as fields of a form: for a communication, or a client's default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import request
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.mistakes import Refused
from app.domain.relaying import callbacks
from app.models.communication import OF_CLIENT_ONLY, Callback, CallbackEvent
from app.models.credential import SavedCredential
from app.models.endpoint import Endpoint, EndpointKind

WORDS: dict[CallbackEvent, tuple[str, str]] = {
    CallbackEvent.MESSAGE_STATUS: (
        "Each change of a message",
        "Sent, delivered, failed, answered: whatever Twilio reports.",
    ),
    CallbackEvent.MESSAGE_SENT: ("Each message that Twilio has taken", ""),
    CallbackEvent.MESSAGE_PROBLEM: (
        "Each person who gets nothing",
        "Opted out, no valid phone, something missing, refused by Twilio.",
    ),
    CallbackEvent.COMPLETE: ("The end of a batch", "When nothing is left to be sent."),
    CallbackEvent.MAIL_BOUNCED: (
        "Each mail that comes back",
        "Of those that forward texts to people, where Dispatch reads what comes back.",
    ),
    CallbackEvent.CONVERSATION_ASSIGNED: (
        "Each conversation that somebody takes or gives back",
        "By a page or by one of your systems.",
    ),
}
OF_A_COMMUNICATION = tuple(event for event in CallbackEvent if event not in OF_CLIENT_ONLY)
NOBODY, PLAIN = "", "url"


@dataclass
class CallbackField:
    """One event with what was chosen for it: an endpoint's name, a plain URL, or nobody."""

    event: CallbackEvent
    chosen: str = NOBODY
    url: str = ""
    method: str = "POST"
    credential: str = ""

    @property
    def label(self) -> str:
        """The event in words."""
        return WORDS[self.event][0]

    @property
    def hint(self) -> str:
        """What belongs to it."""
        return WORDS[self.event][1]


@dataclass(frozen=True)
class Choices:
    """What may be chosen: the names of the client's endpoints and saved credentials."""

    endpoints: list[str]
    credentials: list[str]


def saved(session: Session, client_id: str, communication_id: str | None) -> list[CallbackField]:
    """Return the fields as they are stored."""
    rows = session.scalars(
        select(Callback).filter_by(
            client_id=client_id, communication_id=communication_id, message_id=None
        )
    )
    stored = {row.event: callbacks.describe(session, row) for row in rows}
    events = tuple(CallbackEvent) if communication_id is None else OF_A_COMMUNICATION
    return [_field(event, stored.get(event)) for event in events]


def _field(event: CallbackEvent, data: dict[str, Any] | None) -> CallbackField:
    if data is None:
        return CallbackField(event)
    if "endpoint" in data:
        return CallbackField(event, f"endpoint:{data['endpoint']}")
    return CallbackField(event, PLAIN, data["url"], data["method"], data.get("credential", ""))


def typed(events: Iterable[CallbackEvent] = OF_A_COMMUNICATION) -> list[CallbackField]:
    """Return the fields as they were sent, of a communication unless told otherwise."""
    form = request.form
    return [
        CallbackField(
            event,
            form.get(f"callback-{event}", NOBODY),
            form.get(f"callback-{event}-url", "").strip(),
            form.get(f"callback-{event}-method", "POST"),
            form.get(f"callback-{event}-credential", ""),
        )
        for event in events
    ]


def as_written(fields: list[CallbackField]) -> dict[str, Any]:
    """Return the fields in the shape in which callbacks are written down; null is nobody."""
    return {field.event.value: _written(field) for field in fields}


def _written(field: CallbackField) -> dict[str, str] | None:
    if field.chosen == NOBODY:
        return None
    if field.chosen != PLAIN:
        return {"endpoint": field.chosen.removeprefix("endpoint:")}
    data = {"url": field.url, "method": field.method}
    return {**data, "credential": field.credential} if field.credential else data


def sentences(refused: Refused) -> list[str]:
    """Return what is wrong, naming the event that it is about."""
    named = []
    for mistake in refused.mistakes:
        places = [part for part in mistake.path if part in set(CallbackEvent)]
        about = f"{WORDS[CallbackEvent(places[0])][0]}: " if places else ""
        named.append(f"{about}{mistake.message}")
    return named


def choices(session: Session, client_id: str) -> Choices:
    """Return what may be chosen."""
    endpoints = select(Endpoint.name).where(
        Endpoint.client_id == client_id, Endpoint.kind == EndpointKind.WEBHOOK
    )
    credentials = select(SavedCredential.name).where(SavedCredential.client_id == client_id)
    return Choices(
        list(session.scalars(endpoints.order_by(Endpoint.name))),
        list(session.scalars(credentials.order_by(SavedCredential.name))),
    )
