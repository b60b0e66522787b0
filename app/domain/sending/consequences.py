"""What an error code of Twilio's means beyond its own message: the phone, the sender, its owner."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from app.domain.audience import reachability, suppression
from app.domain.relaying import notices
from app.domain.sending import breaker
from app.extensions import Base, current_settings
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Message
from app.models.route import Destination
from app.models.sender import Sender
from app.models.suppression import SuppressionSource
from app.twilio import errors
from app.twilio.errors import Action


def apply(session: Session, message: Message, code: int | None, at: datetime) -> None:
    """Suppress the phone, stop the sender or account, or tell the owner, as the table says."""
    if code is None:
        return
    rule = errors.rule(code)
    if rule.action is Action.SUPPRESS and message.destination is Destination.SMS:
        _suppress(session, message, rule, at)
    elif rule.action is Action.STOP_SENDER:
        _stop(session, message, Sender, message.sender_id, rule, at)
    elif rule.action is Action.STOP_CREDENTIAL:
        _stop(session, message, Credential, message.credential_id, rule, at)
    elif rule.hold:
        breaker.hold(session, message, code, rule.retry_at(1, at) or at, at)
    elif rule.alert:
        sender = session.get_one(Sender, message.sender_id)
        _tell(
            session,
            message,
            f"Twilio reports error {code} for {sender.name or sender.address}",
            f"{rule.meaning}\n\nIt happened to a message from {sender.name or sender.address}."
            f" More: {errors.docs_url(code)}",
            f"alert:{sender.id}:{code}:{at:%Y-%m-%d}",
        )


def _suppress(session: Session, message: Message, rule: errors.Rule, at: datetime) -> None:
    """Mirror what Twilio knows: for this sender, or for its whole messaging service."""
    sender = session.get_one(Sender, message.sender_id)
    list_id = message.suppression_list_id or sender.suppression_list_id
    if list_id is None and sender.service_id is not None:
        list_id = session.get_one(Sender, sender.service_id).suppression_list_id
    if list_id is None:
        return
    to, scope = message.to, sender.service_id or sender.id
    if rule.opted_out:
        source = SuppressionSource.TWILIO
        suppression.suppress(session, list_id, to, scope=scope, source=source, at=at)
    else:
        reachability.note(session, list_id, to, scope=scope, rule=rule, at=at)


def _stop(
    session: Session,
    message: Message,
    model: type[Sender] | type[Credential],
    id_: str,
    rule: errors.Rule,
    at: datetime,
) -> None:
    """Stop all sending until support has mended it: every further text would fail as well."""
    values: dict[str, Any] = {"stopped_at": at, "stopped_reason": rule.meaning[:500]}
    if model is Credential:
        values["asked_at"] = None  # is the account still the client's? The clock asks Twilio
    stopped = session.execute(
        update(model)
        .where(model.id == id_, model.stopped_at.is_(None))
        .values(values)
        .execution_options(synchronize_session="evaluate")
    )
    if cast(CursorResult[Any], stopped).rowcount == 0:
        return
    what, name = _what_and_name(session.get_one(model, id_))
    _tell(
        session,
        message,
        f"Dispatch has stopped the {what} {name}",
        f"Twilio reports error {rule.code}: {rule.meaning}\n\nNothing is sent from it until it has"
        f" been mended and resumed; what waits goes on waiting. More:"
        f" {errors.docs_url(rule.code or 0)}",
        f"stopped:{id_}:{at.isoformat()}",
    )


def _what_and_name(stopped: Base) -> tuple[str, str]:
    if isinstance(stopped, Sender):
        return "sender", stopped.name or stopped.address
    assert isinstance(stopped, Credential)  # noqa: S101 - for the type checker
    return "Twilio account", stopped.name


def _tell(session: Session, message: Message, subject: str, text: str, dedupe_key: str) -> None:
    client = session.get_one(Client, message.client_id)
    to = (client.owner_email, current_settings().support_email)
    notices.notify(session, to, subject, text, dedupe_key=dedupe_key[:100])
