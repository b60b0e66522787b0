"""Statuses that never came, and prices, are asked for: all in the end, and not too many at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from app.models.message import Message, MessageState
from app.models.route import Destination
from app.outbound.afterwards import refresh
from tests.support.fake_twilio import Accepted, FakeTwilio
from tests.support.house import House, furnish, text
from tests.support.rows import Rows
from tests.support.twilio import sid

NOW = datetime.now(UTC)


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


def logged(fake: FakeTwilio, **changes: object) -> Accepted:
    values = {
        "sid": sid("SM"), "to": "+13195550150", "sender": "+13195550100", "body": "Hello",
        "at": 0.0, "callback": "", "created": NOW - timedelta(seconds=30), "status": "sent",
    }  # fmt: skip
    made = Accepted(**{**values, **changes})  # type: ignore[arg-type]
    fake.accepted.append(made)
    return made


def run(app: Flask) -> None:
    with app.app_context():
        refresh.run()


def test_a_status_that_never_came_is_fetched(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    made = logged(fake, status="delivered")
    rows.add(text(house, state=MessageState.ACCEPTED, sid=made.sid, status="sent", check_at=NOW))
    run(app)
    message = rows.one(Message)
    assert (message.status, message.checks) == ("delivered", 1)


def test_many_missing_statuses_are_fetched_by_one_list(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    for number in range(25):
        made = logged(fake, to=f"+13195550{100 + number}", status="delivered")
        rows.add(
            text(house, to=made.to, state=MessageState.ACCEPTED, sid=made.sid, status="sent",
                 check_at=NOW, accepted_at=NOW, checks=2)
        )  # fmt: skip
    run(app)
    messages = rows.all(Message)
    assert {message.status for message in messages} == {"delivered"}
    assert {message.check_at for message in messages} == {None}
    assert fake.looked_up == 1


@pytest.mark.parametrize("destination", list(Destination))
def test_one_job_asks_for_so_many_and_leaves_the_rest_for_the_next(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, destination: Destination,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(refresh, "A_FEW", 100)
    monkeypatch.setattr(refresh, "MOST_SINGLE", 4)
    prefix, end = ("CA", "completed") if destination is Destination.VOICE else ("SM", "delivered")
    for _ in range(6):
        made = logged(fake, sid=sid(prefix), status=end)
        rows.add(
            text(house, state=MessageState.ACCEPTED, sid=made.sid, check_at=NOW, accepted_at=NOW,
                 destination=destination)
        )  # fmt: skip
    run(app)
    assert fake.looked_up == 4
    assert [message.checks for message in rows.all(Message)].count(1) == 4
    run(app)
    assert fake.looked_up == 6
    assert {(message.status, message.checks) for message in rows.all(Message)} == {(end, 1)}


def test_many_calls_are_fetched_by_one_list(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    for _ in range(25):
        made = logged(fake, sid=sid("CA"), status="completed")
        rows.add(
            text(house, state=MessageState.ACCEPTED, sid=made.sid, check_at=NOW, accepted_at=NOW,
                 destination=Destination.VOICE)
        )  # fmt: skip
    run(app)
    assert {message.status for message in rows.all(Message)} == {"completed"}
    assert fake.looked_up == 1


def test_what_lies_far_apart_is_asked_about_at_different_times(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    for age in (timedelta(days=1), timedelta()):
        made = logged(fake, status="delivered")
        rows.add(
            text(house, state=MessageState.ACCEPTED, sid=made.sid, check_at=NOW,
                 accepted_at=NOW - age)
        )  # fmt: skip
    run(app)
    assert sorted(message.checks for message in rows.all(Message)) == [0, 1]


def test_twilio_away_loses_no_look(app: Flask, rows: Rows, fake: FakeTwilio, house: House) -> None:
    fake.refuse_look_ups = True
    rows.add(text(house, state=MessageState.ACCEPTED, sid=sid("SM"), check_at=NOW))
    run(app)
    message = rows.one(Message)
    assert (message.checks, message.check_at) == (0, NOW)
