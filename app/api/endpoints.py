"""Endpoints: the URLs at which a client's own systems are told of events."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.deliveries import DeliveryObject, describe, not_now
from app.api.idempotency import once
from app.api.operation import Answer, operation
from app.api.problem import not_found
from app.api.reading import Shape
from app.api.urls import Url, is_id, owned_select, url
from app.domain.relaying import deliveries, endpoints
from app.domain.specs import Instant
from app.domain.wake import wake
from app.extensions import db
from app.models.base import utcnow
from app.models.credential import Scope
from app.models.endpoint import DisabledReason, Endpoint, EndpointKind, EndpointState


class EndpointObject(Shape):
    """A URL of the client's, with its health. Its secret is shown only when it is made."""

    id: str
    name: str
    url: str
    state: EndpointState
    disabled_reason: DisabledReason | None
    consecutive_failures: int
    last_success_at: datetime | None
    last_failure_at: datetime | None
    waiting_until: datetime | None = Field(
        description="After failures nothing is tried before this; null when all is well."
    )


class ReplayBody(Shape):
    """Which deliveries are to be sent again."""

    from_: Instant = Field(
        alias="from", description="Events recorded at this time or later; with its zone."
    )
    to: Instant | None = Field(None, description="And before this; now if not given.")
    failed_only: bool = Field(True, description="Leave out what the endpoint has taken.")
    dry_run: bool = Field(False, description="Count only.")


class ReplayObject(Shape):
    """How many deliveries a replay sends."""

    count: int
    dry_run: bool = Field(description="Whether they were only counted.")


@operation("GET", "/endpoints", Scope.READ, {200: list[Url]})
def collection(caller: Caller) -> list[str]:
    """List the URLs of the client's endpoints."""
    query = (
        select(Endpoint.id)
        .where(Endpoint.client_id == caller.client_id, Endpoint.kind == EndpointKind.WEBHOOK)
        .order_by(Endpoint.id)
    )
    return [url("endpoints", one) for one in db.session.scalars(query)]


@operation("GET", "/endpoints/<endpoint_id>", Scope.READ, {200: EndpointObject})
def show(caller: Caller, endpoint_id: str) -> EndpointObject:
    """Show one endpoint."""
    found = find(caller, endpoint_id)
    return EndpointObject(
        id=found.id,
        name=found.name,
        url=found.url,
        state=found.state,
        disabled_reason=found.disabled_reason,
        consecutive_failures=found.consecutive_failures,
        last_success_at=found.last_success_at,
        last_failure_at=found.last_failure_at,
        waiting_until=found.open_until,
    )


@operation("POST", "/endpoints/<endpoint_id>/ping", Scope.SEND, {202: DeliveryObject})
def ping(caller: Caller, endpoint_id: str) -> Answer:
    """Send a test event, once and at once.

    It goes out even to an endpoint that is paused or disabled. The answer is its delivery.
    """

    def make(session: Session) -> Answer:
        sent = endpoints.ping(session, find(caller, endpoint_id), caller.actor)
        return Answer(202, describe(sent))

    answer = once(caller, None, make)
    wake("relay")
    return answer


@operation(
    "POST",
    "/endpoints/<endpoint_id>/replay",
    Scope.SEND,
    {202: ReplayObject},
    problems=(409,),
    example={"from": "2026-11-21T20:00:00Z", "to": "2026-11-22T08:00:00Z", "failedOnly": True},
)
def replay(caller: Caller, endpoint_id: str, body: ReplayBody) -> Answer:
    """Send a range of deliveries again, after what is new, each with its same id.

    With `dryRun` they are counted only.
    """
    wanted = deliveries.Range(body.from_, body.to or utcnow(), body.failed_only)
    with not_now():
        count = deliveries.count_replay(db.session(), find(caller, endpoint_id), wanted)

    def make(session: Session) -> Answer:
        if not body.dry_run:
            with not_now():
                endpoint = find(caller, endpoint_id)
                deliveries.replay(session, endpoint, wanted, caller.actor, count)
        return Answer(202, ReplayObject(count=count, dry_run=body.dry_run))

    answer = once(caller, body, make)
    wake("relay")
    return answer


def find(caller: Caller, endpoint_id: str) -> Endpoint:
    """Return the caller's own webhook endpoint.

    :raises HttpProblem: 404 when there is none.
    """
    query = owned_select(Endpoint, caller, endpoint_id).where(Endpoint.kind == EndpointKind.WEBHOOK)
    found = db.session.scalar(query) if is_id(endpoint_id) else None
    if found is None:
        raise not_found("endpoint")
    return found
