"""Endpoints: the URLs at which a client's own systems are told of events."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from sqlalchemy import select

from app.api.auth import Caller
from app.api.operation import operation
from app.api.problem import not_found
from app.api.reading import Shape
from app.api.urls import Url, is_id, owned_select, url
from app.extensions import db
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


def find(caller: Caller, endpoint_id: str) -> Endpoint:
    """Return the caller's own webhook endpoint.

    :raises Refusal: 404 when there is none.
    """
    query = owned_select(Endpoint, caller, endpoint_id).where(Endpoint.kind == EndpointKind.WEBHOOK)
    found = db.session.scalar(query) if is_id(endpoint_id) else None
    if found is None:
        raise not_found("endpoint")
    return found
