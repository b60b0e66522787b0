"""Whether a client may use Twilio: asked for by its staff, granted by support, on record."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.relaying import notices
from app.extensions import current_settings
from app.models.base import utcnow
from app.models.client import Client
from app.models.number import TwilioRequest

MAX_REASON = 1000


def request_twilio(session: Session, client: Client, by: str, reason: str = "") -> TwilioRequest:
    """Ask support to enable Twilio for ``client``; asking again changes nothing.

    :param by: the person's e-mail address.
    :param reason: what it is wanted for, in the person's words.
    """
    open_one = _open_request(session, client)
    if open_one is not None:
        return open_one
    made = TwilioRequest(client_id=client.id, requested_by=by, reason=reason[:MAX_REASON])
    session.add(made)
    session.flush()
    audit.record(session, by, "request", f"Twilio for {client.name}", client.id)
    notices.notify(
        session,
        current_settings().support_email,
        f"Dispatch: {client.name} asks for Twilio",
        f"{by} asks to have Twilio enabled for {client.name}.\n\n{reason}\n\n"
        f"Grant it with: flask client enable {client.name}\n",
        dedupe_key=f"twilio-request:{made.id}",
    )
    return made


def enable(session: Session, client: Client, by: str) -> bool:
    """Enable Twilio for ``client`` and close its request; return whether it was not before.

    :param by: who of support.
    """
    request = _open_request(session, client)
    if request is not None:
        request.granted_by, request.granted_at = by, utcnow()
    if client.twilio_enabled:
        return False
    client.twilio_enabled = True
    audit.record(session, by, "enable", f"Twilio for {client.name}", client.id)
    notices.notify(
        session,
        {client.owner_email, *([request.requested_by] if request else [])},
        f"Dispatch: {client.name} can use Twilio now",
        f"Twilio has been enabled for {client.name}.\n",
        dedupe_key=f"twilio-enabled:{client.id}:{utcnow():%Y-%m-%dT%H:%M}",
    )
    return True


def disable(session: Session, client: Client, by: str) -> bool:
    """Take Twilio away from ``client``; return whether it had it."""
    if not client.twilio_enabled:
        return False
    client.twilio_enabled = False
    audit.record(session, by, "disable", f"Twilio for {client.name}", client.id)
    return True


def _open_request(session: Session, client: Client) -> TwilioRequest | None:
    return session.scalars(
        select(TwilioRequest)
        .where(TwilioRequest.client_id == client.id, TwilioRequest.granted_at.is_(None))
        .order_by(TwilioRequest.id)
        .limit(1)
    ).one_or_none()
