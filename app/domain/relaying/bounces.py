"""A mail that a mail server had taken and that came back after all.

Nothing is stopped by it: the delivery says so, and so does the address, wherever staff look at it;
the client's owner is told once a month and address, and the client's system where it asks to be.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.relaying import endpoints, events, listeners, notices, outbox, receivers
from app.domain.relaying.events import Happening
from app.extensions import current_settings
from app.models.base import utcnow
from app.models.client import Client
from app.models.communication import CallbackEvent
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint, EndpointKind


class NotYetError(RuntimeError):
    """The delivery is under way just now: what came back is to be looked at again."""


def note(session: Session, delivery: Delivery, reason: str) -> None:
    """Note that a mail came back.

    :param reason: what the mail server said, in one line.
    :raises NotYetError: while the delivery is under way, so that its end is not written over.
    """
    endpoint = session.get_one(Endpoint, delivery.endpoint_id)
    endpoints.lock(session, endpoint)
    session.refresh(delivery, with_for_update=True)
    if delivery.state is DeliveryState.IN_FLIGHT:
        raise NotYetError
    now = utcnow()
    endpoint.bounced_at, endpoint.bounce_reason = now, reason[:500]
    delivery.bounced_at = now
    if delivery.state is DeliveryState.DELIVERED:
        delivery.state, delivery.delivered_at = DeliveryState.EXHAUSTED, None
        delivery.last_error = f"The mail came back: {reason}"[:500]
    if delivery.client_id is not None:
        _tell_system(session, delivery, endpoint, reason)
    _tell_owner(session, delivery, endpoint, reason)


def known(session: Session, client_id: str, addresses: Iterable[str]) -> dict[str, Endpoint]:
    """Return those of these addresses whose mail came back, by address in small letters."""
    names = {receivers.name_of(one) for one in addresses if one}
    if not names:
        return {}
    found = session.scalars(
        select(Endpoint).where(
            Endpoint.client_id == client_id,
            Endpoint.kind == EndpointKind.EMAIL,
            Endpoint.name.in_(names),
            Endpoint.bounced_at.is_not(None),
        )
    )
    return {one.url.lower(): one for one in found}


def forget(session: Session, client_id: str, address: str) -> None:
    """Note that somebody wrote to us from an address: it is read, whatever came back before."""
    for endpoint in known(session, client_id, [address]).values():
        endpoint.bounced_at = endpoint.bounce_reason = None


def _tell_system(session: Session, delivery: Delivery, endpoint: Endpoint, reason: str) -> None:
    client = session.get_one(Client, delivery.client_id)
    receiver = listeners.of_communication(session, client.id, None, CallbackEvent.MAIL_BOUNCED)
    if receiver is None:
        return
    now = utcnow()
    data = {
        "id": delivery.id,
        "client": client.name,
        "address": endpoint.url,
        "event": delivery.event_id,
        "reason": reason,
        "at": events.instant(now),
    }
    key = f"{delivery.id}:{delivery.attempts}:bounced"
    happening = Happening(receiver, EventType.MAIL_BOUNCED, data, client.id, now, key)
    outbox.tell(session, happening)


def _tell_owner(session: Session, delivery: Delivery, endpoint: Endpoint, reason: str) -> None:
    to = support = current_settings().support_email
    if delivery.client_id is not None:
        to = session.get_one(Client, delivery.client_id).owner_email
    if to.lower() == endpoint.url.lower():
        to = support
    if to.lower() == endpoint.url.lower():
        return  # nobody is left to be told; the delivery and the log say it
    notices.notify(
        session,
        to,
        f"Mail to {endpoint.url} comes back",
        f"A mail to {endpoint.url} was sent, and came back:\n\n{reason}\n\nNothing has been"
        " stopped: the next mails go to this address all the same. Correct it in the population,"
        " or take it out. The delivery can be sent again.\n\nFurther mails that come back from"
        " there this month are not mailed about; the list of deliveries shows all of them.",
        dedupe_key=f"{endpoint.id}:bounced:{utcnow():%Y-%m}",
    )
