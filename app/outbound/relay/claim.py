"""Taking deliveries to work on: the endpoint first, so that a dead one cannot take all workers.

Several of one endpoint are taken together, for one thread that sends them one after the other: they
share a lease, which counts as one request at a time. Those to an endpoint in trouble, mails, and
what a person waits for come singly.

Claimed plainly by time, 10 of 400 deliveries to healthy endpoints were done in 25 s beside one
that hung; with a cap per endpoint, checked under its row's lock, all 400 in 0.9 s. On PostgreSQL
rows that somebody else works on are skipped; on SQLite there is one writer at a time anyway.

Locks are always taken in one order, the endpoint before its deliveries.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain import aside, clocks
from app.models.base import new_id
from app.models.delivery import BY_HAND, AttemptTrigger, Delivery, DeliveryState
from app.models.endpoint import Endpoint, EndpointKind, EndpointState
from app.outbound.relay import reading, schedule
from app.outbound.relay.lease import ANYTHING, Group, Lease, Room

LEASE = timedelta(seconds=45)
"""Three times the deadline of a request. A process that died gives its deliveries back by this."""
FIRST_TOGETHER, MOST_TOGETHER = 8, 100
"""How many deliveries of an endpoint are taken at once: at first half of what there is of so many,
so that two threads share it, and yet few claims, which cost more than tries, are for one only; then
up to twice as many each time, if the endpoint takes them fast."""
MAIL_LEASE = timedelta(seconds=180)
"""Mails may first fetch pictures."""


def _written_out(value: enum.StrEnum, column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """Return a value as part of the statement's text.

    PostgreSQL uses a partial index only for what it can see when it plans.
    """
    return literal(value, column.type, literal_execute=True)


_IS_PENDING = Delivery.state == _written_out(DeliveryState.PENDING, Delivery.state)
_IS_FRESH = Delivery.trigger != _written_out(AttemptTrigger.REPLAY, Delivery.trigger)
_IS_BY_HAND = Delivery.trigger.in_([_written_out(trigger, Delivery.trigger) for trigger in BY_HAND])
_HAS_ROOM = Endpoint.in_flight < Endpoint.max_in_flight


def claim(session: Session, now: datetime, room: Room = ANYTHING, most: int | None = None) -> Group:
    """Take the next due deliveries of one endpoint, within the caller's transaction.

    What a person asked for comes first and waits for neither breaker nor pause.

    :param most: how many at most; when not given, half of what there is of ``FIRST_TOGETHER``.
    :returns: in the order in which they are to be sent; none when nothing is due.
    """
    return _claim_by_hand(session, now, room) or _claim_next(session, now, room, most)


def something_due(session: Session, now: datetime, room: Room = ANYTHING) -> bool:
    """Whether there is something to claim: a cheap read before a transaction is opened."""
    by_hand = _by_hand(now, room).with_only_columns(Delivery.id).limit(1)
    ready = select(Endpoint.id).where(*_is_ready(now), *_fits(room), _has_due(now)).limit(1)
    return session.scalar(by_hand) is not None or session.scalar(ready) is not None


def at_fault(
    session: Session, now: datetime, room: Room = ANYTHING, most: int = FIRST_TOGETHER
) -> Sequence[str]:
    """Return over which deliveries a claim has stumbled: of those that it would take, who raises.

    Where none does by itself, it is their endpoint, and all of them are.
    """
    ids = _next_ids(session, now, room, most)
    return [one for one in ids if not _is_readable(session, one)] or ids


def _next_ids(session: Session, now: datetime, room: Room, most: int) -> Sequence[str]:
    by_hand = _by_hand(now, room).with_only_columns(Delivery.id)
    found = session.scalar(by_hand.order_by(Delivery.next_attempt_at).limit(1))
    if found is not None:
        return [found]
    endpoint_id = session.scalar(_next_endpoint(now, room).with_only_columns(Endpoint.id))
    its = Delivery.endpoint_id == endpoint_id
    for wanted in ((its, _is_due(now), _IS_FRESH), (its, _is_due(now))):
        first = select(Delivery.id).where(*wanted).order_by(Delivery.next_attempt_at).limit(most)
        if ids := session.scalars(first).all():
            return ids
    return ()


def _is_readable(session: Session, delivery_id: str) -> bool:
    try:
        delivery = session.get_one(Delivery, delivery_id, populate_existing=True)
        endpoint = session.get_one(Endpoint, delivery.endpoint_id, populate_existing=True)
        reading.letter(session, delivery, endpoint, ())
    except Exception as error:
        if aside.is_away(error):
            raise
        return False
    return True


def claim_another(
    session: Session, endpoint: Endpoint, now: datetime, secrets: tuple[str, ...], most: int
) -> Group:
    """Take the next ones of an endpoint that is healthy and whose row is locked already."""
    if endpoint.state is not EndpointState.ACTIVE or endpoint.in_flight >= endpoint.max_in_flight:
        return ()
    return _take_next(session, endpoint, now, most, secrets)


def _claim_next(session: Session, now: datetime, room: Room, most: int | None) -> Group:
    endpoint = session.scalars(
        _next_endpoint(now, room)
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if endpoint is None:
        return ()
    return _take_next(session, endpoint, now, most)


def _next_endpoint(now: datetime, room: Room) -> Select[Endpoint]:
    return (
        select(Endpoint)
        .where(*_is_ready(now), *_fits(room), _has_due(now))
        .order_by(Endpoint.last_claim_at.asc().nulls_first())
        .limit(1)
    )


def _claim_by_hand(session: Session, now: datetime, room: Room) -> Group:
    found = session.execute(
        _by_hand(now, room).order_by(Delivery.next_attempt_at).limit(1)
    ).one_or_none()
    if found is None:
        return ()
    endpoint = session.scalars(
        select(Endpoint)
        .where(Endpoint.id == found.endpoint_id, _HAS_ROOM)
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if endpoint is None:
        return ()
    wanted = _first(1, Delivery.id == found.id, _is_due(now), _IS_BY_HAND)
    return _take(session, endpoint, now, session.scalars(wanted).all())


def _take_next(
    session: Session,
    endpoint: Endpoint,
    now: datetime,
    most: int | None,
    secrets: tuple[str, ...] | None = None,
) -> Group:
    """Take the next of an endpoint's deliveries: what is new comes before a replay of many."""
    its = Delivery.endpoint_id == endpoint.id
    halve = most is None
    if endpoint.kind is EndpointKind.EMAIL or endpoint.consecutive_failures:
        most = 1
    first = most or FIRST_TOGETHER
    for wanted in ((its, _is_due(now), _IS_FRESH), (its, _is_due(now))):
        found = session.scalars(_first(first, *wanted)).all()
        if found:
            mine = found[: (len(found) + 1) // 2] if halve else found
            return _take(session, endpoint, now, mine, secrets)
    return ()


def _first(most: int, *wanted: ColumnElement[bool]) -> Select[Delivery]:
    return (
        select(Delivery)
        .where(*wanted)
        .order_by(Delivery.next_attempt_at)  # no more than the index holds: ties come as written
        .limit(most)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


def _take(
    session: Session,
    endpoint: Endpoint,
    now: datetime,
    deliveries: Sequence[Delivery],
    secrets: tuple[str, ...] | None = None,
) -> Group:
    if not deliveries:
        return ()
    if endpoint.kind is EndpointKind.WEBHOOK and secrets is None:
        secrets = reading.secrets_of(session, endpoint, now)
    token = new_id()
    until = now + (MAIL_LEASE if endpoint.kind is EndpointKind.EMAIL else LEASE)
    leases = []
    for delivery in deliveries:
        due_at, delivery.next_attempt_at = delivery.next_attempt_at, None
        delivery.state = DeliveryState.IN_FLIGHT
        delivery.attempts += 1
        delivery.lease_token, delivery.lease_until = token, until
        if delivery.sequence is None:
            delivery.sequence = endpoint.next_sequence
            endpoint.next_sequence += 1
        leases.append(
            Lease(
                delivery.id,
                token,
                delivery.attempts,
                endpoint_id=endpoint.id,
                kind=endpoint.kind,
                is_suspect=endpoint.consecutive_failures > 0,
                trigger=delivery.trigger,
                requested_by=delivery.requested_by,
                letter=reading.letter(session, delivery, endpoint, secrets),
                due_at=due_at,
            )
        )
    endpoint.in_flight += 1
    endpoint.last_claim_at = now
    session.flush()
    return tuple(leases)


def _is_ready(now: datetime) -> tuple[ColumnElement[bool], ...]:
    cap = case(
        (Endpoint.consecutive_failures >= schedule.TRIP_AFTER, 1), else_=Endpoint.max_in_flight
    )
    return (
        Endpoint.state == EndpointState.ACTIVE,
        Endpoint.in_flight < cap,
        or_(
            Endpoint.open_until.is_(None),
            clocks.has_come(Endpoint.open_until, now, schedule.MAX_RETRY_AFTER),
        ),
    )


def _fits(room: Room) -> tuple[ColumnElement[bool], ...]:
    conditions: list[ColumnElement[bool]] = []
    if not room.mail:
        conditions.append(Endpoint.kind != EndpointKind.EMAIL)
    if not room.suspects:
        conditions.append(Endpoint.consecutive_failures == 0)
    return tuple(conditions)


def _is_due(now: datetime) -> ColumnElement[bool]:
    free = aside.free("relay", Delivery.id, now)
    return and_(_IS_PENDING, Delivery.next_attempt_at <= now, free)


def _has_due(now: datetime) -> ColumnElement[bool]:
    return exists().where(Delivery.endpoint_id == Endpoint.id, _is_due(now)).correlate(Endpoint)


def _by_hand(now: datetime, room: Room) -> Select[str, str]:
    return (
        select(Delivery.id, Delivery.endpoint_id)
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .where(_is_due(now), _IS_BY_HAND, _HAS_ROOM, *_fits(room))
    )
