"""Sending once more what Twilio never got: by a person's word only, and once only."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.audience import suppression
from app.domain.sending import lanes
from app.domain.sending.messages import (
    SUPPRESSED,
    Refusal,
    check_client,
    check_recipient,
    check_sender,
)
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.communication import Callback
from app.models.credential import Credential
from app.models.message import Direction, Message, MessageReport, MessageState
from app.models.sender import Sender

AGAIN = "sentAgainAs"
"""In the details of a report: the id of the message that took this one's place."""


def may_send_again(message: Message) -> bool:
    """Tell whether a message failed without ever reaching Twilio, as far as Twilio's log knows."""
    return (
        message.direction is Direction.API
        and message.state is MessageState.FAILED
        and message.sid is None
        and bool(message.body or message.media)
    )


def sent_again_as(session: Session, message: Message) -> str | None:
    """Return the id of the message that was sent in this one's place, or None."""
    reports = session.scalars(select(MessageReport).filter_by(message_id=message.id))
    return next((one.details[AGAIN] for one in reports if AGAIN in one.details), None)


def send_again(session: Session, message_id: str, actor: str) -> Message:
    """Put a message like this one into its lane; after the commit the caller wakes ``send``.

    The new one is on its own: a batch keeps its numbers.

    :raises Refusal: when Twilio may have the first one, when this was done before, or when the
        client, the sender or the phone may not be used (any more).
    """
    first = session.scalars(select(Message).filter_by(id=message_id).with_for_update()).one()
    if not may_send_again(first):
        raise Refusal("wrong_state", "Only what never reached Twilio can be sent again.", "state")
    if sent_again_as(session, first) is not None:
        raise Refusal("wrong_state", "This was sent again already.", "state")
    client = session.get_one(Client, first.client_id)
    sender = session.get_one(Sender, first.sender_id)
    credential = session.get_one(Credential, sender.credential_id)
    check_client(client)
    check_sender(sender, credential, first.destination)
    check_recipient(client, sender, first.to, first.destination)
    listed = first.suppression_list_id
    if listed is not None and suppression.is_suppressed(session, listed, first.to, sender):
        raise Refusal("suppressed", SUPPRESSED, "to")
    second = Message(
        id=new_id(),
        lane_key=lanes.ensure_lane(session, sender, first.destination, credential),
        due_at=utcnow(),
        credential_id=credential.id,
        from_=sender.address,
        **{name: getattr(first, name) for name in _COPIED},
    )
    session.add(second)
    session.flush()
    for told in session.scalars(select(Callback).filter_by(message_id=first.id)):
        session.add(
            Callback(
                client_id=client.id, message_id=second.id, event=told.event,
                endpoint_id=told.endpoint_id,
            )
        )  # fmt: skip
    session.add(
        MessageReport(
            message_id=first.id, status=first.state.value, source="dispatch",
            details={AGAIN: second.id},
        )
    )  # fmt: skip
    audit.record(session, actor, "send again", f"message {first.id}", client.id, {AGAIN: second.id})
    return second


_COPIED = (
    "client_id", "destination", "direction", "sender_id", "to", "body", "media", "member",
    "segments", "communication_id", "template_version_id", "suppression_list_id", "options",
    "twiml_source",
)  # fmt: skip
