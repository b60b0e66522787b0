"""Events: what one endpoint is to be told, written in the transaction in which it happened.

The database is the truth: an event that was committed is delivered, whatever happens to Redis or
to a process. After the commit the caller may ``wake("relay")`` so that it goes out at once.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.models.base import insert_into, utcnow
from app.models.delivery import Delivery, DeliveryState, EventType, new_event_id
from app.models.endpoint import Endpoint, EndpointState

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 128 * 1024
SEQUENCE_BYTES = 32
"""Room in it for the place in the endpoint's order, which comes last."""
GIVE_UP_AFTER = timedelta(hours=96)
"""Longer than the schedule of retries with all its jitter (90.7 h), so that an open breaker does
not cost a delivery its last tries."""

STANDARD_ATTRIBUTES = ("toName", "toPhone", "toAddress")
"""Of a member whose attributes would make an event too large, these alone are told."""


class EventTooLargeError(ValueError):
    """The event's JSON would be larger than 128 KiB, more than receivers can be asked to read."""


@dataclass(frozen=True)
class Happening:
    """What one endpoint is to be told, before it is written down."""

    endpoint_id: str
    type: EventType
    data: Mapping[str, Any]
    """What the receiver gets as ``data``; ``sequence`` is added when it is first sent."""
    client_id: str | None
    """Whose event it is; None for mails of our own, which no client sees."""
    occurred_at: datetime
    """When it happened, aware; the body's ``timestamp``."""
    dedupe_key: str | None = None
    """Names the happening: told again, it makes no second event for the same endpoint."""
    identity: str | None = None
    """Names it for good, by Twilio's SID where there is one: the event's id follows from this, even
    where a restored database takes it in again as another row. The dedupe key when not given; where
    there is neither, each event is new."""
    incoming_id: str | None = None
    message_id: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    """What the sending needs beyond the body, such as the member's attributes."""
    not_before: datetime | None = None
    """The first try waits until then, for something that is still to come; now when not given."""


def record(session: Session, happening: Happening) -> Delivery | None:
    """Record an event for one endpoint, within the caller's transaction.

    No row is locked that others need: the event gets its place in the endpoint's order,
    ``data.sequence``, when it is first claimed.

    :returns: the delivery on its way, or None if the happening was recorded before. One to a
        disabled endpoint is ``held`` until the endpoint is enabled.
    :raises LookupError: when there is no such endpoint.
    :raises EventTooLargeError: when the body would exceed 128 KiB even without most of the
        member's attributes.
    """
    (row,) = _rows(session, [happening])
    recorded: Delivery | None = session.scalar(_insert(session).values(row).returning(Delivery))
    return recorded


def record_all(session: Session, happenings: Sequence[Happening]) -> None:
    """Record several events by one statement for all of them; else as :func:`record`."""
    session.execute(
        _insert(session),
        _rows(session, happenings),
        execution_options={"render_nulls": True},  # so that all rows are one statement's
    )


def _insert(session: Session) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that leaves out what was recorded before, by whomever."""
    return insert_into(session, Delivery).on_conflict_do_nothing()


def _rows(session: Session, happenings: Sequence[Happening]) -> list[dict[str, Any]]:
    states = _states(session, {happening.endpoint_id for happening in happenings})
    now = utcnow()  # a little later for each, so that they are sent in the order they are told in
    return [
        _row(one, states[one.endpoint_id], now + timedelta(microseconds=number))
        for number, one in enumerate(happenings)
    ]


def _states(session: Session, endpoint_ids: set[str]) -> dict[str, EndpointState]:
    """Return the states of endpoints; none of them is enabled or disabled before the commit.

    Shared, and with all who only count or judge an endpoint's tries as well.
    """
    found = session.execute(
        select(Endpoint.id, Endpoint.state)
        .where(Endpoint.id.in_(endpoint_ids))
        .order_by(Endpoint.id)
        .with_for_update(read=True, key_share=True)
    )
    states = {row.id: row.state for row in found}
    for missing in endpoint_ids - states.keys():
        raise LookupError(f"there is no endpoint {missing}")
    return states


def _row(happening: Happening, state: EndpointState, now: datetime) -> dict[str, Any]:
    held = state is EndpointState.DISABLED
    return {
        "client_id": happening.client_id,
        "event_id": id_of(happening.endpoint_id, happening.identity or happening.dedupe_key),
        "type": happening.type,
        "endpoint_id": happening.endpoint_id,
        "dedupe_key": key_of(happening.endpoint_id, happening.dedupe_key),
        "occurred_at": happening.occurred_at,
        "body": _body_that_fits(happening),
        "context": dict(happening.context),
        "incoming_id": happening.incoming_id,
        "message_id": happening.message_id,
        "state": DeliveryState.HELD if held else DeliveryState.PENDING,
        "next_attempt_at": None if held else happening.not_before or now,
        "give_up_at": now + GIVE_UP_AFTER,
    }


def instant(at: datetime) -> str:
    """Write an instant as clients read it: ISO 8601 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def id_of(endpoint_id: str, identity: str | None) -> str:
    """Return an event's id, its ``webhook-id``: the same for the same happening, always."""
    if identity is None:
        return new_event_id()
    digest = hashlib.sha256(f"{endpoint_id}:{identity}".encode()).digest()
    return f"msg_{base64.b32encode(digest).decode()[:26]}"


def key_of(endpoint_id: str, dedupe_key: str | None) -> str | None:
    """Return what ``Delivery.dedupe_key`` holds for a happening told to one endpoint."""
    if dedupe_key is None:
        return None
    key = f"{endpoint_id}:{dedupe_key}"
    limit = 120
    if len(key) <= limit:
        return key
    return f"{endpoint_id}:{hashlib.sha256(dedupe_key.encode()).hexdigest()}"


def _body_that_fits(happening: Happening) -> str:
    """Write the body; too much knowledge about a person must not cost what happened to them."""
    type, at = happening.type, happening.occurred_at
    data = happening.data
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
    """Write the JSON once, all but ``sequence``: the same bytes are signed and sent at every try.

    :raises EventTooLargeError: when it would exceed 128 KiB.
    """
    body = json.dumps(
        {"type": type.value, "timestamp": instant(occurred_at), "data": data},
        ensure_ascii=False,  # emoji as themselves: a third of the size of \u escapes
        separators=(",", ":"),
    ).encode("utf-8", "replace")  # half a surrogate pair is no character
    if len(body) > MAX_BODY_BYTES - SEQUENCE_BYTES:
        raise EventTooLargeError(
            f"the {type.value} event has {len(body)} bytes, more than {MAX_BODY_BYTES}; give the"
            " member fewer or shorter attributes"
        )
    return body.decode()
