"""Deliveries: events on their way to the client's own systems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.idempotency import once
from app.api.operation import Answer, operation
from app.api.paging import Page, PageQuery, read_page
from app.api.problem import HttpProblem
from app.api.reading import Shape
from app.api.urls import owned
from app.domain.mistakes import Refused
from app.domain.relaying import deliveries
from app.domain.wake import wake
from app.models.credential import Scope
from app.models.delivery import Delivery, DeliveryState, EventType


class DeliveryObject(Shape):
    """An event and its way to the endpoint that is told of it."""

    id: str
    event: str = Field(description="The `webhook-id`, the same at every try.")
    type: EventType
    endpoint: str = Field(description="The endpoint's id.")
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None = Field(description="The HTTP status of the last try.")
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    state: DeliveryState | None = None
    type: EventType | None = None
    endpoint: str | None = Field(None, max_length=64, description="An endpoint's id.")


@operation("GET", "/deliveries", Scope.READ, {200: Page[DeliveryObject]})
def listing(caller: Caller, query: DeliveriesQuery) -> Page[DeliveryObject]:
    """List deliveries, oldest first."""
    chosen = select(Delivery)
    if query.state is not None:
        chosen = chosen.where(Delivery.state == query.state)
    if query.type is not None:
        chosen = chosen.where(Delivery.type == query.type)
    if query.endpoint is not None:
        chosen = chosen.where(Delivery.endpoint_id == query.endpoint)
    page = read_page(Delivery, caller, query, chosen, "deliveries")
    return Page(items=[describe(one) for one in page.rows], next=page.next)


@operation("GET", "/deliveries/<delivery_id>", Scope.READ, {200: DeliveryObject})
def show(caller: Caller, delivery_id: str) -> DeliveryObject:
    """Show one delivery."""
    return describe(owned(Delivery, caller, delivery_id, "delivery"))


@operation(
    "POST", "/deliveries/<delivery_id>/resend", Scope.SEND, {202: DeliveryObject}, problems=(409,)
)
def resend(caller: Caller, delivery_id: str) -> Answer:
    """Send a delivery again at once, whatever its state, with its same id.

    Its schedule of retries begins anew.
    """

    def make(session: Session) -> Answer:
        delivery = owned(Delivery, caller, delivery_id, "delivery")
        with not_now():
            deliveries.resend(session, delivery, caller.actor)
        session.flush()
        return Answer(202, describe(delivery))

    answer = once(caller, None, make)
    wake("relay")
    return answer


@contextmanager
def not_now() -> Iterator[None]:
    """Answer 409 where it is the state of things, not a field of the request, that forbids."""
    try:
        yield
    except Refused as refused:
        if any(one.path for one in refused.mistakes):
            raise
        raise HttpProblem(409, str(refused)) from None


def describe(one: Delivery) -> DeliveryObject:
    """Describe a delivery."""
    return DeliveryObject(
        id=one.id,
        event=one.event_id,
        type=one.type,
        endpoint=one.endpoint_id,
        state=one.state,
        attempts=one.attempts,
        next_attempt_at=one.next_attempt_at,
        last_status=one.last_status,
        last_error=one.last_error,
        created_at=one.created_at,
        delivered_at=one.delivered_at,
    )
