"""Many events for one endpoint: taken, sent and written down in groups, over few connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain.addresses import PUBLIC, Networks
from app.extensions import unit_of_work
from app.models.base import utcnow
from app.models.delivery import Delivery, DeliveryAttempt, DeliveryState
from app.models.endpoint import Endpoint
from app.outbound.relay import attempt as attempts
from app.outbound.relay import sweep
from app.outbound.relay.claim import claim
from app.outbound.relay.transport import Call, Wire
from tests.support.clients import Department
from tests.support.relay import run
from tests.support.rows import Rows

Record = Callable[..., Delivery]
pytestmark = pytest.mark.settings(WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8")
LOOPBACK = Networks((ip_network("127.0.0.0/8"),))


class Kept:
    """An endpoint that keeps its connections open, as HTTP/1.1 does."""

    def __init__(self) -> None:
        self.connections = 0
        self.ids: list[str] = []
        self.statuses: list[int] = []
        """What it answers next; 204 when there is none."""
        self.close_after_each = False
        self.url = ""


@contextmanager
def keeping() -> Iterator[Kept]:
    kept = Kept()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            kept.connections += 1
            super().setup()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            kept.ids.append(self.headers["webhook-id"])
            self.send_response(kept.statuses.pop(0) if kept.statuses else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()
            if kept.close_after_each:  # without saying so beforehand
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/hooks"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def kept() -> Iterator[Kept]:
    with keeping() as endpoint:
        yield endpoint


def test_many_go_over_few_connections_and_in_few_transactions(
    app: Flask, registrar: Department, kept: Kept, rows: Rows, record: Record,
    statements: list[str],
) -> None:  # fmt: skip
    endpoint = registrar.endpoint(kept.url)
    for _ in range(60):
        record(endpoint)
    statements.clear()
    run(app)
    assert kept.connections <= 2
    assert sorted(kept.ids) == sorted(one.event_id for one in rows.all(Delivery))
    assert {one.state for one in rows.all(Delivery)} == {DeliveryState.DELIVERED}
    assert rows.count(DeliveryAttempt) == 60
    assert sorted(one.sequence or 0 for one in rows.all(Delivery)) == list(range(1, 61))
    assert rows.one(Endpoint).in_flight == 0
    assert len(statements) < 4 * 60


def test_a_few_for_each_of_many_go_together_too(
    app: Flask, registrar: Department, kept: Kept, rows: Rows, record: Record,
    statements: list[str],
) -> None:  # fmt: skip
    """So a short code's reports come: hundreds a second, but a few to each client's endpoint."""
    endpoints = [registrar.endpoint(f"{kept.url}/{number}") for number in range(8)]
    took = []
    for _ in range(3):  # what goes together hangs on how soon endpoints answer: judged at best
        for endpoint in endpoints * 4:
            record(endpoint)
        statements.clear()
        run(app)
        assert {one.state for one in rows.all(Delivery)} == {DeliveryState.DELIVERED}
        took.append(len(statements))
    assert min(took) < 9 * 32


def test_a_failure_ends_a_group_and_the_rest_is_given_back(
    app: Flask, registrar: Department, kept: Kept, rows: Rows, record: Record
) -> None:
    endpoint = registrar.endpoint(kept.url)
    for _ in range(6):
        record(endpoint)
    kept.statuses = [200, 500]
    with app.app_context():
        with unit_of_work() as session:
            group = claim(session, utcnow(), most=6)
        assert attempts.attempt(app, group, Wire(), go_on=True) == ()
    found = rows.all(select(Delivery).order_by(Delivery.sequence))
    assert [(one.state, one.attempts) for one in found] == [
        (DeliveryState.DELIVERED, 1),
        (DeliveryState.PENDING, 1),
        *[(DeliveryState.PENDING, 0)] * 4,
    ]
    assert all(one.lease_token is None and one.next_attempt_at for one in found[1:])
    stored = rows.one(Endpoint)
    assert (stored.in_flight, stored.consecutive_failures) == (0, 1)


def test_a_failing_endpoint_is_tried_one_at_a_time(
    app: Flask, registrar: Department, record: Record, rows: Rows
) -> None:
    endpoint = registrar.endpoint("http://127.0.0.1:9/", consecutive_failures=2)
    for _ in range(5):
        record(endpoint)
    with app.app_context(), unit_of_work() as session:
        assert len(claim(session, utcnow(), most=50)) == 1


def test_a_group_whose_process_died_is_made_again_and_counts_once(
    app: Flask, registrar: Department, kept: Kept, rows: Rows, record: Record, time_machine: Any
) -> None:
    endpoint = registrar.endpoint(kept.url)
    for _ in range(4):
        record(endpoint)
    with app.app_context(), unit_of_work() as session:
        claim(session, utcnow(), most=4)
    assert rows.one(Endpoint).in_flight == 1
    with app.app_context():
        assert sweep.recount() == 0
        time_machine.move_to(utcnow() + timedelta(seconds=60))
        assert sweep.release_expired() == 4
    assert rows.one(Endpoint).in_flight == 0
    assert {one.state for one in rows.all(Delivery)} == {DeliveryState.PENDING}


def test_a_connection_that_the_host_closes_meanwhile_costs_no_try(
    app: Flask, registrar: Department, kept: Kept, rows: Rows, record: Record
) -> None:
    kept.close_after_each = True
    endpoint = registrar.endpoint(kept.url)
    for _ in range(12):
        record(endpoint)
    run(app)
    assert {one.state for one in rows.all(Delivery)} == {DeliveryState.DELIVERED}
    assert {one.error for one in rows.all(DeliveryAttempt)} == {None}


@pytest.mark.database("sqlite")
class TestWire:
    """One connection, from one exchange to the next."""

    def send(self, wire: Wire, kept: Kept, path: str = "", networks: Networks = LOOPBACK) -> Any:
        call = Call("POST", kept.url + path, {"webhook-id": "msg_1"}, b"{}")
        return wire.send(call, networks)

    def test_it_is_kept_and_its_address_known(self, app: Flask, kept: Kept) -> None:
        wire = Wire()
        answers = [self.send(wire, kept) for _ in range(3)]
        assert [(one.status, one.address) for one in answers] == [(204, "127.0.0.1")] * 3
        assert kept.connections == 1
        wire.close()
        assert not wire.is_open

    def test_it_is_not_used_again_after_an_error(self, app: Flask, kept: Kept) -> None:
        wire = Wire()
        self.send(wire, kept)
        nobody = Call("POST", "http://127.0.0.1:9/", {}, b"{}")
        assert wire.send(nobody, LOOPBACK).error == "connect"
        assert not wire.is_open
        assert self.send(wire, kept).status == 204
        assert kept.connections == 2

    def test_another_host_gets_another_one(self, app: Flask, kept: Kept) -> None:
        wire = Wire()
        with keeping() as other:
            self.send(wire, kept)
            self.send(wire, other)
            assert (kept.connections, other.connections) == (1, 1)
            wire.close()

    def test_it_is_checked_again_before_each_use(self, app: Flask, kept: Kept) -> None:
        """What was allowed when it was opened may not be any more."""
        wire = Wire()
        self.send(wire, kept)
        assert self.send(wire, kept, networks=PUBLIC).error == "blocked"
        self.send(wire, kept)
        denied = Networks(LOOPBACK.allowed, (ip_network("127.0.0.1/32"),))
        assert self.send(wire, kept, networks=denied).error == "blocked"
        assert len(kept.ids) == 2

    def test_it_lives_a_minute(
        self, app: Flask, kept: Kept, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wire = Wire()
        self.send(wire, kept)
        wire._opened -= 61
        self.send(wire, kept)
        assert kept.connections == 2
        wire.close()
