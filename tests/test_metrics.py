"""/metrics: figures for those who have the token."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from unittest.mock import Mock

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.domain import alive
from app.extensions import redis_client
from app.inbound import calls
from app.models.base import utcnow
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination
from tests.support.inbound import NUMBER, PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio, call_parameters, sms_parameters

TOKEN = "let-me-see"


def test_without_the_setting_there_is_none(client: FlaskClient) -> None:
    assert client.get("/metrics").status_code == 404


@pytest.mark.settings(METRICS_TOKEN=TOKEN)
@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "é"])
def test_only_with_the_token(given: str | None, client: FlaskClient) -> None:
    headers = {} if given is None else {"Authorization": given.encode().decode("latin-1")}
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def figures(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Return each figure by its name and labels."""
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.mark.settings(METRICS_TOKEN=TOKEN)
def test_what_waits_is_counted(rows: Rows, client: FlaskClient) -> None:
    department = Department(rows)
    number = department.number()
    for state in (MessageState.WAITING, MessageState.WAITING, MessageState.ACCEPTED):
        rows.add(
            Message(
                client_id=department.client.id,
                destination=Destination.SMS,
                sender_id=number.id,
                credential_id=department.credential.id,
                to=PHONE,
                from_=NUMBER,
                state=state,
            )
        )
    found = figures(client)
    assert found["dispatch_database_up",] == 1
    assert found["dispatch_messages", "waiting"] == 2
    assert found["dispatch_messages", "claimed"] == 0
    assert found["dispatch_deliveries", "pending"] == 0


def counters() -> set[str]:
    """Return the name of everything that is defined to be counted, wherever that is."""
    families = REGISTRY.collect()
    return {one.name for one in families if one.name.startswith("dispatch_") and counts(one)}


def counts(family: Metric) -> bool:
    return family.type == "counter"


def counted(client: FlaskClient, name: str) -> float:
    """Return how far a counter is, whatever its labels."""
    return sum(value for (one, *_), value in figures(client).items() if one == f"{name}_total")


HAPPENINGS: dict[str, Callable[[Twilio], object]] = {
    "dispatch_unknown_ids": lambda twilio: twilio.post(
        f"/inbound/voice/dialed/{'0' * 26}", call_parameters()
    ),
    "dispatch_arrivals": lambda twilio: (twilio.sms(), twilio.call()),
}
"""What moves each of them, as it comes from outside."""


def test_each_counter_is_known_here(client: FlaskClient) -> None:
    assert counters() == set(HAPPENINGS)


@pytest.mark.settings(METRICS_TOKEN=TOKEN)
@pytest.mark.parametrize("name", HAPPENINGS)
def test_each_counter_is_counted(
    name: str, rows: Rows, client: FlaskClient, twilio: Twilio
) -> None:
    Department(rows).number()
    before = counted(client, name)
    HAPPENINGS[name](twilio)
    assert counted(client, name) > before


@pytest.mark.settings(METRICS_TOKEN=TOKEN)
def test_answers_are_timed_by_route_and_status(
    rows: Rows, client: FlaskClient, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    Department(rows).auto_reply()
    status_route = "/inbound/sms/status/<message_id>"
    keys = {
        "well": ("/inbound/sms", "2xx"), "forged": ("/inbound/sms", "4xx"),
        "failed": ("/inbound/voice", "failed"), "report": (status_route, "2xx"),
    }  # fmt: skip
    before = figures(client)
    twilio.sms()
    client.post("/inbound/sms", data=sms_parameters())
    twilio.post(f"/inbound/sms/status/{'0' * 26}", sms_parameters())
    monkeypatch.setattr(calls, "take_in", Mock(side_effect=RuntimeError("broken")))
    assert "something went wrong" in twilio.call().text.lower()
    after = figures(client)
    name = "dispatch_answer_seconds_count"
    counted = {what: after[name, *key] - before.get((name, *key), 0) for what, key in keys.items()}
    assert counted == {"well": 1, "forged": 1, "failed": 1, "report": 1}


@pytest.mark.settings(METRICS_TOKEN=TOKEN)
def test_what_was_heard_within_a_minute_is_told_with_its_codes(
    rows: Rows, client: FlaskClient
) -> None:
    department = Department(rows)
    number = department.number()
    sent = Message(
        client_id=department.client.id, destination=Destination.SMS, sender_id=number.id,
        credential_id=department.credential.id, to=PHONE, from_=NUMBER,
        state=MessageState.ACCEPTED,
    )  # fmt: skip
    rows.add(sent)
    for status, code, seconds in (
        ("delivered", None, 1), ("undelivered", 30007, 2), ("undelivered", 30007, 50),
        ("undelivered", 30007, 90),
    ):  # fmt: skip
        at = utcnow() - timedelta(seconds=seconds)
        rows.add(
            MessageReport(
                message_id=sent.id, status=status, error_code=code, at=at, source="callback"
            )
        )
    found = figures(client)
    name = "dispatch_reported_last_minute"
    told = {frozenset(key[1:]): value for key, value in found.items() if key[0] == name}
    assert told == {frozenset({"delivered", ""}): 1, frozenset({"undelivered", "30007"}): 2}


@pytest.mark.settings(METRICS_TOKEN=TOKEN)
def test_a_clock_that_runs_is_there_and_one_that_is_gone_is_not(
    app: Flask, client: FlaskClient
) -> None:
    clock = ("dispatch_process_up", "clock")
    assert figures(client)[clock] == 0
    with app.app_context():
        alive.tick()
        assert 0 < redis_client().ttl(alive.CLOCK) <= alive.FORGOTTEN
    found = figures(client)
    assert (found[clock], found["dispatch_process_up", "worker-send"]) == (1, 0)
    assert found["dispatch_redis_up",] == 1


@pytest.mark.settings(METRICS_TOKEN=TOKEN, REDIS_URL="redis://127.0.0.1:1/0")
def test_without_redis_only_that_is_told(client: FlaskClient) -> None:
    found = figures(client)
    assert found["dispatch_redis_up",] == 0
    assert not [key for key in found if key[0] == "dispatch_process_up"]
    assert found["dispatch_database_up",] == 1


@pytest.mark.settings(METRICS_TOKEN=TOKEN)
def test_arrivals_are_counted_once_by_channel_and_outcome(
    rows: Rows, client: FlaskClient, twilio: Twilio
) -> None:
    Department(rows).auto_reply()
    keys = (
        ("dispatch_arrivals_total", "sms", "replied"),
        ("dispatch_arrivals_total", "voice", "no_route"),
    )
    before = figures(client)
    for parameters in [sms_parameters()] * 2:  # Twilio repeats a request now and then
        assert twilio.post("/inbound/sms", parameters).status_code == 200
    assert twilio.call().status_code == 200
    after = figures(client)
    assert [after[key] - before.get(key, 0) for key in keys] == [1, 1]
