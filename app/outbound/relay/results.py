"""Writing down what came of a try: the attempt, the delivery, and the endpoint's health, at once.

The endpoint's row is locked first, as when claiming. A try whose lease has passed to somebody else
is written down and changes nothing, except that a success is believed whenever it comes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, insert, select, update
from sqlalchemy.orm import Session

from app.domain import urls
from app.domain.relaying import endpoints, together
from app.models.base import utcnow
from app.models.delivery import (
    BY_HAND,
    AttemptTrigger,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
)
from app.models.endpoint import DisabledReason, Endpoint, EndpointState
from app.outbound.relay import alerts, schedule
from app.outbound.relay.claim import claim_another
from app.outbound.relay.lease import Group, Lease, Ticket
from app.outbound.relay.outcome import Attempted

log = structlog.get_logger(__name__)

_HEALTH = tuple(field.name for field in dataclasses.fields(schedule.Health))


@dataclasses.dataclass(frozen=True)
class Made:
    """A try that was made, and what came of it."""

    lease: Lease
    outcome: Attempted
    started_at: datetime


def write_down_group(
    session: Session, made: Sequence[Made], unmade: Sequence[Lease], most: int
) -> Group:
    """Write down what came of a group, in as few statements as it takes.

    :param made: successes, and at most one failure, at the end.
    :param unmade: those given back, to be taken again by whoever is next.
    :param most: how many of the endpoint's next deliveries are taken as well, if all went well.
    :returns: the leases of those.
    """
    failed = made[-1] if made and not made[-1].outcome.succeeded else None
    successes = made[:-1] if failed else made
    now = utcnow()
    lease = (*(one.lease for one in made), *unmade)[0]
    endpoint = session.get_one(
        Endpoint, lease.endpoint_id, with_for_update={"key_share": True}, populate_existing=True
    )
    given_back = _give_back(session, unmade)
    ours = _succeed(session, endpoint, successes, now) if successes else set()
    if failed is not None:
        write_down(session, failed.lease, failed.outcome, failed.started_at)
        return ()
    if not ours and not given_back:  # the lease is over, and the sweeper has taken it back
        return ()
    endpoint.in_flight = max(0, endpoint.in_flight - 1)
    if not most or len(ours) < len(successes):
        return ()
    return claim_another(session, endpoint, now, lease.letter.secrets, most)


def _succeed(
    session: Session, endpoint: Endpoint, successes: Sequence[Made], now: datetime
) -> set[str]:
    """Write down successes; return the deliveries whose lease was still ours."""
    health = schedule.after_success(schedule.Health(), now)
    for name in _HEALTH:
        if name != "last_failure_at":
            setattr(endpoint, name, getattr(health, name))
    ours: set[str] = set()
    by_status = sorted(successes, key=lambda one: one.outcome.status or 0)
    for status, alike in groupby(by_status, lambda one: one.outcome.status):
        ours.update(_delivered(session, [one.lease for one in alike], status, now))
    session.execute(
        insert(DeliveryAttempt),
        [
            {
                **_attempt_values(one.lease, one.outcome, one.started_at),
                "endpoint_id": endpoint.id,
                "trigger": one.lease.trigger,
                "requested_by": one.lease.requested_by,
            }
            for one in successes
        ],
        execution_options={"render_nulls": True},
    )
    for one in successes:
        if one.lease.delivery_id not in ours:
            delivery, _ = lock(session, one.lease.delivery_id)
            _settle_late(delivery, one.outcome, now)
        elif endpoint.unproven and _proves(endpoint, one):
            endpoints.prove(session, endpoint)
    return ours


def _delivered(
    session: Session, leases: Sequence[Lease], status: int | None, now: datetime
) -> Iterable[str]:
    """Let deliveries of one group be delivered; return those whose lease was still ours."""
    return session.scalars(
        update(Delivery)
        .where(
            Delivery.id.in_([lease.delivery_id for lease in leases]),
            Delivery.lease_token == leases[0].token,
        )
        .values(
            state=DeliveryState.DELIVERED, delivered_at=now, last_status=status, last_error=None,
            lease_token=None, lease_until=None, trigger=AttemptTrigger.AUTO, requested_by=None,
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )  # fmt: skip


def _give_back(session: Session, unmade: Sequence[Lease]) -> int:
    """Let others take what was claimed and not tried; return how many still were ours."""
    given = 0
    for lease in unmade:
        done = session.execute(
            update(Delivery)
            .where(Delivery.id == lease.delivery_id, Delivery.lease_token == lease.token)
            .values(
                state=DeliveryState.PENDING,
                attempts=Delivery.attempts - 1,
                next_attempt_at=lease.due_at,
                lease_token=None,
                lease_until=None,
            )
            .execution_options(synchronize_session=False)
        )
        given += cast(CursorResult[Any], done).rowcount
    return given


def write_down(session: Session, ticket: Ticket, outcome: Attempted, started_at: datetime) -> None:
    """Write down the outcome of the try that ``ticket`` stands for."""
    now = utcnow()
    delivery, endpoint = lock(session, ticket.delivery_id)
    attempt = DeliveryAttempt(
        **_attempt_values(ticket, outcome, started_at),
        endpoint_id=endpoint.id,
        trigger=delivery.trigger,
        requested_by=delivery.requested_by,
    )
    session.add(attempt)
    if delivery.lease_token != ticket.token:
        _settle_late(delivery, outcome, now)
        return
    trigger = delivery.trigger
    delivery.lease_token = delivery.lease_until = None
    if not _is_shared(session, delivery, ticket.token):
        endpoint.in_flight = max(0, endpoint.in_flight - 1)
    delivery.trigger, delivery.requested_by = AttemptTrigger.AUTO, None
    delivery.last_status = outcome.status
    delivery.last_error = outcome.detail[:500] if outcome.detail else None
    _judge(endpoint, outcome, now, by_hand=trigger in BY_HAND)
    if outcome.succeeded:
        delivery.state, delivery.delivered_at = DeliveryState.DELIVERED, now
        return
    delivery.failures += 1
    if outcome.is_gone and endpoint.state is not EndpointState.DISABLED:
        disable(session, endpoint, DisabledReason.GONE, now)
    _plan_next(session, delivery, endpoint, outcome, now, last=trigger is AttemptTrigger.PING)
    attempt.next_attempt_at = delivery.next_attempt_at


def _is_shared(session: Session, delivery: Delivery, token: str) -> bool:
    """Tell whether others are under way under the same lease: together they count as one."""
    other = select(Delivery.id).where(
        Delivery.endpoint_id == delivery.endpoint_id,
        Delivery.state == DeliveryState.IN_FLIGHT,
        Delivery.lease_token == token,
        Delivery.id != delivery.id,
    )
    return session.scalar(other.limit(1)) is not None


def disable(session: Session, endpoint: Endpoint, reason: DisabledReason, now: datetime) -> None:
    """Disable an endpoint, hold what waits for it, and tell the client's owner."""
    session.flush()
    endpoints.shut_out(session, endpoint)
    endpoint.state, endpoint.disabled_reason = EndpointState.DISABLED, reason
    endpoint.changed_at = now
    endpoint.open_until = None
    together.hold(session, endpoint)
    alerts.disabled(session, endpoint)
    log.warning("endpoint disabled", endpoint=endpoint.id, reason=reason.value)


