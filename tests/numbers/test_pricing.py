"""What came in gets its price from Twilio's log, hours later, and its month the difference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select, update

from app.cli.processes import tasks
from app.domain import wake
from app.domain.clients import prices, usage
from app.extensions import db, redis_client
from app.inbound.afterwards import pricing, recovery
from app.models.client import Client
from app.models.house import Bookmark
from app.models.incoming import Incoming, Outcome
from app.models.route import Destination
from app.models.sender import Sender
from app.twilio.client import TwilioClient
from tests.support.house import furnish
from tests.support.rows import Rows
from tests.support.sandbox import Running, eventually
from tests.support.twilio import sid

NUMBER = "+13195550100"
ESTIMATE = float(prices.INCOMING_PRICES.segment)
REPORTED = 0.0079  # what the sandbox charges for a segment


@pytest.fixture
def number(
    flask_command: FlaskCliRunner, registrar: Client, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> Sender:
    """The demo number; nothing listens where it points."""
    monkeypatch.setattr(recovery, "PAUSE", 0)
    result = flask_command.invoke(args=["numbers", "import", "registrar", NUMBER])
    assert result.exit_code == 0, result.output
    return rows.one(Sender)


def came(sender: Sender, *, age: timedelta = timedelta(hours=5), **more: object) -> Incoming:
    values = {
        "client_id": sender.client_id, "sender_id": sender.id, "destination": Destination.SMS,
        "sid": sid("SM"), "from_": "+13195550150", "to": sender.address, "body": "Hello",
        "segments": 1, "outcome": Outcome.REPLIED, "received_at": datetime.now(UTC) - age,
    }  # fmt: skip
    return Incoming(**{**values, **more})


def texted(app: Flask, box: Running, *bodies: str, price: float = 0) -> None:
    """People text the number; the texts are logged here and have a price at Twilio."""
    box.put("time", {"price": price})
    for body in bodies:
        one = box.text(body)
        if price == 0:
            eventually(lambda one=one: box.client().messages(one).fetch().price)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=3)), app.app_context():
        assert recovery.run() == {"texts": len(bodies)}


def look(app: Flask, after: timedelta = timedelta(hours=3)) -> float:
    """Let the clock's job run so much later; return what the month costs."""
    at = datetime.now(UTC) + after
    with time_machine.travel(at), app.app_context():
        pricing.tick()
        usage.count()
        month = usage.month_of(db.session.scalars(select(Incoming.received_at)).first() or at)
        client_id = db.session.scalars(select(Client.id)).first() or ""
        return usage.of_month(db.session(), client_id, month).figures.price


def test_the_month_is_corrected_by_the_difference_once(
    app: Flask, number: Sender, rows: Rows, box: Running
) -> None:
    texted(app, box, "One", "Two")
    assert look(app, timedelta(minutes=5)) == pytest.approx(2 * ESTIMATE)  # too young
    assert [one.price for one in rows.all(Incoming)] == [None, None]
    rows.change(update(Bookmark).values(at=datetime.now(UTC) - timedelta(days=1)))
    for _ in range(2):
        assert look(app) == pytest.approx(2 * REPORTED)
        assert [one.price for one in rows.all(Incoming)] == [REPORTED, REPORTED]
        priced_at = rows.all(Incoming)[0].updated_at
        rows.change(update(Bookmark).values(at=datetime.now(UTC) - timedelta(days=1)))
    assert rows.all(Incoming)[0].updated_at == priced_at


def test_the_estimate_stays_while_twilio_names_no_price(
    app: Flask, number: Sender, rows: Rows, box: Running
) -> None:
    texted(app, box, "One", price=1000)
    assert look(app) == pytest.approx(ESTIMATE)
    assert rows.one(Incoming).price is None


def priced(one: Incoming, price: str = "-0.01000", unit: str = "USD") -> Any:
    """What Twilio's log says about it."""
    return SimpleNamespace(sid=one.sid, price=Decimal(price), price_unit=unit)


