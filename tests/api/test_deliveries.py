"""What client systems do with endpoints and deliveries: test one, send one or a range again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app.models.delivery import AttemptTrigger, Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint, EndpointState
from tests.support.departments import Caller, Department
from tests.support.rows import Rows

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def _delivery(of: Department, sequence: int, state: DeliveryState, **more: Any) -> Delivery:
    return Delivery(
        client_id=of.client.id, type=EventType.SMS_RECEIVED, body="{}", sequence=sequence,
        endpoint_id=of.endpoint.id, occurred_at=NOON, give_up_at=NOON, state=state,
        created_at=NOON + timedelta(minutes=sequence), **more,
    )  # fmt: skip


def test_a_ping_is_queued_at_once(api: Caller, rows: Rows, registrar: Department) -> None:
    answer = api.post(f"endpoints/{registrar.endpoint.id}/ping")
    assert answer.status_code == 202
    assert answer.json["type"] == "endpoint.ping"
    assert answer.json["state"] == "pending"
    assert rows.one(Delivery).trigger is AttemptTrigger.PING
    assert api.get(f"deliveries/{answer.json['id']}").json == answer.json


def test_a_delivery_is_sent_again_with_its_id(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    made = _delivery(registrar, 1, DeliveryState.EXHAUSTED)
    rows.add(made)
    answer = api.post(f"deliveries/{made.id}/resend")
    assert answer.status_code == 202
    assert (answer.json["event"], answer.json["state"]) == (made.event_id, "pending")
    assert answer.json["nextAttemptAt"] is not None


def test_what_is_being_sent_cannot_be_sent_again(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    made = _delivery(registrar, 1, DeliveryState.IN_FLIGHT)
    rows.add(made)
    answer = api.post(f"deliveries/{made.id}/resend")
    assert (answer.status_code, answer.json["detail"]) == (
        409, "This delivery is being sent right now.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "count", "pending"),
    [
        ({"from": "2026-11-21T12:00:00Z", "dryRun": True}, 1, 0),
        ({"from": "2026-11-21T12:00:00Z"}, 1, 1),
        ({"from": "2026-11-21T06:00:00-06:00", "failedOnly": False}, 2, 2),
        ({"from": "2026-11-21T12:00:00Z", "to": "2026-11-21T12:01:00Z"}, 0, 0),
    ],
    ids=["counted only", "failed ones", "all, in another zone", "before the first"],
)
def test_a_range_is_sent_again(
    api: Caller, rows: Rows, registrar: Department, body: dict[str, Any], count: int, pending: int
) -> None:
    rows.add(
        _delivery(registrar, 1, DeliveryState.EXHAUSTED),
        _delivery(registrar, 2, DeliveryState.DELIVERED),
    )
    answer = api.post(f"endpoints/{registrar.endpoint.id}/replay", body)
    assert answer.status_code == 202, answer.json
    assert answer.json == {"count": count, "dryRun": body.get("dryRun", False)}
    assert len(api.get("deliveries?state=pending").json["items"]) == pending


def test_a_range_turned_round_is_422(api: Caller, registrar: Department) -> None:
    body = {"from": "2026-11-22T00:00:00Z", "to": "2026-11-21T00:00:00Z"}
    answer = api.post(f"endpoints/{registrar.endpoint.id}/replay", body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["from"]


def test_nothing_is_replayed_to_a_disabled_endpoint(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    rows.change(update(Endpoint).values(state=EndpointState.DISABLED))
    body = {"from": "2026-11-21T00:00:00Z"}
    assert api.post(f"endpoints/{registrar.endpoint.id}/replay", body).status_code == 409


@pytest.mark.parametrize("act", ["ping", "replay", "resend"])
def test_another_clients_are_not_there(
    other: Caller, rows: Rows, registrar: Department, act: str
) -> None:
    made = _delivery(registrar, 1, DeliveryState.EXHAUSTED)
    rows.add(made)
    path = (
        f"deliveries/{made.id}/resend"
        if act == "resend"
        else f"endpoints/{registrar.endpoint.id}/{act}"
    )
    assert other.post(path, {"from": "2026-11-21T00:00:00Z"}).status_code == 404
    assert rows.one(Delivery).state is DeliveryState.EXHAUSTED
