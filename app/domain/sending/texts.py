"""Single texts: one to one person, put into its lane at once, or at an hour that was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.domain.audience import in_force
from app.domain.content import attachments
from app.domain.conversations import record
from app.domain.reach import Refusal
from app.domain.relaying import announcements
from app.domain.relaying.callbacks import CallbacksSpec, save_callbacks
from app.domain.sending import allowance
from app.domain.sending.messages import address, check_content, check_media
from app.models.base import utcnow
from app.models.client import Client
from app.models.communication import Communication
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination
from app.models.sender import Sender

LATEST = timedelta(days=366)
"""How far ahead a text may be put off, as a batch."""
TOO_LATE = f"A text can wait for {LATEST.days} days at most."
FILES_AFTERWARDS = timedelta(days=2)
"""For how long after its hour Twilio can still fetch the files of a text."""


def queue_text(
    session: Session,
    client: Client,
    sender: Sender,
    to: str,
    *,
    body: str,
    media: Sequence[str] = (),
    member: Mapping[str, Any] | None = None,
    communication: Communication | None = None,
    options: Mapping[str, Any] | None = None,
    callbacks: CallbacksSpec | None = None,
    send_at: datetime | None = None,
    looks: Mapping[str, attachments.Look] | None = None,
    author: str | None = None,
) -> Message:
    """Put one text into its sender's lane; after the commit the caller wakes ``send``.

    A phone on the suppression list of the number, or of its messaging service, gives a message
    that is ``suppressed`` from the start.

    :param options: ``validityPeriod`` (seconds), ``sendAsMms``, ``smartEncoded``.
    :param callbacks: who is told of this message, in place of the client's defaults.
    :param send_at: when it is to go; at once when not given, or when that has passed.
    :param looks: what is known of media that are served elsewhere.
    :param author: whose word it is, where somebody answers in a conversation.
    :raises Refusal: when the client, sender, phone or text may not be sent, and the caller's
        transaction is not to be kept; ``Limited`` is one, when a limit of the client is reached.
    :raises app.domain.mistakes.Refused: when the callbacks name what does not exist.
    """
    options = dict(options or {})
    message = address(session, client, sender, to, Destination.SMS)
    check_media(session, client.id, media, looks)
    message.body = body
    message.media = list(media)
    message.author = author
    message.options = options
    message.segments = check_content(body, media, options)
    message.member = dict(member) if member is not None else None
    message.communication_id = communication.id if communication else None
    message.suppression_list_id = list_for(session, sender, communication)
    if send_at is not None:
        _hold_until(session, message, send_at)
    session.add(message)
    session.flush()
    if callbacks is not None:
        save_callbacks(session, client.id, callbacks, message=message)
    _suppress(session, message, sender)
    if message.state is MessageState.WAITING and not message.is_held:
        take_on(session, client, sender, message)
    return message


def take_on(session: Session, client: Client, sender: Sender, message: Message) -> None:
    """Let a text that is in its lane count: in its conversation, and against the limits.

    :raises app.domain.clients.spending.Limited: when a limit of the client is reached.
    """
    _note_in_conversation(session, message, sender)
    allowance.accept(session, client, message)


def _hold_until(session: Session, message: Message, send_at: datetime) -> None:
    """Let a text wait for its hour, outside of all lanes; its files are kept for as long.

    :raises Refusal: when that is too far ahead.
    """
    now = utcnow()
    if send_at > now + LATEST:
        raise Refusal("too_late", TOO_LATE, "sendAt")
    if send_at > now:
        message.send_at, message.lane_key, message.due_at = send_at, None, None
        until = send_at + FILES_AFTERWARDS
        attachments.keep_until(session, message.client_id, message.media, until)


def _note_in_conversation(session: Session, message: Message, sender: Sender) -> None:
    """Let the conversation show the text; which one a messaging service is in, nobody knows yet.

    Before what is spent is counted, in which order whoever answers Twilio takes the same turns.
    """
    if sender.is_number:
        record.take_turn(session.connection(), sender.id, message.to)
        record.wrote(
            session, message.client_id, sender.id, message.to, message.body or "", utcnow()
        )


def list_for(session: Session, sender: Sender, communication: Communication | None) -> str | None:
    """Return the suppression list that counts: the communication's, else the sender's.

    A communication that names none is not filtered, as the requirements say. A number without a
    list of its own uses its messaging service's.
    """
    if communication is not None:
        return communication.suppression_list_id
    if sender.suppression_list_id is None and sender.service_id is not None:
        return session.get_one(Sender, sender.service_id).suppression_list_id
    return sender.suppression_list_id


def _suppress(session: Session, message: Message, sender: Sender) -> None:
    """End a message to a phone that is on its list already."""
    list_id = message.suppression_list_id
    listed = in_force.why_suppressed(session, list_id, message.to, sender)
    if listed is None:
        return
    message.state = MessageState.SUPPRESSED
    message.reason = "suppressed"
    message.error_code, message.error_message = listed.code, listed.sentence[:500]
    session.add(
        MessageReport(
            message_id=message.id, status="suppressed", source="dispatch", error_code=listed.code
        )
    )
    announcements.problem(session, message, "suppressed")
