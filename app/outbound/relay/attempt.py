"""One try: read what is to be sent, send it, write down what came of it.

Nothing is held open meanwhile: neither a transaction nor a database connection.
"""

from __future__ import annotations

import time
from datetime import datetime

import structlog
from flask import Flask
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.domain.addresses import Network
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.credential import Credential, SavedCredential
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret
from app.models.incoming import Incoming
from app.models.sender import Sender
from app.outbound.relay import mail, settle
from app.outbound.relay.claim import Lease
from app.outbound.relay.letter import Letter, MediaFile
from app.outbound.relay.outcome import Outcome
from app.outbound.relay.post import call_plain, post_signed
from app.outbound.relay.transport import LIMITS, Limits

log = structlog.get_logger(__name__)

VERSION = "1.0"


def attempt(app: Flask, lease: Lease, limits: Limits = LIMITS) -> None:
    """Make the try that ``lease`` gives the right to, and settle it."""
    with app.app_context():
        started_at, began = utcnow(), time.monotonic()
        kind, letter = _read(db.session(), lease, started_at)
        db.session.remove()
        try:
            outcome = _send(kind, letter, started_at, limits)
        except Exception as error:
            # A defect of ours must not take the delivery down with it: it is tried again.
            log.exception("a try failed inside", delivery=lease.delivery_id)
            outcome = Outcome(letter.url, error="lost", detail=f"We failed: {type(error).__name__}")
        outcome.duration_ms = outcome.duration_ms or round((time.monotonic() - began) * 1000)
        with unit_of_work() as session:
            settle.settle(session, lease, outcome, started_at)
        log.info(
            "delivery tried", delivery=lease.delivery_id, number=lease.number, kind=kind.value,
            status=outcome.status, error=outcome.error, ms=outcome.duration_ms,
        )  # fmt: skip


def _send(kind: EndpointKind, letter: Letter, now: datetime, limits: Limits) -> Outcome:
    networks: tuple[Network, ...] = current_settings().webhook_allowed_networks
    agent = f"Dispatch/{VERSION} (+{current_settings().public_base_url})"
    if kind is EndpointKind.EMAIL:
        return mail.send_mail(letter)
    if kind is EndpointKind.PLAIN:
        return call_plain(letter, now, agent, networks, limits)
    return post_signed(letter, now, agent, networks, limits)


def _read(session: Session, lease: Lease, now: datetime) -> tuple[EndpointKind, Letter]:
    delivery = session.get_one(Delivery, lease.delivery_id)
    endpoint = session.get_one(Endpoint, delivery.endpoint_id)
    is_mail = endpoint.kind is EndpointKind.EMAIL
    media, twilio = _media(session, delivery) if is_mail else ((), None)
    return endpoint.kind, Letter(
        event_id=delivery.event_id,
        type=delivery.type.value,
        body=delivery.body,
        context=delivery.context,
        created_at=delivery.created_at,
        url=endpoint.url,
        method=endpoint.method,
        secrets=_secrets(session, endpoint, now),
        login=_login(session, endpoint),
        media=media,
        twilio=twilio,
    )


def _media(
    session: Session, delivery: Delivery
) -> tuple[tuple[MediaFile, ...], tuple[str, str] | None]:
    """Return what came with the text that a mail is about, and the log-in to fetch it with."""
    if delivery.incoming_id is None:
        return (), None
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


def _login(session: Session, endpoint: Endpoint) -> tuple[str, str] | None:
    if endpoint.saved_credential_id is None:
        return None
    saved = session.get_one(SavedCredential, endpoint.saved_credential_id)
    return saved.username, saved.password
