"""A sender that stood still, or whose commit was cut off, knows best what it never sent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import Connection, event, update
from sqlalchemy.exc import OperationalError

from app.domain import wake
from app.extensions import db, unit_of_work
from app.models.base import new_id
from app.models.batch import Batch, BatchState
from app.models.message import Lane, Message, MessageState
from app.models.route import Destination
from app.outbound import batches
from app.outbound.afterwards import sweep
from app.outbound.send import claims, drains, outcomes, pace
from app.outbound.send import posting as posting_module
from app.outbound.send.claims import LaneView, Outgoing
from app.outbound.send.posting import Posting
from app.twilio.client import NotSent
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, communication, furnish, text
from tests.support.rows import Rows

LEASE = "L" * 26
LONG_AGO = datetime(2026, 11, 21, 11, tzinfo=UTC)


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows, rate=100)


def claim(app: Flask, rows: Rows, message: Message) -> Outgoing:
    """Claim the only message that waits, as a process does that stands still afterwards."""
    rows.add(message, Lane(key=message.lane_key, rate=1, lease_token=LEASE))
    with app.app_context(), unit_of_work() as session:
        now_us = int(datetime.now(UTC).timestamp() * 1e6)
        view = LaneView(message.lane_key or "", 1, 0, batches=[message.batch_id or ""])
        (outgoing,) = claims.claim(session, [(view, 9)], now_us, LEASE)
    return outgoing


def give_up_claims(app: Flask, rows: Rows) -> None:
    rows.change(
        update(Message).where(Message.state == MessageState.CLAIMED).values(check_at=LONG_AGO)
    )
    with app.app_context():
        assert sweep.lost_claims() == 1


def not_sent(app: Flask, outgoing: Outgoing) -> None:
    with app.app_context(), unit_of_work() as session:
        outcomes.write_down(session, [(outgoing, NotSent("The process stood still."))])


def test_what_the_sweep_gave_up_waits_again_once_its_sender_says_that_it_was_never_sent(
    app: Flask, rows: Rows, house: House
) -> None:
    outgoing = claim(app, rows, text(house))
    give_up_claims(app, rows)
    not_sent(app, outgoing)
    message = rows.one(Message)
    assert (message.state, message.check_at, message.reason, message.error_message) == (
        MessageState.WAITING, None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize("state", [MessageState.CLAIMED, MessageState.UNKNOWN])
def test_a_claim_of_somebody_else_since_is_left_alone(
    state: MessageState, app: Flask, rows: Rows, house: House
) -> None:
    """Also of the same process: an outcome is written again where its commit was cut off."""
    outgoing = claim(app, rows, text(house))
    rows.change(update(Message).values(claim_token=new_id(), state=state))
    not_sent(app, outgoing)
    assert rows.one(Message).state is state


def test_each_claim_has_a_name_of_its_own(app: Flask, rows: Rows, house: House) -> None:
    first = claim(app, rows, text(house))
    not_sent(app, first)
    rows.change(update(Message).values(due_at=LONG_AGO))
    rows.change(update(Lane).values(held_until=None, next_slot_us=0))
    with app.app_context(), unit_of_work() as session:
        now_us = int(datetime.now(UTC).timestamp() * 1e6)
        view = LaneView(first.lane_key, 1, 0)
        (second,) = claims.claim(session, [(view, 9)], now_us, LEASE)
    assert second.id == first.id
    assert second.claim_token != first.claim_token
    not_sent(app, first)
    assert rows.one(Message).state is MessageState.CLAIMED


@pytest.mark.parametrize(
    ("ended", "then", "message"),
    [
        (BatchState.COMPLETE, BatchState.RUNNING, MessageState.WAITING),
        (BatchState.CANCELED, BatchState.CANCELED, MessageState.CANCELED),
    ],
)
def test_a_batch_that_ended_meanwhile_takes_it_up_again(
    ended: BatchState,
    then: BatchState,
    message: MessageState,
    app: Flask,
    rows: Rows,
    house: House,
) -> None:
    made = communication(rows, house)
    batch = Batch(
        client_id=house.client.id, communication_id=made.id, state=BatchState.RUNNING, total=1,
        prepared=1, scheduled_at=LONG_AGO, lane_key=f"sms:{house.sender.id}", created_by="pat",
        plan={"sender_id": house.sender.id},
    )  # fmt: skip
    rows.add(batch)
    waiting = text(house, batch_id=batch.id, position=0, due_at=LONG_AGO)
    outgoing = claim(app, rows, waiting)
    give_up_claims(app, rows)
    rows.change(update(Batch).values(state=ended, ended_at=LONG_AGO))
    not_sent(app, outgoing)
    with app.app_context():
        batches.turn()
    assert rows.one(Batch).state is then
    assert rows.one(Message).state is message


@pytest.fixture
def commits(app: Flask) -> Iterator[list[str]]:
    """Cuts the connection in the next COMMIT, after or before it counts, as a list entry says."""
    cuts: list[str] = []
    with app.app_context():
        engine = db.engine

    def cut(connection: Connection) -> None:
        if not cuts or claimed_by(connection) == 0:
            return
        if cuts.pop() == "after":
            connection.connection.dbapi_connection.commit()  # type: ignore[union-attr]
        else:
            connection.connection.dbapi_connection.rollback()  # type: ignore[union-attr]
        raise OperationalError("COMMIT", None, Exception("server closed the connection"))

    def claimed_by(connection: Connection) -> int:
        statement = "SELECT count(*) FROM message WHERE state = 'claimed'"
        return int(connection.exec_driver_sql(statement).scalar_one())

    event.listen(engine, "commit", cut)
    yield cuts
    event.remove(engine, "commit", cut)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_claim_whose_commit_was_cut_off_goes_out_once(
    when: str, app: Flask, rows: Rows, house: House, fake: FakeTwilio, commits: list[str]
) -> None:
    rows.add(text(house), Lane(key=f"sms:{house.sender.id}", rate=100))
    commits.append(when)
    with app.app_context():
        drains.drain()  # the database is away: it ends
        assert commits == []
        assert drains._posting(app).finish(5)
    assert fake.tried == []
    assert rows.one(Message).state is MessageState.WAITING
    rows.change(update(Message).values(due_at=LONG_AGO))
    rows.change(update(Lane).values(held_until=None))
    with app.app_context():
        drains.drain()
    assert len(fake.accepted) == 1
    assert rows.one(Message).state is MessageState.ACCEPTED


class TimeIsUp(Exception):
    """What RQ raises from its alarm."""


def test_a_time_out_of_the_job_tears_no_claim_apart(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ring(_number: int, _frame: object) -> None:
        raise TimeIsUp

    def claim_and_ring(*arguments: object) -> list[Outgoing]:
        claimed = real(*arguments)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGALRM)
        return claimed

    real = claims.claim
    monkeypatch.setattr(claims, "claim", claim_and_ring)
    rows.add(text(house), Lane(key=f"sms:{house.sender.id}", rate=100))
    before = signal.signal(signal.SIGALRM, ring)
    try:
        with app.app_context(), pytest.raises(TimeIsUp):
            drains.drain()
    finally:
        signal.signal(signal.SIGALRM, before)
    with app.app_context():
        assert drains._posting(app).finish(5)
    assert len(fake.accepted) == 1
    assert rows.one(Message).state is MessageState.ACCEPTED


def test_a_block_in_one_piece_puts_the_alarm_back() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with wake.in_one_piece():
        assert signal.getsignal(signal.SIGALRM) is not before
    assert signal.getsignal(signal.SIGALRM) is before


@pytest.mark.database("sqlite")
def test_a_machine_that_slept_posts_nothing_whose_time_has_passed(
    posting: Posting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it sleeps its monotonic clock stands still; other machines go on meanwhile."""
    outgoing = Outgoing(
        id="m", destination=Destination.SMS, lane_key="lane", slot_us=posting.clock.now_us(),
        cost_us=1, segments=1, to="+13195550150", from_="+13195550100", body="Hello", media=(),
        options={}, credential_id="", claim_token="", tries=1,
    )  # fmt: skip
    posting._gates["lane"] = gate = pace.Gate()
    gate.expect("m", posting.clock.moment(outgoing.slot_us), 0.0, 0.0)
    monkeypatch.setattr(posting_module, "suspended", lambda: 3600.0)
    with pytest.raises(NotSent, match="stood still"):
        posting._turn(outgoing, slept=0.0)
