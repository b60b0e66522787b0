"""Answering in a conversation: a single text from the number that was texted, by a person.

It is a text like any other, and goes by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.domain.audience import contacts, in_force, members
from app.domain.content import attachments
from app.domain.conversations import record
from app.domain.reach import Refusal, suppressed
from app.domain.sending import messages, texts
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import ConversationState
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender


def why_not(session: Session, client: Client, number: Sender, phone: str) -> Refusal | None:
    """Return why nobody can be answered there just now, whatever is said; None where one can."""
    try:
        messages.check_client(client)
        credential = session.get_one(Credential, number.credential_id)
        messages.check_sender(number, credential, Destination.SMS)
        to = messages.check_recipient(client, number, phone, Destination.SMS)
    except Refusal as refusal:
        return refusal
    list_id = texts.list_for(session, number, None)
    listed = in_force.why_suppressed(session, list_id, to, number)
    return suppressed(listed) if listed is not None else None


def known_of(session: Session, client: Client, number: Sender, phone: str) -> dict[str, Any]:
    """Return what is known of whoever has a phone: of the last contact, else of the only person
    of the client's lists who has it."""
    contact = contacts.find(session, client.id, phone, number)
    listed = members.only_person(session, client.id, phone) or {}
    return {**listed, **((contact.member if contact else None) or {})}


def reply(
    session: Session,
    client: Client,
    number: Sender,
    phone: str,
    *,
    body: str,
    media: Sequence[str] = (),
    looks: Mapping[str, attachments.Look] | None = None,
    send_at: datetime | None = None,
    by: str,
) -> Message:
    """Answer ``phone``; nobody waits any more then. After the commit the caller wakes ``send``.

    What is known of the person goes along, so that it is known of their next text as well.

    :param send_at: the hour at which it goes, and until which they wait; at once when not given.
    :param by: the person or API key whose word it is.
    :raises Refusal: as :func:`app.domain.sending.texts.queue_text` does.
    """
    contact = contacts.find(session, client.id, phone, number)
    message = texts.queue_text(
        session, client, number, phone, body=body, media=media, looks=looks,
        member=contact.member if contact else None, author=by, send_at=send_at,
    )  # fmt: skip
    if message.state is MessageState.WAITING and not message.is_held:
        record.end_waiting(session, number.id, message.to, ConversationState.ANSWERED, utcnow())
    return message
