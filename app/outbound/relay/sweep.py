"""What nobody is working on any more: leases of dead processes, counters, what is too old."""

from __future__ import annotations

from functools import partial

import structlog
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from app.domain import aside, clocks, wake
from app.domain.relaying import announcements
from app.extensions import db, redis_client, unit_of_work
from app.models.base import utcnow
from app.models.delivery import Delivery, DeliveryState
from app.models.endpoint import (
    DisabledReason,
    Endpoint,
    EndpointKind,
    EndpointSecret,
    EndpointState,
)
from app.outbound.relay import alerts, results, schedule
from app.outbound.relay.claim import MAIL_LEASE, something_due
from app.outbound.relay.lease import Ticket
from app.outbound.relay.outcome import Attempted

log = structlog.get_logger(__name__)

AT_ONCE = 100


def wake_due() -> bool:
    """Wake the relay's worker if something is due; the clock asks every second."""
    if not something_due(db.session(), utcnow()):
        return False
    return wake.enqueue_drain("relay", redis_client())


def sweep() -> None:
    """Put right what a dead process left behind, give up what is too old, warn and disable."""
    release_expired()
    bring_nearer()
    recount()
    expire()
    judge_failing()
    forget_secrets()


def release_expired() -> int:
    """Give back what was claimed by processes that died; return how many."""
    now = utcnow()
    expired = db.session.execute(
        select(Delivery.id, Delivery.lease_token, Delivery.attempts)
        .where(
            Delivery.state == DeliveryState.IN_FLIGHT,
            clocks.has_come(Delivery.lease_until, now, MAIL_LEASE),
            aside.free("relay", Delivery.id),
        )
        .order_by(Delivery.lease_until)
        .limit(AT_ONCE)
    ).all()
    tickets = [Ticket(delivery_id, token or "", number) for delivery_id, token, number in expired]
    why = "The process that made this try ended before it knew the result."
    aside.one_by_one("relay", tickets, lambda one: one.delivery_id, partial(give_back, why=why))
    if expired:
        log.warning("tries were lost and are made again", count=len(expired))
    return len(expired)


def bring_nearer() -> int:
    """Try now what waits for longer than any schedule says: a clock was wrong; return how many."""
    now = utcnow()
    too_far = now + schedule.LONGEST_DELAY + clocks.MOST_APART
    ids = db.session.scalars(
        select(Delivery.id)
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .where(
            Delivery.state == DeliveryState.PENDING,
            Delivery.next_attempt_at > now + announcements.RECORDING_WAIT + clocks.MOST_APART,
            # Before its first try an event waits for what is still to come of its call, at most.
            or_(Delivery.next_attempt_at > too_far, Delivery.attempts == 0),
        )
        .limit(AT_ONCE)
    ).all()
    if ids:
        with unit_of_work() as session:
            session.execute(
                update(Delivery)
                .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.PENDING)
                .values(next_attempt_at=now)
                .execution_options(synchronize_session=False)
            )
        log.warning("deliveries of a clock that was ahead are tried now", count=len(ids))
    return len(ids)


def give_back(ticket: Ticket, why: str) -> None:
    """Write a try down as lost, if its lease is still the valid one; it is made again."""
    with unit_of_work() as session:
        delivery, endpoint = results.lock(session, ticket.delivery_id)
        if delivery.lease_token == ticket.token:
            started = delivery.lease_until or utcnow()
            results.write_down(
                session, ticket, Attempted(endpoint.url, error="lost", detail=why),
                min(started, utcnow()),
            )  # fmt: skip


def recount() -> int:
    """Correct the counters of tries under way; return how many were wrong."""
    wrong = db.session.scalars(
        select(Endpoint.id).where(Endpoint.in_flight > 0, Endpoint.in_flight != _under_way())
    ).all()
    for endpoint_id in wrong:
        with aside.set_aside("relay", endpoint_id), unit_of_work() as session:
            # First the lock, then the count: a claim in between would be forgotten.
            session.execute(
                select(Endpoint.id)
                .where(Endpoint.id == endpoint_id)
                .with_for_update(key_share=True)
            )
            session.execute(
                update(Endpoint)
                .where(Endpoint.id == endpoint_id)
                .values(in_flight=_under_way())
                .execution_options(synchronize_session=False)
            )
    return len(wrong)


def expire() -> int:
    """Give up what could not be delivered in 96 hours; return how many.

    A pause does not count: when it ends, the time is prolonged by its length.
    """
    late = db.session.scalars(
        select(Delivery.id)
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .where(
            Delivery.state == DeliveryState.PENDING,
            Delivery.give_up_at < utcnow(),
            Endpoint.state == EndpointState.ACTIVE,
            aside.free("relay", Delivery.id),
        )
        .limit(AT_ONCE)
    ).all()
    for delivery_id in late:
        with aside.set_aside("relay", delivery_id), unit_of_work() as session:
            delivery, endpoint = results.lock(session, delivery_id)
            if delivery.state is DeliveryState.PENDING and endpoint.state is EndpointState.ACTIVE:
                delivery.state, delivery.next_attempt_at = DeliveryState.EXHAUSTED, None
                alerts.exhausted(session, delivery, endpoint)
    return len(late)


def judge_failing() -> None:
    """Warn owners of endpoints that have been failing for long, and disable after five days.

    Not mail addresses: one that does not exist gives itself away with each mail.
    """
    failing = db.session.scalars(
        select(Endpoint.id).where(
            Endpoint.first_failure_at < utcnow() - schedule.WARN_AFTER[0],
            Endpoint.state == EndpointState.ACTIVE,
            Endpoint.kind != EndpointKind.EMAIL,
            aside.free("relay", Endpoint.id),
        )
    ).all()
    for endpoint_id in failing:
        with aside.set_aside("relay", endpoint_id), unit_of_work() as session:
            _judge(session, endpoint_id)


def forget_secrets() -> None:
    """Delete the signing secrets whose overlap is over."""
    over = (EndpointSecret.expires_at.isnot(None)) & (EndpointSecret.expires_at < utcnow())
    if db.session.scalar(select(EndpointSecret.id).where(over).limit(1)):
        with unit_of_work() as session:
            session.execute(delete(EndpointSecret).where(over))


def _judge(session: Session, endpoint_id: str) -> None:
    endpoint = session.get_one(
        Endpoint, endpoint_id, with_for_update={"key_share": True}, populate_existing=True
    )
    now = utcnow()
    health = schedule.Health(first_failure_at=endpoint.first_failure_at)
    if endpoint.state is not EndpointState.ACTIVE:
        return
    if schedule.must_be_disabled(health, now):
        results.disable(session, endpoint, DisabledReason.FAILING, now)
        return
    due = schedule.warnings_due(health, now)
    if due > endpoint.warnings_sent:
        endpoint.warnings_sent = due
        alerts.failing(session, endpoint)


def _under_way() -> object:
    return (
        select(func.count(Delivery.lease_token.distinct()))
        .where(Delivery.endpoint_id == Endpoint.id, Delivery.state == DeliveryState.IN_FLIGHT)
        .correlate(Endpoint)
        .scalar_subquery()
    )
