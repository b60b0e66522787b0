"""Landlines are told apart by Twilio Lookup before their texts go out, where a client wants it.

The shape of the answers is that of Twilio's page “Line Type Intelligence” (Lookup v2).
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from app.domain.persons import erasing, known
from app.domain.sending import communications
from app.domain.sending.preflight import preflight
from app.extensions import db, unit_of_work
from app.maintenance import retention
from app.models.base import utcnow
from app.models.chore import Chore, ChoreKind
from app.models.client import Client
from app.models.communication import Communication
from app.models.line_type import LineType
from app.models.message import Message
from app.models.route import Destination
from app.outbound import batches, line_types
from tests.support.house import House, communication, furnish, join
from tests.support.rows import Rows

LANDLINE, MOBILE, VOIP, CANADIAN = (f"+1319555{n:04}" for n in range(1000, 1004))
KINDS: dict[str, dict[str, Any]] = {
    LANDLINE: {"type": "landline", "error_code": None},
    MOBILE: {"type": "mobile", "error_code": None},
    VOIP: {"type": "fixedVoip", "error_code": None},
    CANADIAN: {"type": None, "error_code": 60601},
}


@dataclass
class Lookup:
    """Twilio's ``lookups.`` host."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    failing: bool = False

    def answer(self, request: BaseHTTPRequestHandler) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(request.path)
        assert request.headers["X-Original-Host"] == "lookups.twilio.com"
        assert request.headers["Authorization"].startswith("Basic ")
        assert parse_qs(parts.query) == {"Fields": ["line_type_intelligence"]}
        assert parts.path.startswith("/v2/PhoneNumbers/")
        phone = unquote(parts.path.removeprefix("/v2/PhoneNumbers/"))
        self.asked.append(phone)
        if self.failing:
            return 503, {"code": 20503, "message": "Service unavailable"}
        kind = {"carrier_name": None, "mobile_country_code": None, "mobile_network_code": None}
        return 200, {
            "calling_country_code": "1", "country_code": "US", "phone_number": phone,
            "national_format": phone, "valid": True, "validation_errors": [], "caller_name": None,
            "line_type_intelligence": {**kind, **KINDS[phone]},
        }  # fmt: skip


@pytest.fixture
def lookup() -> Iterator[Lookup]:
    made = Lookup()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = made.answer(self)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def environ(environ: dict[str, str], lookup: Lookup) -> dict[str, str]:
    return {**environ, "TWILIO_API_BASE_URL": lookup.url}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_types, "RATE", 10_000.0)
    monkeypatch.setattr(line_types, "_trouble", line_types._Trouble())


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows, line_type_lookup=True)


def listed(rows: Rows, house: House, *bodies: str, **changes: Any) -> Communication:
    made = communication(rows, house, *bodies, **changes)
    join(rows, made, *({"toName": "P", "toPhone": phone} for phone in KINDS))
    return made


def start(app: Flask, made: Communication) -> None:
    with app.app_context(), unit_of_work() as session:
        communications.start_batch(session, session.get_one(Communication, made.id), "pat")


def work(app: Flask) -> None:
    """Do what the worker of the queue ``house`` does, in its two threads, one after the other."""
    with app.app_context():
        for _ in range(3):
            while batches.turn():
                pass
            line_types.drain()


def states(rows: Rows) -> dict[str, str]:
    return {one.to: str(one.state) for one in rows.all(Message)}


def test_landlines_are_left_out_and_everybody_else_is_texted(
    app: Flask, rows: Rows, house: House, lookup: Lookup
) -> None:
    start(app, listed(rows, house))
    with app.app_context():
        while batches.turn():
            pass
    assert states(rows) == {}, "nothing is prepared before Twilio has been asked"
    work(app)
    assert states(rows) == {
        LANDLINE: "refused", MOBILE: "waiting", VOIP: "waiting", CANADIAN: "waiting",
    }  # fmt: skip
    refused = rows.one(select(Message).filter_by(to=LANDLINE))
    assert (refused.reason, "landline" in (refused.error_message or "")) == ("refused", True)
    assert Counter(lookup.asked) == Counter(list(KINDS))


