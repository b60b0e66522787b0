"""What may be sent, by whom and to whom: the rules of a single message, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session, object_session

from app.domain import phones
from app.domain.audience import suppression
from app.domain.content import attachments
from app.domain.relaying import announcements
from app.domain.relaying.callbacks import CallbacksSpec, save_callbacks
from app.domain.sending import lanes
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.communication import Communication
from app.models.credential import Credential
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Channel
from app.models.sender import Sender, SenderKind
from app.twilio import segments

MAX_MEDIA_URL = 2048
_TEST_NUMBERS = "+1500555"
"""Twilio's magic numbers: they work with test credentials only, whose senders they are too."""

_REASONS = {"invalid_phone", "not_allowed", "suppressed", "template_error"}


class Refusal(ValueError):
    """A message that may not go out: a code for programs and a sentence for people.

    ``field`` is the part of a request that is at fault (``to``, ``from``, ``body``, ``media``,
    ``client``).
    """

    def __init__(self, code: str, sentence: str, field: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.field = field

    @property
    def reason(self) -> str:
        """The reason as ``message.problem`` names it."""
        return self.code if self.code in _REASONS else "refused"


def check_client(client: Client) -> None:
    """Refuse everything while the client may not send at all.

    :raises Refusal: ``not_enabled`` or ``halted``.
    """
    if not client.twilio_enabled:
        raise Refusal(
            "not_enabled",
            f"Twilio is not enabled for {client.name}; ask support to enable it.",
            "client",
        )
    if client.halted_at is not None:
        raise Refusal(
            "halted", f"Support has stopped all sending of {client.name}; ask support.", "client"
        )


def check_sender(sender: Sender, credential: Credential, destination: Channel) -> None:
    """Refuse a sender that cannot, or must not, send.

    :raises Refusal: ``verified_number``, ``not_verified``, ``wrong_sender`` or
        ``sender_stopped``.
    """
    if destination is Channel.SMS and sender.kind is SenderKind.VERIFIED:
        raise Refusal(
            "verified_number",
            f"{sender.address} is verified as a caller ID only: Twilio lets it place calls, but a"
            " text needs a number procured from Twilio.",
            "from",
        )
    if destination is Channel.VOICE and not sender.is_number:
        raise Refusal(
            "wrong_sender", "A messaging service cannot place calls; choose a number.", "from"
        )
    if destination is Channel.VOICE and sender.is_short_code:
        raise Refusal(
            "wrong_sender", f"{sender.address} is a short code, which places no calls.", "from"
        )
    if sender.kind is SenderKind.VERIFIED and sender.verified_at is None:
        raise Refusal(
            "not_verified",
            f"{sender.address} has not been verified with Twilio yet; support verifies it by a"
            " call to that number.",
            "from",
        )
    stopped = sender if sender.stopped_at else credential if credential.stopped_at else None
    if stopped is not None:
        raise Refusal(
            "sender_stopped",
            f"{sender.name or sender.address} has been stopped: {stopped.stopped_reason}",
            "from",
        )


def check_recipient(client: Client, sender: Sender | None, phone: str, destination: Channel) -> str:
    """Return ``phone`` in E.164 if it may be texted or called.

    :param sender: None while it is not known: then the phone alone is judged.
    :raises Refusal: ``invalid_phone`` or ``not_allowed``.
    """
    try:
        to = phones.normalize(phone)
    except phones.InvalidPhone as error:
        raise Refusal("invalid_phone", error.reason, "to") from error
    kind: phones.Destination = "voice" if destination is Channel.VOICE else "sms"
    refused = phones.refusal(to, client.international, kind)
    trial = None if to in client.allow_list else _trial(client, sender)
    if refused is None and trial is not None:
        refused = f"{to} is not on the allow-list, and {trial}."
    if refused is None and sender is not None and to == sender.address:
        refused = f"{to} is the sender itself."
    if (
        refused is None
        and sender is not None
        and to.startswith(_TEST_NUMBERS)
        and not sender.address.startswith(_TEST_NUMBERS)
    ):
        refused = f"{to} is one of Twilio's test numbers, which work with test credentials only."
    if refused is not None:
        raise Refusal("not_allowed", refused, "to")
    return to


def _trial(client: Client, sender: Sender | None) -> str | None:
    """Say what is on trial, so that only the client's allow-list is reached; None if nothing is.

    Twilio's trial accounts reach verified phones only: those belong on the allow-list.
    """
    if client.trial:
        return f"{client.name} is on trial"
    session = object_session(sender) if sender is not None else None
    if session is None or sender is None:
        return None
    credential = session.get(Credential, sender.credential_id)
    if credential is not None and credential.trial:
        return f"the Twilio account of the credential “{credential.name}” is a trial account"
    return None


def check_content(body: str, media: Sequence[str], options: Mapping[str, Any]) -> int:
    """Return how many segments the text takes in its lane.

    A message with media, or sent as MMS, is one.

    :raises Refusal: ``empty``, ``too_long``, ``bad_text``, ``too_many_media``, ``bad_media``.
    """
    if not body.strip() and not media:
        raise Refusal("empty", "The text is empty.", "body")
    if "\x00" in body or not _is_unicode(body):
        raise Refusal("bad_text", "The text holds a character that cannot be sent.", "body")
    units = segments.utf16_units(body)
    if units > segments.MAX_BODY:
        raise Refusal(
            "too_long",
            f"The text has {units:,} characters; Twilio takes {segments.MAX_BODY:,} at most.",
            "body",
        )
    if len(media) > attachments.MAX_FILES:
        raise Refusal(
            "too_many_media",
            f"There are {len(media)} media files; Twilio takes {attachments.MAX_FILES} at most.",
            "media",
        )
    for url in media:
        if not url.startswith(("https://", "http://")) or len(url) > MAX_MEDIA_URL:
            raise Refusal("bad_media", f"{url[:100]!r} is not an http(s) address.", "media")
    if media or options.get("sendAsMms"):
        return 1
    text = segments.smart_encode(body) if options.get("smartEncoded") else body
    return segments.measure(text).segments


def check_media(
    session: Session,
    client_id: str,
    media: Sequence[str],
    looks: Mapping[str, attachments.Look] | None = None,
) -> None:
    """Refuse files that Twilio will not take, by type or size.

    :raises Refusal: ``bad_media`` or ``media_too_large``, for the first of them.
    """
    for mistake in attachments.inspect(session, client_id, media, looks).mistakes:
        raise Refusal(mistake.code, mistake.message, mistake.field)


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
    due_at: datetime | None = None,
    looks: Mapping[str, attachments.Look] | None = None,
) -> Message:
    """Put one text into its sender's lane; after the commit the caller wakes ``send``.

    A phone on the suppression list of the number, or of its messaging service, gives a message
    that is ``suppressed`` from the start.

    :param options: ``validityPeriod`` (seconds), ``sendAsMms``, ``smartEncoded``.
    :param callbacks: who is told of this message, in place of the client's defaults.
    :param due_at: not to be sent before this; now when not given.
    :param looks: what is known of media that are served elsewhere.
    :raises Refusal: when the client, sender, phone or text may not be sent; nothing is stored.
    :raises app.domain.mistakes.Refused: when the callbacks name what does not exist.
    """
    options = dict(options or {})
    credential = session.get_one(Credential, sender.credential_id)
    check_client(client)
    check_sender(sender, credential, Channel.SMS)
    number = check_recipient(client, sender, to, Channel.SMS)
    check_media(session, client.id, media, looks)
    message = Message(
        id=new_id(),
        client_id=client.id,
        destination=Channel.SMS,
        sender_id=sender.id,
        credential_id=credential.id,
        to=number,
        from_=sender.address,
        body=body,
        media=list(media),
        member=dict(member) if member is not None else None,
        segments=check_content(body, media, options),
        communication_id=communication.id if communication else None,
        suppression_list_id=list_for(session, sender, communication),
        options=options,
        state=MessageState.WAITING,
        lane_key=lanes.ensure_lane(session, sender, Channel.SMS, credential),
        due_at=due_at or utcnow(),
    )
    listed = message.suppression_list_id
    suppressed = listed is not None and suppression.is_suppressed(session, listed, number, sender)
    if suppressed:
        message.state = MessageState.SUPPRESSED
        message.reason = "suppressed"
        message.error_message = SUPPRESSED
    session.add(message)
    session.flush()
    if callbacks is not None:
        save_callbacks(session, client.id, callbacks, message=message)
    if suppressed:
        session.add(MessageReport(message_id=message.id, status="suppressed", source="dispatch"))
        announcements.problem(session, message, "suppressed")
    return message


SUPPRESSED = "This phone has opted out of texts from this sender."


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


def _is_unicode(text: str) -> bool:
    """Tell whether ``text`` can be written in UTF-8: halves of surrogate pairs cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
