"""What people do with deliveries: send one again, send a range again, cancel one.

Sent again means the same event with the same id and body; receivers that have it already recognise
it. Every act runs within the caller's transaction and is noted in the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.mistakes import Refused
from app.domain.relaying import endpoints, together
from app.domain.relaying.events import GIVE_UP_AFTER
from app.models.base import utcnow
from app.models.delivery import AttemptTrigger, Delivery, DeliveryState
from app.models.endpoint import Endpoint, EndpointState


@dataclass(frozen=True)
class Range:
    """Which deliveries of an endpoint are to be sent again.

    ``since`` and ``until`` (not included) bound when the events were recorded. ``failed_only``
    leaves out what the endpoint has taken.
    """

    since: datetime
    until: datetime
    failed_only: bool = True

    def check(self) -> None:
        """Check the bounds.

        :raises Refused: when they are turned round.
        """
        if self.since >= self.until:
            raise Refused.because("“from” must be before “to”.", "from")


def resend(session: Session, delivery: Delivery, actor: str) -> None:
    """Send one delivery again at once, whatever its state; its schedule begins anew.

    :raises Refused: while it is being sent, or when its content is gone after retention.
    """
    _lock(session, delivery)
    if delivery.state is DeliveryState.IN_FLIGHT:
        raise Refused.because("This delivery is being sent right now.", code="in_flight")
    if not delivery.body:
        raise Refused.because(
            "The content of this delivery has been deleted, because its retention is over.",
            code="deleted",
        )
    now = utcnow()
    delivery.state, delivery.next_attempt_at = DeliveryState.PENDING, now
    delivery.give_up_at, delivery.failures = now + GIVE_UP_AFTER, 0
    delivery.bounced_at = None
    delivery.trigger, delivery.requested_by = AttemptTrigger.MANUAL, actor[:254]
    audit.record(session, actor, "resend", f"delivery {delivery.id}", delivery.client_id)


def cancel(session: Session, delivery: Delivery, actor: str) -> None:
    """Take a delivery that waits or is held off its way; it can still be sent again.

    :raises Refused: when it is being sent or has ended.
    """
    _lock(session, delivery)
    if delivery.state not in (DeliveryState.PENDING, DeliveryState.HELD):
        raise Refused.because(
            f"Only a delivery that waits or is held can be canceled; this one is"
            f" {delivery.state.value.replace('_', ' ')}.",
            code=delivery.state.value,
        )
    delivery.state, delivery.next_attempt_at = DeliveryState.CANCELED, None
    audit.record(session, actor, "cancel", f"delivery {delivery.id}", delivery.client_id)


def count_replay(session: Session, endpoint: Endpoint, wanted: Range) -> int:
    """Return how many deliveries a replay would send, without sending them.

    :raises Refused: as :func:`replay`.
    """
    wanted.check()
    return session.scalar(
        select(func.count()).select_from(Delivery).where(_selected(endpoint, wanted))
    ) or 0  # fmt: skip


def replay(
    session: Session, endpoint: Endpoint, wanted: Range, actor: str, count: int | None = None
) -> int:  # fmt: skip
    """Send a range again, after what is new; return how many deliveries that are.

    What waits for its next try after a failure goes at once; tests are left out, and so is what
    is being sent or has lost its content.

    :param count: how many that are (:func:`count_replay`), where they were counted before the
        transaction, so that nobody waits for it.
    :raises Refused: when the endpoint is disabled, or the range is turned round.
    """
    wanted.check()
    endpoints.lock(session, endpoint)
    if endpoint.state is EndpointState.DISABLED:
        raise Refused.because(
            f"The endpoint {endpoints.called(endpoint)} is disabled; enable it first.",
            code="disabled",
        )
    if count is None:
        count = count_replay(session, endpoint, wanted)
    together.replay(
        session, endpoint, wanted.since, wanted.until, actor, failed_only=wanted.failed_only
    )
    audit.record(
        session, actor, "replay", f"endpoint {endpoints.called(endpoint)}", endpoint.client_id,
        {
            "from": wanted.since.isoformat(), "to": wanted.until.isoformat(),
            "failedOnly": wanted.failed_only, "count": count,
        },
    )  # fmt: skip
    return count


def _selected(endpoint: Endpoint, wanted: Range) -> ColumnElement[bool]:
    return together.selected(
        endpoint.id, wanted.since, wanted.until, failed_only=wanted.failed_only
    )


def _lock(session: Session, delivery: Delivery) -> None:
    endpoint = session.get_one(Endpoint, delivery.endpoint_id)
    endpoints.lock(session, endpoint)
    session.refresh(delivery, with_for_update=True)
