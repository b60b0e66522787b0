"""Deliveries: something that one endpoint is to be told, on its way.

An event has exactly one receiver, so the row of its delivery is the event itself.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.base import (
    BigId,
    Created,
    Identified,
    UtcDateTime,
    choice,
    new_id,
)
from app.models.commit_order import Ordered


def new_event_id() -> str:
    """Make the id of an event, its ``webhook-id``: the same on every try."""
    return f"msg_{new_id()}"


class EventType(enum.StrEnum):
    """What clients are told; and the mails by which owners and support are told."""

    SMS_RECEIVED = "sms.received"
    VOICEMAIL_RECEIVED = "voicemail.received"
    VOICEMAIL_TRANSCRIBED = "voicemail.transcribed"
    MESSAGE_STATUS = "message.status"
    MESSAGE_SENT = "message.sent"
    MESSAGE_PROBLEM = "message.problem"
    COMMUNICATION_COMPLETE = "communication.complete"
    MAIL_BOUNCED = "mail_bounced"
    CONVERSATION_ASSIGNED = "conversation_assigned"
    ENDPOINT_PING = "endpoint.ping"
    NOTICE = "dispatch.notice"
    """A mail of ours to an owner, to support or to a person who signs in."""


class DeliveryState(enum.StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    HELD = "held"
    CANCELED = "canceled"


DELIVERY_TRANSITIONS: dict[DeliveryState, tuple[DeliveryState, ...]] = {
    DeliveryState.PENDING: (
        DeliveryState.IN_FLIGHT,
        DeliveryState.EXHAUSTED,
        DeliveryState.HELD,
        DeliveryState.CANCELED,
    ),
    DeliveryState.IN_FLIGHT: (
        DeliveryState.DELIVERED,
        DeliveryState.PENDING,
        DeliveryState.EXHAUSTED,
        DeliveryState.HELD,
    ),
    DeliveryState.HELD: (DeliveryState.PENDING, DeliveryState.CANCELED),
    DeliveryState.DELIVERED: (DeliveryState.PENDING, DeliveryState.EXHAUSTED),
    DeliveryState.EXHAUSTED: (DeliveryState.PENDING,),
    DeliveryState.CANCELED: (DeliveryState.PENDING,),
}
"""The legal moves; each is made by compare-and-set. An ended one goes back when it is resent; a
mail that was delivered to a mail server is given up when it comes back."""


class AttemptTrigger(enum.StrEnum):
    """Why a try is made."""

    AUTO = "auto"
    MANUAL = "manual"
    PING = "ping"
    REPLAY = "replay"


BY_HAND = (AttemptTrigger.MANUAL, AttemptTrigger.PING)
"""Tries that a person waits for: they wait for no breaker and no pause, and count for neither."""


OPEN_STATES = (DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.HELD)
"""Deliveries that have not ended: what they name must still be there."""


class Delivery(Identified, Created, Ordered, Base):
    """An event and its way to its endpoint. The same ``body`` is sent at every try."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index(None, "endpoint_id", "state", "next_attempt_at"),
        Index(
            "ix_delivery_lease_until",
            "lease_until",
            postgresql_where=text("state = 'in_flight'"),
            sqlite_where=text("state = 'in_flight'"),
        ),
        Index(
            "ix_delivery_by_hand",
            "next_attempt_at",
            postgresql_where=text("state = 'pending' AND trigger IN ('manual', 'ping')"),
            sqlite_where=text("state = 'pending' AND trigger IN ('manual', 'ping')"),
        ),
        Index(
            "ix_delivery_fresh",
            "endpoint_id",
            "next_attempt_at",
            postgresql_where=text("state = 'pending' AND trigger <> 'replay'"),
            sqlite_where=text("state = 'pending' AND trigger <> 'replay'"),
        ),
        Index(None, "client_id", "created_at"),
        Index(None, "client_id", "commit_order"),
    )

    client_id: Mapped[str | None] = mapped_column(ForeignKey("client.id"), index=True)
    """Null for a mail of our own: no client sees it."""
    event_id: Mapped[str] = mapped_column(String(30), unique=True, default=new_event_id)
    type: Mapped[EventType] = mapped_column(choice(EventType))
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("endpoint.id"))
    dedupe_key: Mapped[str | None] = mapped_column(String(120), unique=True)
    """The same happening makes one event, however often we hear of it."""
    sequence: Mapped[int | None]
    """Counts per endpoint, in the order in which its events are first claimed; null before. Were
    it given when an event is recorded, whoever records would hold the endpoint's row till then."""
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    body: Mapped[str] = mapped_column(Text)
    """The text that is signed and sent, all but its ``sequence``; emptied after retention."""
    context: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What the body does not say but its sending needs: member attributes, mail headers."""
    incoming_id: Mapped[str | None] = mapped_column(ForeignKey("incoming.id"), index=True)
    message_id: Mapped[str | None] = mapped_column(ForeignKey("message.id"), index=True)

    state: Mapped[DeliveryState] = mapped_column(
        choice(DeliveryState), default=DeliveryState.PENDING
    )
    attempts: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    """How many tries failed since it was made, or since it was sent again: the place in the
    schedule of retries."""
    trigger: Mapped[AttemptTrigger] = mapped_column(
        choice(AttemptTrigger), default=AttemptTrigger.AUTO
    )
    """Why the next try is made."""
    requested_by: Mapped[str | None] = mapped_column(String(254))
    """Who asked for the next try, where a person did."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Null once it has ended, and while it is in flight or held."""
    give_up_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_token: Mapped[str | None] = mapped_column(String(26))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_status: Mapped[int | None]
    last_error: Mapped[str | None] = mapped_column(String(500))
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    bounced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When this mail came back, after a mail server had taken it; ``last_error`` says why."""

    @property
    def content(self) -> str:
        """The exact text that is signed and sent: ``data`` ends with its place in the order."""
        if self.sequence is None or not self.body:
            return self.body
        data = self.body.removesuffix("}}")
        comma = "" if data.endswith("{") else ","
        return f'{data}{comma}"sequence":{self.sequence}}}}}'


class DeliveryAttempt(Base):
    """One try, never changed afterwards: what was sent, what came back, and what that means."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (Index(None, "delivery_id", "id"), Index(None, "endpoint_id", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    delivery_id: Mapped[str] = mapped_column(ForeignKey("delivery.id"))
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("endpoint.id"))
    """The delivery's, so that an endpoint's latest tries are found at once."""
    number: Mapped[int]
    trigger: Mapped[AttemptTrigger] = mapped_column(choice(AttemptTrigger))
    requested_by: Mapped[str | None] = mapped_column(String(254))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    duration_ms: Mapped[int]
    url: Mapped[str] = mapped_column(String(2048))
    address: Mapped[str | None] = mapped_column(String(64))
    """The IP address that was spoken to."""
    request_headers: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(32))
    """``blocked, dns, connect, timeout, deadline, tls, connection, http_status, smtp, lost``."""
    detail: Mapped[str | None] = mapped_column(String(500))
    """The error in a sentence, with what to do."""
    response_headers: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    response_body: Mapped[str | None] = mapped_column(Text)
    truncated: Mapped[bool] = mapped_column(default=False)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
