"""Endpoints: whom a client wants told, and how well that goes."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from app.extensions import Base
from app.models.base import Created, Encrypted, Identified, UtcDateTime, choice
from app.models.client import Client

MAX_IN_FLIGHT = 2


class EndpointKind(enum.StrEnum):
    """Signed JSON to a URL; a plain URL with placeholders; an e-mail address."""

    WEBHOOK = "webhook"
    PLAIN = "plain"
    EMAIL = "email"


class EndpointState(enum.StrEnum):
    """Paused by staff, or disabled because it said 410 or failed for days."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class DisabledReason(enum.StrEnum):
    """Why an endpoint is disabled."""

    GONE = "gone"
    FAILING = "failing"
    STAFF = "staff"


class Endpoint(Identified, Created, Base):
    """A receiver of events, with its health and its place in the queue."""

    __tablename__ = "endpoint"
    __table_args__ = (
        Index(None, "client_id", "kind", "name", unique=True, postgresql_nulls_not_distinct=True),
        Index(None, "state", "last_claim_at"),
    )

    client_id: Mapped[str | None] = mapped_column(ForeignKey("client.id"), index=True)
    """Null for an address to which we send mails of our own: no client sees those."""
    kind: Mapped[EndpointKind] = mapped_column(choice(EndpointKind))
    name: Mapped[str] = mapped_column(String(300))
    """Chosen by the client; of a plain URL or an e-mail address, a digest of what it is."""
    url: Mapped[str] = mapped_column(String(2048))
    """The URL (of a plain one: with placeholders), or the e-mail address."""
    method: Mapped[str] = mapped_column(String(4), default="POST")
    saved_credential_id: Mapped[str | None] = mapped_column(ForeignKey("saved_credential.id"))

    state: Mapped[EndpointState] = mapped_column(
        choice(EndpointState), default=EndpointState.ACTIVE
    )
    disabled_reason: Mapped[DisabledReason | None] = mapped_column(choice(DisabledReason))
    unproven: Mapped[bool] = mapped_column(default=False)
    """It was moved to another origin and has not answered a test from there yet: it is paused."""
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was paused, disabled or made active again."""

    consecutive_failures: Mapped[int] = mapped_column(default=0)
    open_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The breaker is open: nothing is tried before this."""
    backoff_seconds: Mapped[int] = mapped_column(default=0)
    first_failure_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The first failure since the last success."""
    last_success_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_failure_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    warnings_sent: Mapped[int] = mapped_column(default=0)
    """How many mails told the owner of the failures since the last success."""

    bounced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a mail to this address last came back, after a mail server had taken it."""
    bounce_reason: Mapped[str | None] = mapped_column(String(500))

    in_flight: Mapped[int] = mapped_column(default=0)
    max_in_flight: Mapped[int] = mapped_column(default=MAX_IN_FLIGHT)
    last_claim_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_sequence: Mapped[int] = mapped_column(default=1)

    denied_networks: Mapped[list[str] | None] = column_property(
        select(Client.denied_networks)
        .where(Client.id == client_id)
        .correlate_except(Client)  # also where the client is joined
        .scalar_subquery()
    )
    """Where its client's URLs may not lead, as support decided; read with it for each try."""

    secrets: Mapped[list[EndpointSecret]] = relationship(
        order_by="EndpointSecret.created_at.desc()",
        cascade="all, delete-orphan",
        lazy="raise_on_sql",
    )


class EndpointSecret(Identified, Created, Base):
    """A signing secret; during a rotation the old one signs too, until it expires."""

    __tablename__ = "endpoint_secret"

    endpoint_id: Mapped[str] = mapped_column(ForeignKey("endpoint.id"), index=True)
    secret: Mapped[str] = mapped_column(Encrypted)
    """``whsec_`` and base64 of 24 to 64 random bytes."""
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Null for the current one."""