def test_calls_and_clients_who_do_not_want_it_ask_nothing(
    app: Flask, rows: Rows, house: House, lookup: Lookup
) -> None:
    said = "<Response><Say>Hello</Say></Response>"
    start(app, listed(rows, house, said, destination=Destination.VOICE, name="calls"))
    work(app)
    rows.change(update(Client).values(line_type_lookup=False))
    start(app, listed(rows, house))
    work(app)
    assert lookup.asked == []
    assert set(states(rows).values()) == {"waiting"}


def test_answers_are_kept_for_90_days_and_none_for_one(
    app: Flask, rows: Rows, house: House, lookup: Lookup
) -> None:
    made = listed(rows, house)
    for days, asked in ((0, list(KINDS)), (0, []), (2, [CANADIAN]), (91, list(KINDS))):
        lookup.asked.clear()
        with time_machine.travel(utcnow() + timedelta(days=days)):
            start(app, made)
            work(app)
        assert sorted(lookup.asked) == sorted(asked), days
    with app.app_context(), time_machine.travel(utcnow() + timedelta(days=200)):
        retention.run()
    assert rows.count(LineType) == 0


def test_where_twilio_does_not_answer_texts_go_out_and_it_is_left_alone(
    app: Flask, rows: Rows, house: House, lookup: Lookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_types, "IN_A_ROW", 2)
    monkeypatch.setattr(line_types, "THREADS", 1)
    lookup.failing = True
    start(app, listed(rows, house))
    work(app)
    assert set(states(rows).values()) == {"waiting"}
    assert len(lookup.asked) == 2
    assert line_types._trouble.until > time.monotonic() + line_types.LEFT_ALONE - 10


def test_who_gets_nothing_anyway_is_not_paid_for(
    app: Flask, rows: Rows, house: House, lookup: Lookup
) -> None:
    made = communication(rows, house)
    join(rows, made, {"toName": "no phone"}, {"toName": "ours", "toPhone": house.sender.address})
    start(app, made)
    work(app)
    assert lookup.asked == []
    assert set(states(rows).values()) == {"refused"}


def look(app: Flask, made: Communication) -> Any:
    with app.app_context():
        return preflight(db.session(), db.session.get_one(Communication, made.id))


def test_its_price_is_said_before_and_landlines_once_they_are_known(
    app: Flask, rows: Rows, house: House, lookup: Lookup
) -> None:
    made = listed(rows, house)
    before = look(app, made)
    assert (before.recipients, before.to_look_up, str(before.look_up_cost)) == (4, 4, "0.032")
    said = next(one.sentence for one in before.warnings if one.code == "line_types")
    assert "4 phones are looked up at Twilio first, for about $0.03 beside the texts" in said
    wish = Chore(kind=ChoreKind.LINE_TYPES, subject=made.id, details={}, after="")
    rows.add(wish)  # “Look them up now”
    with app.app_context():
        line_types.drain()
    after = look(app, made)
    assert (after.recipients, after.to_look_up, after.refused["landline"]) == (3, 0, 1)
    assert after.examples == [(1, "This phone is a landline, which gets no texts (Twilio Lookup).")]
    assert rows.count(Chore) == 0
    assert rows.count(Message) == 0


def test_what_is_known_of_a_line_is_given_out_and_erased_with_its_person(
    app: Flask, rows: Rows, house: House
) -> None:
    start(app, listed(rows, house))
    work(app)
    with app.app_context():
        with unit_of_work() as session:
            client = session.get_one(Client, house.client.id)
            found = known.export(session, client, LANDLINE, "pat")
        assert found is not None
        assert found["lineType"] == "landline"
        receipt = erasing.erase(house.client.id, LANDLINE, "pat")
    assert receipt is not None
    assert receipt["kinds of line"] == 1
    assert LANDLINE not in {one.phone for one in rows.all(LineType)}
