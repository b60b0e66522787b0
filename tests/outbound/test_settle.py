"""A POST whose answer was lost is looked up in Twilio's log, and never repeated by a machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.domain import wake
from app.extensions import db
from app.models.batch import Batch, BatchState
from app.models.message import Message, MessageState
from app.outbound import batches, refresh, settle, sweep
from tests.support.fake_twilio import Accepted, FakeTwilio
from tests.support.house import House, communication, furnish, text
from tests.support.rows import Rows
from tests.support.twilio import sid

NOW = datetime.now(UTC)


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


def lost(house: House, **changes: object) -> Message:
    """A message whose POST was uncertain half a minute ago; its look is due."""
    ago = NOW - timedelta(seconds=31)
    return text(
        house, **{"state": MessageState.UNKNOWN, "claimed_at": ago, "check_at": ago, **changes}
    )


def logged(fake: FakeTwilio, **changes: object) -> Accepted:
    values = {
        "sid": sid("SM"), "to": "+13195550150", "sender": "+13195550100", "body": "Hello",
        "at": 0.0, "callback": "", "created": NOW - timedelta(seconds=30), "status": "sent",
    }  # fmt: skip
    made = Accepted(**{**values, **changes})  # type: ignore[arg-type]
    fake.accepted.append(made)
    return made


def look(app: Flask) -> None:
    with app.app_context():
        settle.run()


def test_the_only_candidate_is_adopted(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    rows.add(lost(house))
    made = logged(fake)
    look(app)
    message = rows.one(Message)
    assert (message.state, message.sid, message.status) == (
        MessageState.ACCEPTED, made.sid, "sent",
    )  # fmt: skip
    assert fake.tried == []


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "Something else"},
        {"to": "+13195550151"},
        {"sender": "+13195550101"},
        {"created": NOW - timedelta(minutes=10)},
    ],
    ids=["another text", "another phone", "another sender", "before the claim"],
)
def test_what_cannot_be_ours_is_not_adopted(
    changes: dict[str, object], app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    rows.add(lost(house))
    logged(fake, **changes)
    look(app)
    message = rows.one(Message)
    assert (message.state, message.sid, message.checks) == (MessageState.UNKNOWN, None, 1)


def test_a_sid_that_another_message_has_is_not_adopted(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    made = logged(fake)
    rows.add(lost(house), text(house, state=MessageState.ACCEPTED, sid=made.sid))
    look(app)
    assert rows.count(Message) == 2
    assert MessageState.UNKNOWN in {message.state for message in rows.all(Message)}


@pytest.mark.parametrize("state", [MessageState.CLAIMED, MessageState.UNKNOWN])
def test_a_twin_on_its_way_leaves_doubt(
    state: MessageState, app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    rows.add(lost(house), text(house, state=state))
    logged(fake)
    look(app)
    assert {message.sid for message in rows.all(Message)} == {None}


def test_looks_come_after_half_a_minute_two_ten_and_thirty(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    rows.add(lost(house))
    waits = []
    for _ in range(3):
        look(app)
        message = rows.one(Message)
        assert message.state is MessageState.UNKNOWN
        assert message.check_at is not None
        waits.append(round((message.check_at - datetime.now(UTC)).total_seconds(), -1))
        rows.change(update(Message).values(check_at=NOW))
    assert waits == [90, 480, 1200]
    look(app)
    message = rows.one(Message)
    assert message.state is MessageState.FAILED
    assert "no trace" in (message.error_message or "")


def test_several_candidates_stay_unknown_for_good(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    rows.add(lost(house, checks=3))
    logged(fake)
    logged(fake)
    look(app)
    message = rows.one(Message)
    assert (message.state, message.check_at) == (MessageState.UNKNOWN, None)
    assert "several" in (message.error_message or "")


def test_what_stays_unknown_for_good_keeps_no_batch_open(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    made = communication(rows, house)
    batch = Batch(
        client_id=house.client.id, communication_id=made.id, state=BatchState.RUNNING, total=1,
        scheduled_at=NOW, lane_key=f"sms:{house.sender.id}", created_by="pat",
        plan={"sender_id": house.sender.id},
    )  # fmt: skip
    rows.add(batch)
    part = {"batch_id": batch.id, "communication_id": made.id, "position": 0}
    rows.add(
        lost(house, checks=3, step=0, **part),
        text(house, step=1, step_after=60, due_at=None, body="And then?", **part),
    )
    logged(fake)
    logged(fake)
    look(app)
    states = {message.step: message.state for message in rows.all(Message)}
    assert states == {0: MessageState.UNKNOWN, 1: MessageState.CANCELED}
    with app.app_context():
        batches.turn()
    assert rows.one(Batch).state is BatchState.COMPLETE


def test_looking_up_ends_in_time_when_twilio_is_slow(
    app: Flask, rows: Rows, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "DRAIN_SECONDS", 0.0)
    monkeypatch.setattr(settle, "look_up", lambda message_id: pytest.fail("too late"))
    rows.add(lost(house))
    look(app)


def test_a_look_that_twilio_does_not_answer_does_not_count(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    fake.refuse_look_ups = True
    rows.add(lost(house, checks=3))
    look(app)
    message = rows.one(Message)
    assert (message.state, message.checks) == (MessageState.UNKNOWN, 3)
    assert message.check_at is not None
    assert message.check_at > datetime.now(UTC)


def test_a_claim_whose_process_died_becomes_unknown(app: Flask, rows: Rows, house: House) -> None:
    rows.add(
        text(house, state=MessageState.CLAIMED, check_at=NOW - timedelta(seconds=1), body="dead"),
        text(house, state=MessageState.CLAIMED, check_at=NOW + timedelta(hours=1), body="alive"),
    )
    with app.app_context():
        assert sweep.lost_claims() == 1
        db.session.rollback()
        assert sweep.lost_claims() == 0
    states = {m.body: m.state for m in rows.all(select(Message))}
    assert states == {"dead": MessageState.UNKNOWN, "alive": MessageState.CLAIMED}


def test_a_status_that_never_came_is_fetched(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    made = logged(fake, status="delivered")
    rows.add(text(house, state=MessageState.ACCEPTED, sid=made.sid, status="sent", check_at=NOW))
    with app.app_context():
        refresh.run()
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
    with app.app_context():
        refresh.run()
    messages = rows.all(Message)
    assert {message.status for message in messages} == {"delivered"}
    assert {message.check_at for message in messages} == {None}
    assert fake.looked_up == 1
