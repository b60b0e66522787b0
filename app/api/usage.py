"""What the client has used in a month."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from app.api.auth import Caller
from app.api.operation import operation
from app.api.reading import Shape
from app.domain.clients import usage
from app.extensions import db
from app.models.base import utcnow
from app.models.client import Client
from app.models.credential import Scope


class Thresholds(Shape):
    """At 80 and at 100 percent of these, owner and support are told."""

    segments: int | None
    call_minutes: int | None


class UsageObject(Shape):
    """A month's use."""

    month: str
    segments_in: int
    segments_out: int
    messages_in: int = Field(description="Texts; calls are in `callMinutes` alone.")
    messages_out: int
    call_minutes: int = Field(description="Of calls in both directions, each rounded up.")
    price: float = Field(description="As Twilio reported it, estimated where it has not yet.")
    currency: str
    numbers_monthly_cost: float = Field(
        description="What the client's numbers cost, by list price."
    )
    thresholds: Thresholds


class UsageQuery(Shape):
    """Which month."""

    month: Annotated[
        Annotated[str, AfterValidator(usage.check_month)] | None,
        Field(
            description="A UTC month such as `2026-11`; the current one if not given.",
            json_schema_extra={"pattern": f"^{usage.MONTH.pattern}$"},
        ),
    ] = None


@operation("GET", "/usage", Scope.READ, {200: UsageObject}, csv=True)
def show(caller: Caller, query: UsageQuery) -> UsageObject:
    """Show what the client has used in a month: texts, calls, and what Twilio charges."""
    month = query.month or usage.month_of(utcnow())
    found = usage.current(caller.client_id, month)
    figures = found.figures
    client = db.session.get_one(Client, caller.client_id)
    return UsageObject(
        month=month,
        segments_in=figures.segments_in,
        segments_out=figures.segments_out,
        messages_in=figures.messages_in,
        messages_out=figures.messages_out,
        call_minutes=figures.call_minutes,
        price=figures.price,
        currency=found.currency,
        numbers_monthly_cost=found.numbers_monthly_cost,
        thresholds=Thresholds(
            segments=client.alert_segments, call_minutes=client.alert_call_minutes
        ),
    )
