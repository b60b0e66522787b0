"""Reading from the database what a try sends, before it is made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from cryptography.fernet import InvalidToken
from sqlalchemy import or_, select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from app.domain import addresses
from app.models.credential import Credential, SavedCredential
from app.models.delivery import Delivery, EventType
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret
from app.models.incoming import Incoming
from app.models.media import Media
from app.models.sender import Sender
from app.models.voicemail import Voicemail
from app.outbound.relay.letter import Letter, MediaFile

log = structlog.get_logger(__name__)
_OF_VOICEMAIL = (EventType.VOICEMAIL_RECEIVED, EventType.VOICEMAIL_TRANSCRIBED)


def letter(
    session: Session,
    delivery: Delivery,
    endpoint: Endpoint,
    secrets: tuple[str, ...] | None = None,
) -> Letter:
    """Return what the delivery's next try sends.

    :param secrets: a webhook's signing secrets; None if they cannot be read.
    """
    try:
        return _letter(session, delivery, endpoint, secrets)
    except (InvalidToken, NoResultFound) as error:
        # One delivery that cannot be read must not keep the others from being claimed.
        log.error("a delivery cannot be read", delivery=delivery.id, error=type(error).__name__)
        return Letter(
            delivery.event_id, delivery.type.value, delivery.content, {}, delivery.created_at,
            endpoint.url,
            problem="A secret or another row that this delivery needs could not be read; support"
            " must check ENCRYPTION_KEYS.",
        )  # fmt: skip


def _letter(
    session: Session,
    delivery: Delivery,
    endpoint: Endpoint,
    secrets: tuple[str, ...] | None,
) -> Letter:
    kind = endpoint.kind
    media, twilio = _media(session, delivery) if kind is EndpointKind.EMAIL else ((), None)
    if kind is EndpointKind.WEBHOOK and secrets is None:
        raise InvalidToken
    return Letter(
        event_id=delivery.event_id,
        type=delivery.type.value,
        body=delivery.content,
        context=delivery.context,
        created_at=delivery.created_at,
        url=endpoint.url,
        delivery_id=delivery.id,
        method=endpoint.method,
        secrets=secrets or (),
        **_login(session, endpoint),
        networks=addresses.networks_for(endpoint.denied_networks or ()),
        media=media,
        twilio=twilio,
    )


def secrets_of(session: Session, endpoint: Endpoint, now: datetime) -> tuple[str, ...] | None:
    """Return the signing secrets that are valid, the current one first; None if unreadable."""
    try:
        return _secrets(session, endpoint, now)
    except InvalidToken:
        return None


def _secrets(session: Session, endpoint: Endpoint, now: datetime) -> tuple[str, ...]:
    return tuple(
        session.scalars(
            select(EndpointSecret.secret)
            .where(
                EndpointSecret.endpoint_id == endpoint.id,
                or_(EndpointSecret.expires_at.is_(None), EndpointSecret.expires_at > now),
            )
            .order_by(EndpointSecret.expires_at.isnot(None), EndpointSecret.created_at.desc())
        )
    )


def _login(session: Session, endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.saved_credential_id is None:
        return {}
    saved = session.get_one(SavedCredential, endpoint.saved_credential_id)
    return {"login": (saved.username, saved.password), "origins": tuple(saved.origins)}


def _media(
    session: Session, delivery: Delivery
) -> tuple[tuple[MediaFile, ...], tuple[str, str] | None]:
    """Return what came with the text that a mail is about, and the log-in to fetch it with."""
    if delivery.incoming_id is None:
        return (), None
    if delivery.type in _OF_VOICEMAIL:
        return _sound(session, delivery), None
    incoming = session.get_one(Incoming, delivery.incoming_id)
    files = tuple(
        MediaFile(item["code"], item["url"], item["contentType"]) for item in incoming.media
    )
    if not files:
        return (), None
    credential = session.scalars(
        select(Credential)
        .join(Sender, Sender.credential_id == Credential.id)
        .where(Sender.id == incoming.sender_id)
    ).one()
    return files, (credential.account_sid, credential.auth_token)


def _sound(session: Session, delivery: Delivery) -> tuple[MediaFile, ...]:
    """Return the voice message that a mail is about, while it is kept."""
    found = session.execute(
        select(Media.code, Media.content_type)
        .join(Voicemail, Voicemail.media_code == Media.code)
        .where(Voicemail.id == delivery.context.get("voicemail"))
    )
    return tuple(MediaFile(row.code, None, row.content_type) for row in found)


def content(session: Session, code: str) -> bytes | None:
    """Return the bytes of a file that is kept here, if it still is."""
    return session.scalar(select(Media.content).where(Media.code == code))
