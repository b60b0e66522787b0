"""Who is told: the endpoint that a message, its communication or its client has chosen.

The most particular choice counts, for each event by itself: the message's own, else the
communication's, else the client's default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, SessionTransaction

from app.models.communication import Callback, CallbackEvent
from app.models.message import Message

_KEPT = "listeners"
Choices = Mapping[CallbackEvent, str]


def of_message(session: Session, message: Message, event: CallbackEvent) -> str | None:
    """Return the id of the endpoint that is told ``event`` of ``message``, or None."""
    own: Choices = {}
    if message.batch_id is None:  # a batch's messages have no callbacks of their own
        own = _choices(session, message.client_id, None, message.id)
    if event in own:
        return own[event]
    return of_communication(session, message.client_id, message.communication_id, event)


def read_ahead(session: Session, messages: Sequence[Message]) -> None:
    """Read at once the choices of several messages that :func:`of_message` will be asked for."""
    singles = [message for message in messages if message.batch_id is None]
    if not singles:
        return
    kept = _kept(session)
    for message in singles:
        kept[message.client_id, None, message.id] = {}
    found = session.execute(
        select(Callback.client_id, Callback.message_id, Callback.event, Callback.endpoint_id).where(
            Callback.message_id.in_([message.id for message in singles])
        )
    )
    for client_id, message_id, event, endpoint_id in found:
        key = (client_id, None, message_id)
        kept[key] = {**kept.get(key, {}), event: endpoint_id}


def of_communication(
    session: Session, client_id: str, communication_id: str | None, event: CallbackEvent
) -> str | None:
    """Return the id of the endpoint that is told ``event`` of a communication, or None."""
    return _choices(session, client_id, communication_id, None).get(event)


def _choices(
    session: Session, client_id: str, communication_id: str | None, message_id: str | None
) -> Choices:
    kept = _kept(session)
    key = (client_id, communication_id, message_id)
    if key not in kept:
        kept[key] = _read(session, client_id, communication_id, message_id)
    return kept[key]


def _kept(session: Session) -> dict[tuple[str | None, ...], Choices]:
    """Read the choices once per transaction: a drain settles many messages in one."""
    transaction = session.get_transaction()
    kept: tuple[SessionTransaction | None, dict[tuple[str | None, ...], Choices]] | None
    kept = session.info.get(_KEPT)
    if kept is None or kept[0] is not transaction:
        kept = (transaction, {})
        session.info[_KEPT] = kept
    return kept[1]


def _read(
    session: Session, client_id: str, communication_id: str | None, message_id: str | None
) -> Choices:
    if message_id is not None:
        chosen = Callback.message_id == message_id
    else:
        default = and_(Callback.communication_id.is_(None), Callback.message_id.is_(None))
        chosen = default
        if communication_id is not None:
            chosen = or_(default, Callback.communication_id == communication_id)
    found = session.execute(
        select(Callback.event, Callback.endpoint_id, Callback.communication_id).where(
            Callback.client_id == client_id, chosen
        )
    )
    # The client's defaults come first, so that the communication's own replace them.
    ordered = sorted(found, key=lambda row: row.communication_id is not None)
    return {row.event: row.endpoint_id for row in ordered}
