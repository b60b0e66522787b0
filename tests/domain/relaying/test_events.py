from __future__ import annotations

import json
from base64 import b32encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete

from app.domain.relaying import endpoints, events
from app.extensions import unit_of_work
from app.models.base import utcnow
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint, EndpointState
from app.outbound.relay.claim import claim
from tests.support.clients import Department, department
from tests.support.rows import Rows

AT = datetime(2026, 11, 21, 23, 30, 0, 125_000, tzinfo=UTC)


@pytest.fixture
def registrar(rows: Rows) -> Department:
    return department(rows)


def record(
    app: Flask, registrar: Department, endpoint: Endpoint, data: Any = None, **more: Any
) -> Delivery | None:
    with app.app_context(), unit_of_work() as session:
        return events.record(
            session,
            events.Happening(
                endpoint.id,
                EventType.MESSAGE_STATUS,
                {"status": "sent"} if data is None else data,
                client_id=registrar.client.id,
                occurred_at=AT,
                **more,
            ),
        )


def test_an_event_is_its_delivery_with_the_body_that_will_be_sent(
    app: Flask, registrar: Department
) -> None:
    delivery = record(app, registrar, registrar.endpoint(), {"text": "Grüße 🎓"})
    assert delivery is not None
    assert delivery.body == (
        '{"type":"message.status","timestamp":"2026-11-21T23:30:00.125Z",'
        '"data":{"text":"Grüße 🎓"}}'
    )
    assert delivery.event_id.startswith("msg_")
    assert "." not in delivery.event_id
    assert delivery.state is DeliveryState.PENDING


def test_the_id_follows_from_endpoint_and_happening_alone(
    app: Flask, registrar: Department, rows: Rows
) -> None:
    """A restored database that takes something in again tells it by the same id."""
    one, other = registrar.endpoint(), registrar.endpoint()
    first = record(app, registrar, one, dedupe_key="01A:sent", identity="SM1:sent")
    elsewhere = record(app, registrar, other, dedupe_key="01A:sent", identity="SM1:sent")
    rows.change(delete(Delivery))
    again = record(app, registrar, one, dedupe_key="01B:sent", identity="SM1:sent")
    assert first is not None
    assert elsewhere is not None
    assert again is not None
    assert first.event_id == again.event_id != elsewhere.event_id
    expected = b32encode(sha256(f"{one.id}:SM1:sent".encode()).digest())[:26].decode()
    assert first.event_id == f"msg_{expected}"


def test_what_has_no_name_is_new_each_time(app: Flask, registrar: Department) -> None:
    endpoint = registrar.endpoint()
    pings = [record(app, registrar, endpoint) for _ in range(2)]
    assert len({ping.event_id for ping in pings if ping}) == 2


def test_it_is_given_up_after_96_hours(
    app: Flask, registrar: Department, time_machine: Any
) -> None:
    time_machine.move_to(AT, tick=False)
    delivery = record(app, registrar, registrar.endpoint())
    assert delivery is not None
    assert delivery.next_attempt_at == AT
    assert delivery.give_up_at == AT + timedelta(hours=96)


def test_the_same_happening_makes_one_event_per_endpoint(
    app: Flask, registrar: Department, rows: Rows
) -> None:
    one, other = registrar.endpoint(), registrar.endpoint()
    assert record(app, registrar, one, dedupe_key="twilio:SM1:sent")
    assert record(app, registrar, one, dedupe_key="twilio:SM1:sent") is None
    assert record(app, registrar, other, dedupe_key="twilio:SM1:sent")
    assert record(app, registrar, one, dedupe_key="twilio:SM1:" + "long" * 60)
    assert rows.count(Delivery) == 3


def test_a_happening_told_twice_at_the_same_moment_makes_one_event(
    app: Flask, registrar: Department, rows: Rows
) -> None:
    endpoint, together = registrar.endpoint(), Barrier(4)

    def tell(_: int) -> bool:
        together.wait(10)
        return record(app, registrar, endpoint, dedupe_key="twilio:SM1:sent") is not None

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(tell, range(4))) == [False, False, False, True]
    assert rows.count(Delivery) == 1


