"""How an endpoint does is told by its latest tries."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from app.domain.relaying import health
from app.domain.relaying.health import Health
from app.extensions import db
from app.models.base import utcnow
from app.models.delivery import (
    AttemptTrigger,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    EventType,
)
from tests.support.departments import Department, department
from tests.support.rows import Rows

Tries = list[tuple[int, str | None]]


def delivery(ours: Department, number: int, state: DeliveryState, days: int = 0) -> Delivery:
    at = utcnow() - timedelta(days=days)
    return Delivery(
        client_id=ours.client.id, endpoint_id=ours.endpoint.id, type=EventType.MESSAGE_STATUS,
        sequence=number, body="{}", occurred_at=at, created_at=at, next_attempt_at=at,
        give_up_at=at, state=state,
    )  # fmt: skip


def tried(rows: Rows, sent: Delivery, tries: Tries) -> None:
    rows.add(
        *[
            DeliveryAttempt(
                delivery_id=sent.id, endpoint_id=sent.endpoint_id, number=number, error=error,
                trigger=AttemptTrigger.AUTO, started_at=utcnow(), duration_ms=ms, url="https://x/",
            )
            for number, (ms, error) in enumerate(tries, 1)
        ]
    )  # fmt: skip


def of(app: Flask, *departments: Department) -> list[Health]:
    ids = [one.endpoint.id for one in departments]
    with app.app_context():
        found = health.of_endpoints(db.session(), ids)
    return [found[one] for one in ids]


@pytest.mark.parametrize(
    ("durations", "p95"),
    [([], None), ([7], 7), ([1, 2], 2), (list(range(1, 21)), 19), (list(range(100, 0, -1)), 95)],
    ids=["none", "one", "two", "twenty", "a hundred, slowest first"],
)
def test_95_percent_were_over_by_then(durations: list[int], p95: int | None) -> None:
    """The nearest rank: the smallest value that 95 % of the values do not exceed."""
    assert Health(durations=durations).p95_ms == p95


def test_the_latest_hundred_count_and_no_older_ones(app: Flask, rows: Rows) -> None:
    ours = department(rows, "registrar", "11")
    sent = delivery(ours, 1, DeliveryState.DELIVERED)
    rows.add(sent)
    tried(rows, sent, [(9_000, "timeout")] * 30 + [(10, None)] * 99 + [(20, "http_status")])
    (found,) = of(app, ours)
    assert (found.tries, found.success, found.p95_ms) == (100, 99, 10)


def test_each_endpoint_has_its_own(app: Flask, rows: Rows) -> None:
    ours, theirs = department(rows, "registrar", "11"), department(rows, "bursar", "77")
    sent = delivery(theirs, 1, DeliveryState.DELIVERED)
    rows.add(sent)
    tried(rows, sent, [(10, None)])
    assert [(one.tries, one.success) for one in of(app, ours, theirs)] == [(0, None), (1, 100)]


def test_what_waits_and_what_was_given_up(app: Flask, rows: Rows) -> None:
    ours = department(rows, "registrar", "11")
    rows.add(
        delivery(ours, 1, DeliveryState.PENDING, days=1),
        delivery(ours, 2, DeliveryState.HELD, days=3),
        delivery(ours, 3, DeliveryState.EXHAUSTED, days=2),
        delivery(ours, 4, DeliveryState.EXHAUSTED, days=9),
        delivery(ours, 5, DeliveryState.DELIVERED),
    )
    (found,) = of(app, ours)
    assert (found.waiting, found.held, found.given_up) == (1, 1, 1)
    assert found.oldest is not None
    assert utcnow() - found.oldest > timedelta(days=2)