def lock(session: Session, delivery_id: str) -> tuple[Delivery, Endpoint]:
    """Lock a delivery's endpoint and then the delivery, and return both as they are now."""
    endpoint_id = select(Delivery.endpoint_id).where(Delivery.id == delivery_id).scalar_subquery()
    endpoint = session.scalars(
        select(Endpoint)
        .where(Endpoint.id == endpoint_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    delivery = session.scalars(
        select(Delivery)
        .where(Delivery.id == delivery_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    return delivery, endpoint


def _proves(endpoint: Endpoint, made: Made) -> bool:
    """Tell whether a test was taken where the endpoint is now: it may have moved meanwhile."""
    there = urls.origin(made.outcome.url) == urls.origin(endpoint.url)
    return there and made.lease.trigger is AttemptTrigger.PING


def _settle_late(delivery: Delivery, outcome: Attempted, now: datetime) -> None:
    log.warning("a try came back after its lease", delivery=delivery.id, error=outcome.error)
    if outcome.succeeded and delivery.state is DeliveryState.PENDING:
        delivery.state, delivery.delivered_at = DeliveryState.DELIVERED, now
        delivery.next_attempt_at = delivery.last_error = None
        delivery.last_status = outcome.status


def _attempt_values(ticket: Ticket, outcome: Attempted, started_at: datetime) -> dict[str, Any]:
    return {
        "delivery_id": ticket.delivery_id,
        "number": ticket.number,
        "started_at": started_at,
        "duration_ms": outcome.duration_ms,
        "url": outcome.url[:2048],
        "address": outcome.address,
        "request_headers": outcome.request_headers,
        "status": outcome.status,
        "error": outcome.error,
        "detail": outcome.detail[:500] if outcome.detail else None,
        "response_headers": outcome.response_headers,
        "response_body": outcome.response_body,
        "truncated": outcome.truncated,
    }


def _judge(endpoint: Endpoint, outcome: Attempted, now: datetime, *, by_hand: bool) -> None:
    """Bring the endpoint's health up to date; a failure of a try by hand does not count."""
    health = schedule.Health(**{name: getattr(endpoint, name) for name in _HEALTH})
    if outcome.succeeded:
        health = schedule.after_success(health, now)
    elif by_hand or outcome.error == "lost":  # our own process died: no fault of the endpoint
        return
    else:
        asked = outcome.wait if outcome.status in (429, 503) else None
        tripping = schedule.trips(outcome.error, outcome.status) and not outcome.permanent
        health = schedule.after_failure(health, now, tripping=tripping, wait=asked)
    for name in _HEALTH:
        setattr(endpoint, name, getattr(health, name))


def _plan_next(
    session: Session, delivery: Delivery, endpoint: Endpoint, outcome: Attempted, now: datetime,
    *, last: bool,
) -> None:  # fmt: skip
    wait = None if last or outcome.permanent else schedule.delay(delivery.failures)
    if wait is not None:
        wait = max(wait, outcome.wait or timedelta(0))
    if endpoint.state is EndpointState.DISABLED and not last:
        delivery.state, delivery.next_attempt_at = DeliveryState.HELD, None
    elif wait is None or now + wait > delivery.give_up_at:
        delivery.state, delivery.next_attempt_at = DeliveryState.EXHAUSTED, None
        if not last:
            alerts.exhausted(session, delivery, endpoint)
    else:
        delivery.state, delivery.next_attempt_at = DeliveryState.PENDING, now + wait
