"""Mails to a client's owner about its endpoints, and to support about what cannot be mailed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from app.domain.relaying import notices
from app.extensions import current_settings
from app.models.base import utcnow
from app.models.client import Client
from app.models.delivery import Delivery, EventType
from app.models.endpoint import DisabledReason, Endpoint, EndpointKind
from app.outbound.relay import schedule


def failing(session: Session, endpoint: Endpoint) -> None:
    """Warn the owner that nothing has reached an endpoint for a day, for three days."""
    since = endpoint.first_failure_at or utcnow()
    ends = since + schedule.DISABLE_AFTER
    _tell_owner(
        session, endpoint, f"failing:{since.isoformat()}:{endpoint.warnings_sent}",
        f"Your endpoint {_called(endpoint)} has been failing since {_when(since)}",
        f"Nothing has reached {_called(endpoint)} since {_when(since)}. What waits for it is kept"
        f" and tried again.\n\nUnless something gets through, it is disabled on {_when(ends)}."
        " What waits is then held until you enable it again.\n\nIts deliveries show each try"
        " with an explanation.",
    )  # fmt: skip


def disabled(session: Session, endpoint: Endpoint) -> None:
    """Tell the owner that an endpoint has been disabled."""
    why = {
        DisabledReason.GONE: "It answered 410 Gone, which says that it wants no more events.",
        DisabledReason.FAILING: "Nothing has reached it for five days.",
    }.get(endpoint.disabled_reason or DisabledReason.STAFF, "It was disabled by hand.")
    _tell_owner(
        session, endpoint, f"disabled:{endpoint.changed_at}",
        f"Your endpoint {_called(endpoint)} has been disabled",
        f"{why}\n\nWhat was to be sent there is held, not lost. Once {_called(endpoint)} works"
        " again, enable it, and choose then whether what is held is to be sent.",
    )  # fmt: skip


def exhausted(session: Session, delivery: Delivery, endpoint: Endpoint) -> None:
    """Tell the owner, at most once a day per endpoint, that something was given up.

    A mail of our own that fails is told to support; if it was to support, it stays in the log.
    """
    subject = f"Something could not be delivered to {_called(endpoint)}"
    text = (
        f"An event ({delivery.type.value}, {delivery.event_id}) could not be delivered to"
        f" {_called(endpoint)} after {delivery.attempts} tries and has been given up. The last"
        f" error:\n\n{delivery.last_error}\n\nIt is kept and can be sent again. Further ones of"
        " today are not mailed about; the list of deliveries shows all of them."
    )
    key = f"exhausted:{utcnow():%Y-%m-%d}"
    if delivery.type is not EventType.NOTICE:
        _tell_owner(session, endpoint, key, subject, text)
    elif endpoint.url.lower() != current_settings().support_email.lower():
        key = f"{endpoint.id}:{key}"
        notices.notify(session, current_settings().support_email, subject, text, dedupe_key=key)


def _tell_owner(
    session: Session, endpoint: Endpoint, happening: str, subject: str, text: str
) -> None:
    if endpoint.client_id is None:
        return
    owner = session.get_one(Client, endpoint.client_id).owner_email
    if endpoint.kind is EndpointKind.EMAIL and endpoint.url.lower() == owner.lower():
        owner = current_settings().support_email  # the owner's own address is what fails
    notices.notify(session, owner, subject, text, dedupe_key=f"{endpoint.id}:{happening}")


def _called(endpoint: Endpoint) -> str:
    return endpoint.name if endpoint.kind is EndpointKind.WEBHOOK else endpoint.url


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
