"""How well endpoints do: their latest tries, what waits for them, and what was given up."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from app.models.base import utcnow
from app.models.delivery import Delivery, DeliveryAttempt, DeliveryState
from app.models.endpoint import Endpoint

LATEST = 100
"""How many tries of an endpoint are looked at: what it does now, not what it did last month."""
RECENT = timedelta(days=7)
"""How far back what was given up is counted."""
WAITING = (DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.HELD)


@dataclass
class Health:
    """How an endpoint does."""

    taken: int = 0
    """How many of its latest tries it took."""
    durations: list[int] = field(default_factory=list)
    """Milliseconds of each of its latest tries, those that failed included."""
    waiting: int = 0
    held: int = 0
    oldest: datetime | None = None
    """When the oldest of what waits or is held was recorded."""
    next_attempt: datetime | None = None
    given_up: int = 0

    @property
    def tries(self) -> int:
        """How many tries there were, :data:`LATEST` at most."""
        return len(self.durations)

    @property
    def success(self) -> int | None:
        """The share of its latest tries that it took, in whole percent, never rounded up."""
        return 100 * self.taken // self.tries if self.tries else None

    @property
    def p95_ms(self) -> int | None:
        """Within how many milliseconds 95 % of its latest tries were over."""
        ranked = sorted(self.durations)
        return ranked[-(-95 * len(ranked) // 100) - 1] if ranked else None


def of_endpoints(session: Session, ids: Collection[str]) -> dict[str, Health]:
    """Return how each of these endpoints does: three statements, however many there are."""
    found = {one: Health() for one in ids}
    for endpoint_id, duration_ms, error in session.execute(_latest_tries(ids)):
        found[endpoint_id].durations.append(duration_ms)
        found[endpoint_id].taken += error is None
    for endpoint_id, state, count, oldest, next_attempt in session.execute(
        select(
            Delivery.endpoint_id, Delivery.state, func.count(),
            func.min(Delivery.created_at), func.min(Delivery.next_attempt_at),
        )
        .where(Delivery.endpoint_id.in_(ids), Delivery.state.in_(WAITING))
        .group_by(Delivery.endpoint_id, Delivery.state)
    ):  # fmt: skip
        one = found[endpoint_id]
        if state is DeliveryState.HELD:
            one.held = count
        else:
            one.waiting += count
        one.oldest = min(filter(None, (one.oldest, oldest)), default=None)
        one.next_attempt = min(filter(None, (one.next_attempt, next_attempt)), default=None)
    for endpoint_id, count in session.execute(
        select(Delivery.endpoint_id, func.count())
        .where(
            Delivery.endpoint_id.in_(ids),
            Delivery.state == DeliveryState.EXHAUSTED,
            Delivery.created_at >= utcnow() - RECENT,
        )
        .group_by(Delivery.endpoint_id)
    ):
        found[endpoint_id].given_up = count
    return found


def _latest_tries(ids: Collection[str]) -> Select[str, int, str | None]:
    """Select the latest tries of each endpoint, found from the end of its part of the index."""
    tried, earlier = DeliveryAttempt, aliased(DeliveryAttempt)
    first_of_them = (
        select(earlier.id)
        .where(earlier.endpoint_id == Endpoint.id)
        .order_by(earlier.id.desc())
        .offset(LATEST - 1)
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(tried.endpoint_id, tried.duration_ms, tried.error)
        .join(Endpoint, Endpoint.id == tried.endpoint_id)
        .where(Endpoint.id.in_(ids), tried.id >= func.coalesce(first_of_them, 0))
    )