@pytest.mark.database("postgresql")  # SQLite has one writer at a time, whatever it writes
@pytest.mark.parametrize("meanwhile", ["records many", "claims"])
def test_who_tells_an_endpoint_waits_for_nobody_else_at_work_on_it(
    meanwhile: str, app: Flask, registrar: Department, rows: Rows
) -> None:
    endpoint = registrar.endpoint()
    record(app, registrar, endpoint, {"status": "queued"})
    with app.app_context(), unit_of_work() as session:  # a long transaction of somebody
        if meanwhile == "claims":
            assert claim(session, utcnow()) is not None
            session.flush()
        else:
            events.record_all(session, [_sent(registrar, endpoint) for _ in range(500)])
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(record, app, registrar, endpoint).result(5) is not None


@pytest.mark.database("postgresql")
def test_what_is_recorded_while_an_endpoint_is_disabled_is_held(
    app: Flask, registrar: Department, rows: Rows
) -> None:
    """Judged by what it was, an event would go on waiting beside those that are held."""
    endpoint = registrar.endpoint()
    with ThreadPoolExecutor(1) as pool, app.app_context():
        with unit_of_work() as session:
            endpoints.disable(session, session.get_one(Endpoint, endpoint.id), "pat")
            session.flush()
            recording = pool.submit(record, app, registrar, endpoint)
            with pytest.raises(TimeoutError):
                recording.result(0.3)
        assert recording.result(5)
    assert rows.one(Delivery).state is DeliveryState.HELD


def test_many_are_recorded_by_as_many_statements_as_one(
    app: Flask, registrar: Department, rows: Rows, statements: list[str]
) -> None:
    one, other = registrar.endpoint(), registrar.endpoint()
    with app.app_context(), unit_of_work() as session:
        statements.clear()
        events.record_all(
            session, [_sent(registrar, endpoint) for endpoint in (one, other) for _ in range(50)]
        )
        assert len(statements) == 2
    assert rows.count(Delivery) == 100


def _sent(registrar: Department, endpoint: Endpoint) -> events.Happening:
    return events.Happening(
        endpoint.id, EventType.MESSAGE_STATUS, {"status": "sent"}, registrar.client.id, AT
    )


def test_what_is_for_a_disabled_endpoint_is_held(app: Flask, registrar: Department) -> None:
    delivery = record(app, registrar, registrar.endpoint(state=EndpointState.DISABLED))
    assert delivery is not None
    assert delivery.state is DeliveryState.HELD
    assert delivery.next_attempt_at is None


def test_a_paused_endpoint_keeps_its_events_waiting(app: Flask, registrar: Department) -> None:
    delivery = record(app, registrar, registrar.endpoint(state=EndpointState.PAUSED))
    assert delivery is not None
    assert delivery.state is DeliveryState.PENDING


def test_more_than_128_kib_is_refused_and_leaves_nothing_behind(
    app: Flask, registrar: Department, rows: Rows
) -> None:
    endpoint = registrar.endpoint()
    with pytest.raises(events.EventTooLargeError, match="more than 131072"):
        record(app, registrar, endpoint, {"text": "€" * 44_000})
    assert rows.count(Delivery) == 0


def test_half_a_surrogate_pair_does_not_stop_an_event(app: Flask, registrar: Department) -> None:
    delivery = record(app, registrar, registrar.endpoint(), {"text": "half \ud83c of it"})
    assert delivery is not None
    assert json.loads(delivery.body)["data"]["text"] == "half ? of it"


def test_an_unknown_endpoint_is_an_error(app: Flask, registrar: Department) -> None:
    with pytest.raises(LookupError, match="there is no endpoint nowhere"):
        record(app, registrar, Endpoint(id="nowhere"))
