"""A POST whose answer was lost is looked up in Twilio's log, and never repeated by a machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.domain import wake
from app.domain.sending import fates
from app.extensions import db
from app.models.batch import Batch, BatchState
from app.models.message import Direction, Message, MessageReport, MessageState
from app.models.route import Destination
from app.outbound import batches
from app.outbound.afterwards import settle, sweep
from app.twilio.client import TwilioClient
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


def test_a_look_that_was_overtaken_changes_nothing(
    app: Flask, rows: Rows, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers look at the same time: the slower one must not put off the next look."""
    rows.add(lost(house))
    later = NOW + timedelta(minutes=8)

    def meanwhile(*_: object) -> Iterator[settle.Found]:
        rows.change(update(Message).values(checks=2, check_at=later))
        return iter(())

    monkeypatch.setitem(settle.SEARCHES, Destination.SMS, meanwhile)
    look(app)
    message = rows.one(Message)
    assert (message.state, message.checks, message.check_at) == (MessageState.UNKNOWN, 2, later)


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


@pytest.mark.parametrize("ahead", [-3600, -3, 3, 3600])
@pytest.mark.parametrize(
    ("prefix", "destination"),
    [("SM", Destination.SMS), ("CA", Destination.VOICE)],
    ids=["text", "call"],
)
def test_twilios_times_are_told_by_twilios_clock(
    ahead: float, prefix: str, destination: Destination,
    app: Flask, rows: Rows, fake: FakeTwilio, house: House,
) -> None:  # fmt: skip
    """Its answers' Date headers say how its clock differs from ours."""
    fake.ahead = ahead
    rows.add(lost(house, destination=destination))
    theirs = NOW + timedelta(seconds=ahead)
    logged(fake, sid=sid(prefix), created=theirs - timedelta(minutes=10))
    made = logged(fake, sid=sid(prefix), created=theirs - timedelta(seconds=30))
    look(app)
    assert rows.one(Message).sid == made.sid


@pytest.mark.parametrize("wrong", [timedelta(hours=1), timedelta(days=365)])
def test_a_claim_of_a_clock_that_was_ahead_is_looked_for_without_it(
    wrong: timedelta, app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    rows.add(lost(house, claimed_at=NOW + wrong))
    made = logged(fake)
    look(app)
    assert rows.one(Message).sid == made.sid


def claimed_before(seconds: float) -> datetime:
    return NOW - timedelta(seconds=31 + seconds)


@pytest.mark.parametrize(
    "bodies", [("Hello", "Hello"), ("Hello", "Hello ")], ids=["equal", "alike"]
)
@pytest.mark.parametrize("first", [0, 1], ids=["asked for first", "asked for last"])
def test_as_many_candidates_as_equal_texts_are_assigned_in_order(
    bodies: tuple[str, str], first: int, app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    """Twilio leaves spaces at the ends out: such texts cannot be told apart there."""
    texts = [
        lost(house, body=bodies[0], claimed_at=claimed_before(20)),
        lost(house, body=bodies[1], claimed_at=claimed_before(0)),
    ]
    texts[1 - first].check_at = NOW + timedelta(minutes=25)
    rows.add(*texts)
    later = logged(fake, created=NOW - timedelta(seconds=30))
    sooner = logged(fake, created=NOW - timedelta(seconds=50))
    look(app)
    found = {message.id: message.sid for message in rows.all(Message)}
    if first == 0:
        assert found == {texts[0].id: sooner.sid, texts[1].id: later.sid}
    else:  # what was made before its own claim cannot be its own: it waits for the other's look
        assert set(found.values()) == {None}


@pytest.mark.parametrize("candidates", [1, 3])
def test_other_counts_stay_unknown_and_say_how_many_there_are(
    candidates: int, app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    rows.add(lost(house, checks=3), lost(house, checks=3))
    made = [logged(fake) for _ in range(candidates)]
    look(app)
    for message in rows.all(Message):
        assert (message.state, message.sid, message.check_at) == (MessageState.UNKNOWN, None, None)
        assert "for 2 of ours that are alike" in (message.error_message or "")
        with app.app_context():
            shown = fates.candidates(db.session(), message)
        assert {one.sid for one in shown} == {one.sid for one in made}


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


def given_reply(house: House, **changes: object) -> Message:
    """A reply by TwiML of which nothing has been heard since; its look is due."""
    ago = NOW - timedelta(minutes=10)
    values = {
        "state": MessageState.ACCEPTED, "direction": Direction.REPLY, "lane_key": None,
        "due_at": None, "created_at": ago, "accepted_at": ago, "check_at": NOW,
    }  # fmt: skip
    return text(house, **{**values, **changes})


def test_a_reply_that_twilio_sent_without_our_hearing_of_it_is_adopted(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    rows.add(given_reply(house))
    made = logged(fake, direction="outbound-reply", status="delivered")
    logged(fake, direction="outbound-api")
    look(app)
    message = rows.one(Message)
    assert (message.state, message.sid, message.status) == (
        MessageState.ACCEPTED, made.sid, "delivered",
    )  # fmt: skip


def test_a_reply_of_which_twilio_has_no_trace_ends_with_a_sentence(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    rows.add(given_reply(house))
    look(app)
    message = rows.one(Message)
    assert message.public_status == "queued"
    assert message.check_at is not None
    assert timedelta(minutes=19) < message.check_at - datetime.now(UTC) <= timedelta(minutes=20)
    rows.change(update(Message).values(check_at=NOW))
    look(app)
    message = rows.one(Message)
    assert (message.public_status, message.check_at) == ("failed", None)
    assert "no trace of this reply" in (message.error_message or "")
    assert [(one.status, one.source) for one in rows.all(MessageReport)] == [("failed", "dispatch")]


def test_which_of_two_equal_replies_twilio_sent_stays_open(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    rows.add(given_reply(house, checks=1), given_reply(house, checks=1, check_at=None))
    logged(fake, direction="outbound-reply")
    look(app)
    message = next(one for one in rows.all(Message) if one.state is MessageState.UNKNOWN)
    assert "one text for 2 of ours" in (message.error_message or "")


def test_a_report_that_comes_during_a_look_says_more_than_the_log(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.add(given_reply(house, checks=1))
    found = settle.SEARCHES[Destination.SMS]

    def search(twilio: TwilioClient, message: Message) -> Iterator[settle.Found]:
        rows.change(update(Message).values(sid=sid("SM"), status="sent"))
        return found(twilio, message)

    monkeypatch.setitem(settle.SEARCHES, Destination.SMS, search)
    look(app)
    assert rows.one(Message).public_status == "sent"


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
