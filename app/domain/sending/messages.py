"""What may be sent, by whom and to whom: the rules of a single message, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session, object_session

from app.domain import phones
from app.domain.content import attachments
from app.domain.sending import lanes
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.models.route import Channel
from app.models.sender import Sender, SenderKind
from app.twilio import segments

MAX_MEDIA_URL = 2048
_TEST_NUMBERS = "+1500555"
"""Twilio's magic numbers: they work with test credentials only, whose senders they are too."""

SUPPRESSED = "This phone has opted out of texts from this sender."
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
            f"{sender.address} has not been verified with Twilio yet: an owner has that done on the"
            " page Numbers, by a call to that number.",
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


def address(
    session: Session,
    client: Client,
    sender: Sender,
    to: str,
    destination: Channel,
    due_at: datetime | None = None,
) -> Message:
    """Make a message that waits in its lane and has nothing to say yet; it is not stored.

    :param due_at: not to be sent before this; now when not given.
    :raises Refusal: when the client, sender or phone may not be used.
    """
    credential = session.get_one(Credential, sender.credential_id)
    check_client(client)
    check_sender(sender, credential, destination)
    return Message(
        id=new_id(),
        client_id=client.id,
        destination=destination,
        sender_id=sender.id,
        credential_id=credential.id,
        to=check_recipient(client, sender, to, destination),
        from_=sender.address,
        state=MessageState.WAITING,
        lane_key=lanes.ensure_lane(session, sender, destination, credential),
        due_at=due_at or utcnow(),
    )


def _is_unicode(text: str) -> bool:
    """Tell whether ``text`` can be written in UTF-8: halves of surrogate pairs cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
