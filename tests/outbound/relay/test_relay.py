"""Events on their way: what is sent, what is written down, when it is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from standardwebhooks import Webhook

from app.domain.relaying import endpoints
from app.extensions import unit_of_work
from app.models.base import new_id
from app.models.client import Client
from app.models.credential import SavedCredential
from app.models.delivery import (
    AttemptTrigger,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    EventType,
)
from app.models.endpoint import (
    DisabledReason,
    Endpoint,
    EndpointKind,
    EndpointSecret,
    EndpointState,
)
from app.outbound.relay import sweep
from tests.support.clients import SECRET, Department
from tests.support.hostile import answering, dripping, resetting, sending
from tests.support.relay import Receiver, in_turn, run
from tests.support.rows import Rows

Record = Callable[..., Delivery]
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.settings(WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8")


def delivery_of(rows: Rows, delivery: Delivery) -> Delivery:
    return rows.one(select(Delivery).where(Delivery.id == delivery.id))


def attempts_of(rows: Rows, delivery: Delivery) -> list[DeliveryAttempt]:
    wanted = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery.id)
    return list(rows.all(wanted.order_by(DeliveryAttempt.id)))


def sweep_up(app: Flask) -> None:
    with app.app_context():
        sweep.sweep()


# --- one delivery --------------------------------------------------------------------------------


def test_an_event_arrives_signed_and_is_written_down(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record
) -> None:
    delivery = record(registrar.endpoint(receiver.url("/hooks")), status="delivered")
    receiver.behave(answering("202 Accepted", b"thanks", {"X-Seen": "1"}))
    run(app)
    (received,) = receiver.received
    assert received.line == "POST /hooks HTTP/1.1"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"].startswith("Dispatch/")
    after = delivery_of(rows, delivery)
    assert received.body == after.content
    assert received.id == delivery.event_id
    event = Webhook(SECRET).verify(received.body, received.headers)
    assert event["data"] == {"status": "delivered", "sequence": 1}
    assert after.state is DeliveryState.DELIVERED
    assert (after.attempts, after.last_status, after.last_error) == (1, 202, None)
    assert after.delivered_at is not None
    assert (after.next_attempt_at, after.lease_token) == (None, None)
    (attempt,) = attempts_of(rows, delivery)
    assert (attempt.number, attempt.trigger, attempt.status) == (1, AttemptTrigger.AUTO, 202)
    assert (attempt.address, attempt.url) == ("127.0.0.1", receiver.url("/hooks"))
    assert (attempt.response_body, attempt.error, attempt.detail) == ("thanks", None, None)
    assert attempt.response_headers["X-Seen"] == "1"
    assert attempt.request_headers["webhook-signature"] == "v1,•••", "masked"
    assert rows.one(Endpoint).in_flight == 0


def test_each_try_is_signed_anew_under_the_same_id(
    app: Flask, registrar: Department, receiver: Receiver, record: Record, time_machine: Any
) -> None:
    time_machine.move_to(datetime.now(UTC))
    receiver.behave(in_turn(answering("500 Oops"), answering()))
    record(registrar.endpoint(receiver.url()))
    run(app)
    time_machine.shift(timedelta(seconds=7))
    run(app)
    first, second = receiver.received
    assert first.id == second.id
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
    for received in (first, second):
        Webhook(SECRET).verify(received.body, received.headers)


def test_both_secrets_sign_until_the_old_one_expires(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record,
    time_machine: Any,
) -> None:  # fmt: skip
    time_machine.move_to(datetime.now(UTC))
    endpoint = registrar.endpoint(receiver.url())
    new = "whsec_" + "bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldy0="
    expires = datetime.now(UTC) + timedelta(hours=24)
    rows.change(update(EndpointSecret).values(expires_at=expires))
    rows.add(EndpointSecret(endpoint_id=endpoint.id, secret=new))
    record(endpoint)
    run(app)
    (during,) = receiver.received
    for secret in (SECRET, new):
        Webhook(secret).verify(during.body, during.headers)
    assert during.headers["webhook-signature"].count("v1,") == 2
    time_machine.shift(timedelta(hours=24, seconds=1))
    record(endpoint)
    run(app)
    after = receiver.received[-1]
    Webhook(new).verify(after.body, after.headers)
    assert after.headers["webhook-signature"].count("v1,") == 1
    sweep_up(app)
    assert rows.one(EndpointSecret).secret == new


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_plain_url_is_filled_and_called_with_its_log_in(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record, method: str
) -> None:
    saved = SavedCredential(
        id=new_id(), client_id=registrar.client.id, name="legacy", username="disp",
        password="pä:ss", origins=[receiver.url("").rstrip("/")],
    )  # fmt: skip
    rows.add(saved)
    endpoint = registrar.endpoint(
        receiver.url("/done/{{ batchId }}?who={{ netid }}"), kind=EndpointKind.PLAIN,
        method=method, saved_credential_id=saved.id,
    )  # fmt: skip
    delivery = record(endpoint, batchId="B/1", member={"netid": "ada lovelace"})
    run(app)
    (received,) = receiver.received
    assert received.line == f"{method} /done/B%2F1?who=ada%20lovelace HTTP/1.1"
    assert received.headers["authorization"] == "Basic ZGlzcDpww6Q6c3M="
    assert "webhook-signature" not in received.headers
    assert received.id == delivery.event_id
    assert received.body == (delivery_of(rows, delivery).content if method == "POST" else "")
    (attempt,) = attempts_of(rows, delivery)
    assert attempt.request_headers["Authorization"] == "Basic •••"
    assert delivery_of(rows, delivery).state is DeliveryState.DELIVERED


def test_a_log_in_goes_nowhere_that_nobody_wrote_down(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record
) -> None:
    """Looked at when it is sent as well: the origins may be others than when it was chosen."""
    saved = SavedCredential(
        id=new_id(), client_id=registrar.client.id, name="legacy", username="disp",
        password="secret", origins=["https://sis.example.edu"],
    )  # fmt: skip
    rows.add(saved)
    endpoint = registrar.endpoint(
        receiver.url("/done"), kind=EndpointKind.PLAIN, saved_credential_id=saved.id
    )
    delivery = record(endpoint, batchId="B1", member=None)
    run(app)
    assert receiver.received == []
    (attempt,) = attempts_of(rows, delivery)
    assert attempt.error == "blocked"
    assert "may not be sent to" in (attempt.detail or "")


@pytest.mark.parametrize("moved_since", [False, True], ids=["there", "elsewhere"])
def test_an_endpoint_that_moved_goes_on_once_a_test_is_taken_there(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record,
    moved_since: bool,
) -> None:  # fmt: skip
    endpoint = registrar.endpoint("https://old.example.edu/")
    rows.add(EndpointSecret(endpoint_id=endpoint.id, secret=SECRET))
    rows.change(
        update(Endpoint)
        .where(Endpoint.id == endpoint.id)
        .values(url=receiver.url("/new"), unproven=True, state=EndpointState.PAUSED)
    )
    record(endpoint)
    run(app)
    assert receiver.received == []
    if moved_since:

        def moving(connection: Any, request: bytes) -> None:
            rows.change(update(Endpoint).values(url="https://x.edu/"))
            answering()(connection, request)

        receiver.behave(moving)
    with app.app_context(), unit_of_work() as session:
        endpoints.ping(session, session.get_one(Endpoint, endpoint.id), "pat@example.edu")
    run(app)
    fresh = rows.one(Endpoint)
    assert (fresh.unproven, fresh.state) == (
        (True, EndpointState.PAUSED) if moved_since else (False, EndpointState.ACTIVE)
    )


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "error", "status", "says"),
    [
        (answering("500 Oops"), "http_status", 500, "It answered 500: the endpoint failed."),
        (answering("404 No"), "http_status", 404, "there is nothing at this path"),
        (answering("302 F", headers={"Location": "https://x.edu/"}), "http_status", 302,
         "set the final address (https://x.edu/)"),
        (resetting(), "connection", None, "broke the connection off"),
        (sending(b"HTTP/1.1 200 OK\r\nConte"), "connection", None, "before its answer was"),
    ],
    ids=["500", "404", "302", "reset", "cut"],
)  # fmt: skip
def test_a_failure_is_explained_and_tried_again(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record,
    behaviour: Any, error: str, status: int | None, says: str,
) -> None:  # fmt: skip
    receiver.behave(behaviour)
    delivery = record(registrar.endpoint(receiver.url()))
    run(app)
    after = delivery_of(rows, delivery)
    (attempt,) = attempts_of(rows, delivery)
    assert after.state is DeliveryState.PENDING
    assert (attempt.error, attempt.status) == (error, status)
    assert says in (attempt.detail or "")
    assert after.last_error == attempt.detail
    assert attempt.next_attempt_at == after.next_attempt_at


def test_a_blocked_address_is_an_attempt_and_stays_on_the_schedule(
    app: Flask, registrar: Department, rows: Rows, record: Record
) -> None:
    delivery = record(registrar.endpoint("https://10.0.0.1/hooks"))
    run(app)
    (attempt,) = attempts_of(rows, delivery)
    assert (attempt.error, attempt.address) == ("blocked", None)
    assert delivery_of(rows, delivery).state is DeliveryState.PENDING
    assert rows.one(Endpoint).consecutive_failures == 0


def test_a_network_that_support_closes_to_a_client_is_closed_to_its_next_try(
    app: Flask, registrar: Department, receiver: Receiver, record: Record, rows: Rows
) -> None:
    endpoint = registrar.endpoint(receiver.url())
    record(endpoint)
    run(app)
    rows.change(update(Client).values(denied_networks=["127.0.0.0/8"]))
    record(endpoint)
    run(app)
    first, second = rows.all(select(DeliveryAttempt).order_by(DeliveryAttempt.id))
    assert (first.status, second.error) == (200, "blocked")
    assert "closed" in (second.detail or "")
    assert len(receiver.received) == 1


def test_the_whole_schedule_is_kept_and_then_it_is_given_up(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record,
    time_machine: Any,
) -> None:  # fmt: skip
    time_machine.move_to(START, tick=False)
    receiver.behave(answering("404 Not Found"))
    delivery = record(registrar.endpoint(receiver.url()))
    waits = []
    while (due := delivery_of(rows, delivery).next_attempt_at) is not None:
        time_machine.move_to(due - timedelta(milliseconds=5), tick=False)
        tries = len(receiver.received)
        run(app)
        assert len(receiver.received) == tries or tries == 0, "never early"
        time_machine.move_to(due, tick=False)
        run(app)
        after = delivery_of(rows, delivery).next_attempt_at
        if after is not None:
            waits.append((after - due).total_seconds())
    least = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert len(receiver.received) == 10
    for waited, at_least in zip(waits, least, strict=True):
        assert at_least <= waited <= at_least * 1.2
    assert delivery_of(rows, delivery).state is DeliveryState.EXHAUSTED
    assert [attempt.number for attempt in attempts_of(rows, delivery)] == list(range(1, 11))
    assert len({received.id for received in receiver.received}) == 1
    notice = rows.one(select(Delivery).where(Delivery.type == EventType.NOTICE))
    assert "could not be delivered" in notice.body


def test_retry_after_is_honoured(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record,
    time_machine: Any,
) -> None:  # fmt: skip
    time_machine.move_to(START, tick=False)
    receiver.behave(answering("429 Slow", headers={"Retry-After": "3600"}))
    endpoint = registrar.endpoint(receiver.url())
    delivery = record(endpoint)
    run(app)
    assert delivery_of(rows, delivery).next_attempt_at == START + timedelta(hours=1)
    record(endpoint)
    run(app)
    assert len(receiver.received) == 1, "the endpoint asked to be left alone, not only this event"


def test_410_disables_the_endpoint_and_holds_what_waits(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record
) -> None:
    receiver.behave(answering("410 Gone"))
    endpoint = registrar.endpoint(receiver.url(), max_in_flight=1)
    record(endpoint, times=3)
    run(app)
    after = rows.one(select(Endpoint).where(Endpoint.id == endpoint.id))
    assert (after.state, after.disabled_reason) == (EndpointState.DISABLED, DisabledReason.GONE)
    mine = rows.all(select(Delivery).where(Delivery.endpoint_id == endpoint.id))
    assert {delivery.state for delivery in mine} == {DeliveryState.HELD}
    assert len(receiver.received) == 1
    notice = rows.one(select(Delivery).where(Delivery.type == EventType.NOTICE))
    assert "410 Gone" in notice.body
    assert rows.one(select(Endpoint.url).where(Endpoint.id == notice.endpoint_id)) == (
        registrar.client.owner_email
    )


def test_after_five_failures_the_endpoint_is_left_alone_and_then_probed_once(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record,
    time_machine: Any,
) -> None:  # fmt: skip
    time_machine.move_to(START, tick=False)
    receiver.behave(answering("500 Oops"))
    endpoint = registrar.endpoint(receiver.url())
    record(endpoint, times=20)
    run(app)
    assert len(receiver.received) in (5, 6), "one may have been under way"
    tried = len(receiver.received)
    time_machine.shift(timedelta(seconds=29))
    run(app)
    assert len(receiver.received) == tried
    time_machine.shift(timedelta(seconds=1))
    run(app)
    assert len(receiver.received) == tried + 1, "one probe"
    time_machine.shift(timedelta(seconds=60))
    receiver.behave(answering())
    run(app)
    states = rows.all(select(Delivery.state).where(Delivery.endpoint_id == endpoint.id))
    assert set(states) <= {DeliveryState.DELIVERED, DeliveryState.PENDING}
    assert states.count(DeliveryState.DELIVERED) >= 14, "the success closed the breaker"


def test_a_failure_of_one_event_does_not_stop_the_others(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record
) -> None:
    receiver.behave(answering("422 No"))
    record(registrar.endpoint(receiver.url()), times=8)
    run(app)
    assert len(receiver.received) == 8
    assert rows.one(Endpoint).open_until is None


def test_warnings_at_one_day_and_three_then_disabled_after_five(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record,
    time_machine: Any,
) -> None:  # fmt: skip
    time_machine.move_to(START, tick=False)
    receiver.behave(answering("500 Oops"))
    endpoint = registrar.endpoint(receiver.url())
    record(endpoint)
    run(app)
    told = []
    for hours in range(0, 132, 6):
        time_machine.move_to(START + timedelta(hours=hours, minutes=1), tick=False)
        sweep_up(app)
        told.append(
            len(rows.all(select(Delivery.id).where(Delivery.dedupe_key.like("%:failing:%"))))
        )
        if hours == 96:
            record(endpoint)
    assert told == [0] * 4 + [1] * 8 + [2] * 10
    after = rows.one(select(Endpoint).where(Endpoint.id == endpoint.id))
    assert (after.state, after.disabled_reason) == (EndpointState.DISABLED, DisabledReason.FAILING)
    held = select(Delivery).where(Delivery.state == DeliveryState.HELD)
    assert rows.one(held).endpoint_id == endpoint.id


# --- processes that die, several at once ---------------------------------------------------------


def test_a_lease_that_runs_out_is_an_attempt_and_the_event_goes_again(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record,
    time_machine: Any,
) -> None:  # fmt: skip
    time_machine.move_to(START, tick=False)
    endpoint = registrar.endpoint(receiver.url())
    delivery = record(endpoint)
    rows.change(
        update(Delivery).values(
            state=DeliveryState.IN_FLIGHT, lease_token="dead", next_attempt_at=None, attempts=1,
            lease_until=START + timedelta(seconds=45),
        )
    )  # fmt: skip
    rows.change(update(Endpoint).values(in_flight=1))
    sweep_up(app)
    assert delivery_of(rows, delivery).state is DeliveryState.IN_FLIGHT, "not yet"
    time_machine.shift(timedelta(seconds=46))
    sweep_up(app)
    assert rows.one(Endpoint).in_flight == 0
    assert rows.one(Endpoint).consecutive_failures == 0, "it is no fault of the endpoint"
    time_machine.shift(timedelta(seconds=7))
    run(app)
    assert delivery_of(rows, delivery).state is DeliveryState.DELIVERED
    assert [attempt.error for attempt in attempts_of(rows, delivery)] == ["lost", None]


def test_wrong_counters_are_corrected(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record
) -> None:
    endpoint = registrar.endpoint(receiver.url(), in_flight=2)
    record(endpoint)
    run(app)
    assert receiver.received == [], "the cap is reached"
    sweep_up(app)
    run(app)
    assert len(receiver.received) == 1


def test_what_a_person_asks_for_keeps_to_two_at_once(
    app: Flask, registrar: Department, receiver: Receiver
) -> None:
    endpoint = registrar.endpoint(receiver.url(), in_flight=2)
    with app.app_context(), unit_of_work() as session:
        endpoints.ping(session, session.get_one(Endpoint, endpoint.id), "pat@example.edu")
    run(app)
    assert receiver.received == []
    sweep_up(app)  # nothing is under way in truth
    run(app)
    assert len(receiver.received) == 1


def test_what_is_too_old_is_given_up_except_in_a_pause(
    app: Flask, registrar: Department, rows: Rows, record: Record, time_machine: Any
) -> None:
    time_machine.move_to(START, tick=False)
    late = record(registrar.endpoint(open_until=START + timedelta(days=9)))
    paused = record(registrar.endpoint(state=EndpointState.PAUSED))
    time_machine.shift(timedelta(hours=96, seconds=1))
    sweep_up(app)
    assert delivery_of(rows, late).state is DeliveryState.EXHAUSTED
    assert delivery_of(rows, paused).state is DeliveryState.PENDING


def test_a_paused_endpoint_gets_nothing(
    app: Flask, registrar: Department, receiver: Receiver, record: Record
) -> None:
    record(registrar.endpoint(receiver.url(), state=EndpointState.PAUSED))
    run(app)
    assert receiver.received == []


def test_no_more_than_two_requests_at_once_to_one_endpoint(
    app: Flask, registrar: Department, receiver: Receiver, rows: Rows, record: Record
) -> None:
    answer = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0)
    busy: list[int] = []
    now: list[int] = []

    def watch(connection: Any, request: bytes) -> None:
        now.append(1)
        busy.append(len(now))
        time.sleep(0.2)
        now.pop()  # before the answer: once that is read, the next request may come
        answer(connection, request)

    receiver.behave(watch)
    record(registrar.endpoint(receiver.url()), times=6)
    run(app)
    assert len(busy) == 6
    assert max(busy) == 2