@pytest.mark.parametrize(
    ("destination", "method", "estimate"),
    [
        (Destination.SMS, "list_messages", ESTIMATE),
        (Destination.VOICE, "list_calls", 2 * float(prices.INCOMING_CALL_MINUTE)),
    ],
    ids=["text", "call"],
)
@pytest.mark.parametrize("unit", ["USD", "usd", "JPY"])
def test_only_dollars_replace_the_estimate(
    app: Flask, number: Sender, rows: Rows, monkeypatch: pytest.MonkeyPatch,
    destination: Destination, method: str, estimate: float, unit: str,
) -> None:  # fmt: skip
    segments = 1 if destination is Destination.SMS else 0
    one = came(number, destination=destination, segments=segments, call_duration=61)
    rows.add(one)
    log = [priced(one, unit=unit), priced(came(number), "-0.5")]
    monkeypatch.setattr(TwilioClient, "list_messages", lambda *_, **__: iter(()))
    monkeypatch.setattr(TwilioClient, "list_calls", lambda *_, **__: iter(()))
    monkeypatch.setattr(TwilioClient, method, lambda *_, **__: iter(log))
    cost = look(app, timedelta())
    assert cost == pytest.approx(estimate if unit == "JPY" else 0.01)
    assert rows.one(Incoming).price == (None if unit == "JPY" else 0.01)


def test_an_account_that_fails_does_not_stop_the_others(
    app: Flask, number: Sender, rows: Rows, box: Running
) -> None:
    texted(app, box, "One")
    other = furnish(rows, address="+13195550190", account_sid=sid("AC"))
    rows.add(came(other.sender, age=timedelta(hours=1)))
    rows.add(Bookmark(name=f"prices:{other.credential.id}", at=datetime(2026, 1, 1, tzinfo=UTC)))
    rows.add(Bookmark(name=f"prices:{number.credential_id}", at=datetime(2026, 1, 2, tzinfo=UTC)))
    look(app)  # the one that fails comes first
    assert {one.to: one.price for one in rows.all(Incoming)} == {
        NUMBER: REPORTED, "+13195550190": None,
    }  # fmt: skip


def test_a_busy_time_is_read_in_shorter_slices(
    app: Flask, number: Sender, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [came(number, age=timedelta(hours=5, minutes=-10 * index)) for index in range(6)]
    rows.add(*texts)
    asked = []

    def newest_first(_: TwilioClient, sent_after: datetime, sent_before: datetime, limit: int,
                     **__: object) -> Any:  # fmt: skip
        asked.append(sent_before - sent_after)
        there = [one for one in texts if sent_after <= one.received_at <= sent_before]
        return iter([priced(one) for one in reversed(there)][:limit])

    monkeypatch.setattr(TwilioClient, "list_messages", newest_first)
    monkeypatch.setattr(pricing, "MOST", 3)
    look(app, timedelta())
    assert {one.price for one in rows.all(Incoming)} == {0.01}
    assert len(asked) == 1 + 3  # once too long; then two texts each


def test_a_job_without_time_goes_on_in_the_next_and_not_back(
    app: Flask, number: Sender, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [came(number, age=timedelta(hours=age)) for age in (9, 7, 5)]
    rows.add(*texts)
    asked = []

    def without_prices(_: TwilioClient, sent_after: datetime, **__: object) -> Any:
        asked.append(sent_after)
        return iter(())

    monkeypatch.setattr(TwilioClient, "list_messages", without_prices)
    monkeypatch.setattr(wake, "DRAIN_SECONDS", -1.0)
    for _ in range(4):
        look(app, timedelta())
    assert asked == [one.received_at - pricing.MARGIN for one in texts]
    with app.app_context():
        jobs = wake.queue("house", redis_client()).jobs
    assert [job.func_name for job in jobs] == ["app.inbound.afterwards.pricing.tick"]
    assert {one.name for one in rows.all(Bookmark)} == {
        "usage:messages", "usage:incoming", f"prices:{number.credential_id}",
    }  # fmt: skip


def test_what_is_too_old_or_of_a_client_without_twilio_is_not_asked_about(
    app: Flask, number: Sender, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object, **__: object) -> Any:
        raise AssertionError("Twilio was asked")

    monkeypatch.setattr(TwilioClient, "list_messages", asked)
    rows.add(came(number, age=timedelta(days=5)))
    look(app, timedelta())
    rows.change(update(Client).values(twilio_enabled=False))
    rows.add(came(number))
    look(app, timedelta(hours=4))
    assert [one.price for one in rows.all(Incoming)] == [None, None]


def test_the_clock_has_it_done() -> None:
    assert "price what came in" in [task.name for task in tasks()]
