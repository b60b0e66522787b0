"""Events: what one endpoint is to be told, written in the transaction in which it happened.

The database is the truth: an event that was committed is delivered, whatever happens to Redis or
to a process. After the commit the caller may ``wake("relay")`` so that it goes out at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.models.base import utcnow
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint, EndpointState

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 64 * 1024
GIVE_UP_AFTER = timedelta(hours=96)
"""Longer than the schedule of retries with all its jitter (90.7 h), so that an open breaker does
not cost a delivery its last tries."""

STANDARD_ATTRIBUTES = ("toName", "toPhone", "toAddress")
"""Of a member whose attributes would make an event too large, these alone are told."""


class EventTooLargeError(ValueError):
    """The event's JSON would be larger than 64 KiB, more than receivers can be asked to read."""


@dataclass(frozen=True)
class Happening:
    """What one endpoint is to be told, before it is written down."""

    endpoint_id: str
    type: EventType
    data: Mapping[str, Any]
    """What the receiver gets as ``data``; ``sequence`` is added."""
    client_id: str | None
    """Whose event it is; None for mails of our own, which no client sees."""
    occurred_at: datetime
    """When it happened, aware; the body's ``timestamp``."""
    dedupe_key: str | None = None
    """Names the happening: told again, it makes no second event for the same endpoint."""
    incoming_id: str | None = None
    message_id: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    """What the sending needs beyond the body, such as the member's attributes."""
    not_before: datetime | None = None
    """The first try waits until then, for something that is still to come; now when not given."""


def record(session: Session, happening: Happening) -> Delivery | None:
    """Record an event for one endpoint, within the caller's transaction.

    The endpoint's row is locked until the transaction ends, because ``data.sequence`` counts per
    endpoint; who records for several endpoints does so in the order of their ids.

    :returns: the delivery on its way, or None if the happening was recorded before. One to a
        disabled endpoint is ``held`` until the endpoint is enabled.
    :raises LookupError: when there is no such endpoint.
    :raises EventTooLargeError: when the body would exceed 64 KiB even without most of the
        member's attributes.
    """
    endpoint_id = happening.endpoint_id
    sequence, state = _next_sequence(session, endpoint_id)
    key = key_of(endpoint_id, happening.dedupe_key)
    if key and session.scalar(select(Delivery.id).where(Delivery.dedupe_key == key)):
        _give_back(session, endpoint_id)
        return None
    try:
        delivery = _delivery(happening, sequence, state)
    except EventTooLargeError:
        _give_back(session, endpoint_id)
        raise
    session.add(delivery)
    session.flush()
    return delivery


def _delivery(happening: Happening, sequence: int, state: EndpointState) -> Delivery:
    now = utcnow()
    held = state is EndpointState.DISABLED
    return Delivery(
        client_id=happening.client_id,
        type=happening.type,
        endpoint_id=happening.endpoint_id,
        dedupe_key=key_of(happening.endpoint_id, happening.dedupe_key),
        sequence=sequence,
        occurred_at=happening.occurred_at,
        body=_body_that_fits(happening, sequence),
        context=dict(happening.context),
        incoming_id=happening.incoming_id,
        message_id=happening.message_id,
        state=DeliveryState.HELD if held else DeliveryState.PENDING,
        next_attempt_at=None if held else happening.not_before or now,
        give_up_at=now + GIVE_UP_AFTER,
    )


def instant(at: datetime) -> str:
    """Write an instant as clients read it: ISO 8601 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _next_sequence(session: Session, endpoint_id: str) -> tuple[int, EndpointState]:
    row = session.execute(
        update(Endpoint)
        .where(Endpoint.id == endpoint_id)
        .values(next_sequence=Endpoint.next_sequence + 1)
        .returning(Endpoint.next_sequence - 1, Endpoint.state)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        raise LookupError(f"there is no endpoint {endpoint_id}")
    return row[0], row[1]


def _give_back(session: Session, endpoint_id: str) -> None:
    """Return an unused number: a gap would look to the receiver like something lost."""
    session.execute(
        update(Endpoint)
        .where(Endpoint.id == endpoint_id)
        .values(next_sequence=Endpoint.next_sequence - 1)
        .execution_options(synchronize_session=False)
    )


def key_of(endpoint_id: str, dedupe_key: str | None) -> str | None:
    """Return what ``Delivery.dedupe_key`` holds for a happening told to one endpoint."""
    if dedupe_key is None:
        return None
    key = f"{endpoint_id}:{dedupe_key}"
    limit = 120
    if len(key) <= limit:
        return key
    return f"{endpoint_id}:{hashlib.sha256(dedupe_key.encode()).hexdigest()}"


def _body_that_fits(happening: Happening, sequence: int) -> str:
    """Write the body; too much knowledge about a person must not cost what happened to them."""
    type, at = happening.type, happening.occurred_at
    data = {**happening.data, "sequence": sequence}
    try:
        return body_of(type, at, data)
    except EventTooLargeError as error:
        member = data.get("member")
        if not isinstance(member, Mapping):
            raise
        log.warning("member attributes left out of an event", reason=str(error))
        short = {name: str(member[name])[:500] for name in STANDARD_ATTRIBUTES if name in member}
        return body_of(type, at, {**data, "member": short})


def body_of(type: EventType, occurred_at: datetime, data: Mapping[str, Any]) -> str:
    """Write the JSON once: the same bytes are signed and sent at every try.

    :raises EventTooLargeError: when it would exceed 64 KiB.
    """
    body = json.dumps(
        {"type": type.value, "timestamp": instant(occurred_at), "data": data},
        ensure_ascii=False,  # emoji as themselves: a third of the size of \u escapes
        separators=(",", ":"),
    ).encode("utf-8", "replace")  # half a surrogate pair is no character
    if len(body) > MAX_BODY_BYTES:
        raise EventTooLargeError(
            f"the {type.value} event has {len(body)} bytes, more than {MAX_BODY_BYTES}; give the"
            " member fewer or shorter attributes"
        )
    return body.decode()
