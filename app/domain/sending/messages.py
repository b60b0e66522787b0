"""What may be sent, by whom and to whom: the rules of a single message, in one place."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session, object_session

from app.domain import reach
from app.domain.content import attachments
from app.domain.phone_spellings import texted
from app.domain.reach import Refusal
from app.domain.sending import lanes
from app.domain.urls import MAX_URL
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from app.twilio import segments
from app.twiml.text import MAX_BODY, utf16_units


def check_client(client: Client) -> None:
    """Refuse everything while the client may not send at all.

    :raises Refusal: ``not_enabled`` or ``halted``.
    """
    if refusal := reach.silence(reach.standing(client)):
        raise refusal


def check_sender(sender: Sender, credential: Credential, destination: Destination) -> None:
    """Refuse a sender that cannot, or must not, send.

    :raises Refusal: ``verified_number``, ``not_verified``, ``wrong_sender`` or
        ``sender_stopped``.
    """
    if destination is Destination.SMS and sender.kind is SenderKind.VERIFIED:
        raise Refusal(
            "verified_number",
            f"{sender.address} is verified as a caller ID only: Twilio lets it place calls, but a"
            " text needs a number procured from Twilio.",
            "from",
        )
    if destination is Destination.VOICE and not sender.is_number:
        raise Refusal(
            "wrong_sender", "A messaging service cannot place calls; choose a number.", "from"
        )
    if destination is Destination.VOICE and sender.is_short_code:
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
    if reason := reach.stopping(sender, credential):
        raise Refusal("sender_stopped", reason, "from")


def check_recipient(
    client: Client,
    sender: Sender | None,
    phone: str,
    destination: Destination,
    ours: Container[str] | None = None,
) -> str:
    """Return ``phone`` in E.164 if it may be texted or called.

    :param sender: None while it is not known: then the phone alone is judged.
    :param ours: the numbers at Twilio among the phones that are asked about, where many are;
        looked up when not given.
    :raises Refusal: ``invalid_phone`` or ``not_allowed``.
    """
    session = object_session(client)
    to = reach.normalized(phone)
    if destination is Destination.SMS:
        to = texted(to)
    credential = None
    if session is not None and sender is not None:
        credential = session.get(Credential, sender.credential_id)
    if session is not None and ours is None:
        ours = reach.own_numbers(session, [to])
    standing = reach.standing(client, sender, credential)
    if refusal := reach.why_not(standing, to, destination, ours or ()):
        raise refusal
    return to


def check_content(body: str, media: Sequence[str], options: Mapping[str, Any]) -> int:
    """Return how many segments the text takes in its lane.

    A message with media, or sent as MMS, is one.

    :raises Refusal: ``empty``, ``too_long``, ``bad_text``, ``too_many_media``, ``bad_media``.
    """
    if not body.strip() and not media:
        raise Refusal("empty", "The text is empty.", "body")
    if "\x00" in body or not _is_unicode(body):
        raise Refusal("bad_text", "The text holds a character that cannot be sent.", "body")
    units = utf16_units(body)
    if units > MAX_BODY:
        raise Refusal(
            "too_long",
            f"The text has {units:,} characters; Twilio takes {MAX_BODY:,} at most.",
            "body",
        )
    if len(media) > attachments.MAX_FILES:
        raise Refusal(
            "too_many_media",
            f"There are {len(media)} media files; Twilio takes {attachments.MAX_FILES} at most.",
            "media",
        )
    for url in media:
        if not url.startswith(("https://", "http://")) or len(url) > MAX_URL:
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
    destination: Destination,
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
