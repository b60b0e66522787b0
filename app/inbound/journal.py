"""Writes down what came in and how it was answered; each SID once."""

from __future__ import annotations

from datetime import timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, insert, text
from sqlalchemy.orm import Session

from app.domain.clients import spending
from app.domain.clients.spending import Amount
from app.domain.sending import lanes, statuses
from app.inbound.handlers import Answer
from app.inbound.lookup import Number, table
from app.inbound.parsing import Arrival
from app.models.base import utcnow
from app.models.credential import Credential
from app.models.incoming import Incoming, OptOut
from app.models.media import Media, MediaSource
from app.models.message import Direction, Message, MessageState
from app.models.route import Channel
from app.models.sender import Sender

_incoming = table(Incoming)
_message = table(Message)
_media = table(Media)
_TURN = text("SELECT pg_advisory_xact_lock(:key)")


def take_turn(connection: Connection, number: Number, phone: str) -> None:
    """Wait until nothing else is being decided about this phone and number.

    Until the transaction ends, repeats of the same request wait here and then find its answer, and
    counting replies is exact. SQLite has one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        digest = blake2b(f"{number.id} {phone}".encode(), digest_size=8).digest()
        connection.execute(_TURN, {"key": int.from_bytes(digest, signed=True)})


def store(
    session: Session,
    incoming_id: str,
    arrival: Arrival,
    number: Number,
    answer: Answer,
    media_codes: tuple[str, ...] = (),
    opt_out: OptOut | None = None,
    reaction: dict[str, object] | None = None,
) -> None:
    """Write the row of the text or call, before it that of its reply, and its media.

    :raises sqlalchemy.exc.IntegrityError: when the SID is in the log already.
    """
    connection = session.connection()
    if answer.reply:
        row = _reply_row(arrival, number, answer)
        if arrival.recovered:
            row |= _to_be_sent(session, number)
        connection.execute(insert(_message), row)
    connection.execute(
        insert(_incoming),
        {
            "id": incoming_id,
            "client_id": number.client.id,
            "destination": arrival.channel,
            "sid": arrival.sid,
            "sender_id": number.id,
            "from": arrival.from_,
            "to": arrival.to,
            "body": arrival.body if arrival.channel is Channel.SMS else None,
            "media": [
                {"url": item.url, "contentType": item.content_type, "code": code}
                for item, code in zip(arrival.media, media_codes, strict=True)
            ],
            "segments": arrival.segments,
            "channel": arrival.text_channel,
            "reaction": reaction,
            "parameters": arrival.details,
            "received_at": arrival.received_at,
            "recovered": arrival.recovered,
            "handler": number.route.handler if number.route else None,
            "opt_out": opt_out,
            "flagged": answer.flagged,
            "outcome": answer.outcome,
            "error": answer.error[:500] if answer.error else None,
            "answer": answer.twiml,
            "reply_id": answer.reply.message_id if answer.reply else None,
            "call_status": arrival.call_status,
        },
    )
    if media_codes:
        connection.execute(insert(_media), _media_rows(incoming_id, arrival, number, media_codes))
    if answer.counts != Amount():
        spending.add(session, {(number.client.id, number.id): answer.counts}, utcnow())


def _reply_row(arrival: Arrival, number: Number, answer: Answer) -> dict[str, Any]:
    reply = answer.reply
    if reply is None:
        raise ValueError("there is no reply to store")
    now = utcnow()
    return {
        "id": reply.message_id,
        "client_id": number.client.id,
        "destination": Channel.SMS,
        "direction": Direction.REPLY,
        "sender_id": number.id,
        "credential_id": number.credential_id,
        "to": arrival.from_,
        "from": arrival.to,
        "body": reply.body,
        "media": list(reply.media),
        "member": reply.member,
        "segments": reply.segments,
        "template_version_id": reply.template_version_id,
        "suppression_list_id": number.suppression_list_id,
        "state": MessageState.ACCEPTED,
        "accepted_at": now,
        "check_at": now + statuses.REPLY_UNHEARD_OF,
        "created_at": now,
        "updated_at": now,
    }


def _to_be_sent(session: Session, number: Number) -> dict[str, Any]:
    """Put a reply into its number's lane: the text's webhook, which it would answer, is over."""
    sender = session.get_one(Sender, number.id)
    credential = session.get_one(Credential, number.credential_id)
    return {
        "state": MessageState.WAITING,
        "accepted_at": None,
        "check_at": None,
        "lane_key": lanes.ensure_lane(session, sender, Channel.SMS, credential),
        "due_at": utcnow(),
    }


def _media_rows(
    incoming_id: str, arrival: Arrival, number: Number, codes: tuple[str, ...]
) -> list[dict[str, Any]]:
    expires = arrival.received_at + timedelta(days=number.client.retention_days)
    return [
        {
            "code": code,
            "client_id": number.client.id,
            "source": MediaSource.TWILIO,
            "content_type": item.content_type,
            "twilio_url": item.url,
            "credential_id": number.credential_id,
            "incoming_id": incoming_id,
            "expires_at": expires,
        }
        for code, item in zip(codes, arrival.media, strict=True)
    ]
