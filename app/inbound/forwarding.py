"""What clients and help desks are told of an incoming text: the event ``sms.received``."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.domain.audience import contacts
from app.domain.content import file_types
from app.domain.relaying import events
from app.extensions import current_settings
from app.inbound.answers import TextContext
from app.models.delivery import Delivery, EventType
from app.models.last_contact import LastContact


def last_contact(context: TextContext) -> LastContact | None:
    """Return whom we wrote to last at this phone: from this number or its service, else any."""
    number = context.number
    return contacts.find(context.session, number.client.id, context.arrival.from_, number)


def payload(context: TextContext, contact: LastContact | None) -> dict[str, Any]:
    """Return the event's data. Media are under our own, unguessable addresses."""
    arrival = context.arrival
    base = current_settings().public_base_url
    return {
        "id": context.incoming_id,
        "client": context.number.client.name,
        "messageSid": arrival.sid,
        "from": arrival.from_,
        "to": arrival.to,
        "body": arrival.body,
        "channel": arrival.text_channel,
        "media": [
            {"url": f"{base}/media/{code}", "contentType": file_types.plain(item.content_type)}
            for code, item in zip(context.media_codes, arrival.media, strict=True)
        ],
        "numSegments": arrival.segments,
        "receivedAt": events.instant(arrival.received_at),
        "reaction": context.reaction,
        "optOut": context.opt_out.value if context.opt_out else None,
        "member": contact.member if contact else None,
        "lastMessage": {
            "id": contact.message_id,
            "sid": contact.sid,
            "communication": contact.communication_id,
            "batch": contact.batch_id,
            "sentAt": events.instant(contact.sent_at),
        }
        if contact
        else None,
    }


def forward(
    session: Session,
    context: TextContext,
    endpoint_id: str,
    data: dict[str, Any],
    more: dict[str, Any] | None = None,
) -> Delivery | None:
    """Record the event for one receiver; the same text makes one, however often Twilio says so.

    :param more: what a mail says beyond the event.
    """
    return events.record(
        session,
        events.Happening(
            endpoint_id,
            EventType.SMS_RECEIVED,
            data,
            client_id=context.number.client.id,
            occurred_at=context.arrival.received_at,
            dedupe_key=f"twilio:{context.arrival.sid}:received",
            incoming_id=context.incoming_id,
            context=more or {},
        ),
    )
