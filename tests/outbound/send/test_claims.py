"""Which message goes next, and when: the pace of a lane, exact by the database's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.domain.sending import communications, running
from app.extensions import db, unit_of_work
from app.models.batch import Batch
from app.models.communication import Communication
from app.models.message import Lane, Message, MessageState
from app.models.sender import Sender, SenderKind, SenderType
from app.outbound import batches
from app.outbound.send import agenda, claims
from app.outbound.send.claims import LaneView, Outgoing, cost_us
from tests.support.house import House, communication, furnish, join, text
from tests.support.rows import Rows

START = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1e6)
LONG_AGO = datetime(2026, 11, 21, 11, tzinfo=UTC)
TOKEN = "T" * 26


class Laner:
    """One lane, claimed from again and again as time goes on."""

    def __init__(self, app: Flask, rows: Rows, key: str, rate: float) -> None:
        self.app = app
        self.key = key
        self.now_us = START
        rows.add(Lane(key=key, rate=rate, lease_token=TOKEN))

    def claim(self, most: int = 99, token: str = TOKEN) -> list[Outgoing]:
        now = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self.now_us)
        with self.app.app_context():
            ready = agenda.runnable_batches(db.session(), now)
            view = LaneView(self.key, 1, 0, batches=[batch for batch, _ in ready])
            with unit_of_work() as session:
                view.last_batch_id = session.get_one(Lane, self.key).last_batch_id
                return claims.claim(session, [(view, most)], self.now_us, token)

    def claim_all(self, count: int) -> list[Outgoing]:
        """Claim as a drain does, ten times a second, until `count` have been claimed."""
        found: list[Outgoing] = []
        while len(found) < count:
            found += self.claim()
            self.now_us += 100_000
        return found


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


def texts(house: House, *segments: int) -> list[Message]:
    return [
        text(
            house,
            to=f"+1319555{number:04}",
            segments=size,
            due_at=LONG_AGO + timedelta(milliseconds=number),
        )
        for number, size in enumerate(segments)
    ]


@pytest.mark.parametrize("rate", [1, 3, 100, 12.5])
def test_slots_are_as_far_apart_as_segments_and_rate_say(
    rate: float, app: Flask, rows: Rows, house: House
) -> None:
    segments = [1, 3, 1, 1, 2, 3, 1, 1]
    rows.add(*texts(house, *segments))
    lane = Laner(app, rows, f"sms:{house.sender.id}", rate)
    slots = [outgoing.slot_us - START for outgoing in lane.claim_all(len(segments))]
    expected, at = [], 0
    for size in segments:
        expected.append(at)
        at += cost_us(size, rate)
    assert slots == expected
    assert rows.one(Lane).next_slot_us == START + at


def test_nothing_is_claimed_earlier_than_a_quarter_of_a_second_before_its_slot(
    app: Flask, rows: Rows, house: House
) -> None:
    rows.add(*texts(house, 1, 1, 1))
    lane = Laner(app, rows, f"sms:{house.sender.id}", 1)
    assert len(lane.claim()) == 1
    lane.now_us += 749_999
    assert lane.claim() == []
    lane.now_us += 1
    assert [outgoing.slot_us for outgoing in lane.claim()] == [START + 1_000_000]


def test_a_lane_that_stood_still_does_not_catch_up(app: Flask, rows: Rows, house: House) -> None:
    rows.add(*texts(house, *[1] * 5))
    lane = Laner(app, rows, f"sms:{house.sender.id}", 1)
    lane.claim()
    lane.now_us += 60_000_000
    assert [outgoing.slot_us for outgoing in lane.claim()] == [lane.now_us]


def test_a_lane_without_our_lease_is_not_touched(app: Flask, rows: Rows, house: House) -> None:
    rows.add(*texts(house, 1))
    lane = Laner(app, rows, f"sms:{house.sender.id}", 1)
    assert lane.claim(token="S" * 26) == []
    assert rows.one(Message).state is MessageState.WAITING
    assert rows.one(Lane).next_slot_us == 0


def test_a_held_lane_waits(app: Flask, rows: Rows, house: House) -> None:
    rows.add(*texts(house, 1))
    lane = Laner(app, rows, f"sms:{house.sender.id}", 1)
    rows.change(update(Lane).values(held_until=datetime(2026, 11, 21, 12, 0, 1, tzinfo=UTC)))
    assert lane.claim() == []
    lane.now_us += 1_000_000
    assert len(lane.claim()) == 1


def test_a_claim_is_marked_for_whoever_finds_it_abandoned(
    app: Flask, rows: Rows, house: House
) -> None:
    rows.add(*texts(house, 1))
    (outgoing,) = Laner(app, rows, f"sms:{house.sender.id}", 1).claim()
    message = rows.one(Message)
    assert (message.state, message.claim_token, message.tries) == (
        MessageState.CLAIMED, outgoing.claim_token, 1,
    )  # fmt: skip
    assert message.claimed_at is not None
    assert message.check_at == message.claimed_at + timedelta(seconds=claims.CLAIM_SECONDS)


def test_single_messages_go_first_and_batches_take_turns(
    app: Flask, rows: Rows, house: House
) -> None:
    for name in "ab":
        made = communication(rows, house, name, name=name)
        join(rows, made, *({"toPhone": f"+1319555{ord(name)}{n:02}"} for n in range(4)))
        with app.app_context(), unit_of_work() as session:
            found = session.get_one(Communication, made.id)
            communications.start_batch(session, found, "pat")
    with app.app_context():
        batches.drain()
    rows.change(update(Message).values(due_at=LONG_AGO))
    rows.change(update(Lane).values(rate=1, lease_token=TOKEN, next_slot_us=0))
    single = texts(house, 1, 1)
    rows.add(*single)
    lane = object.__new__(Laner)
    lane.app, lane.key, lane.now_us = app, f"sms:{house.sender.id}", START
    bodies = [outgoing.body for outgoing in lane.claim_all(10)]
    assert bodies == ["Hello", "Hello", *"abababab"]


def test_a_text_to_the_same_person_waits_for_the_one_before(
    app: Flask, rows: Rows, house: House
) -> None:
    rows.add(*texts(house, 1, 1))
    rows.change(update(Message).values(to="+13195550000"))
    lane = Laner(app, rows, f"sms:{house.sender.id}", 100)
    (first,) = lane.claim()
    assert lane.claim() == []
    rows.change(update(Message).where(Message.id == first.id).values(state=MessageState.ACCEPTED))
    assert len(lane.claim()) == 1


def test_paused_batches_are_passed_over(app: Flask, rows: Rows, house: House) -> None:
    made = communication(rows, house)
    join(rows, made, {"toName": "Ann", "toPhone": "+13195550150"})
    with app.app_context():
        with unit_of_work() as session:
            found = session.get_one(Communication, made.id)
            communications.start_batch(session, found, "pat")
        batches.drain()
        with unit_of_work() as session:
            running.pause(session, session.scalars(select(Batch)).one(), "pat")
        assert agenda.runnable_batches(db.session(), datetime.now(UTC)) == []


@given(
    rate=st.one_of(st.integers(1, 200), st.floats(0.1, 200)),
    segments=st.lists(st.integers(1, 11), min_size=1, max_size=200),
    delays=st.lists(st.integers(0, 3_000_000), max_size=200),
)
def test_no_window_of_time_holds_more_than_the_rate_and_one_message(
    rate: float, segments: list[int], delays: list[int]
) -> None:
    """The rule of slots by itself, whenever claims happen: `max(now, next)`, then by the cost."""
    now, next_slot, slots = 0, 0, []
    for number, size in enumerate(segments):
        now += delays[number] if number < len(delays) else 0
        slot = max(now, next_slot)
        slots.append((slot, size))
        next_slot = slot + cost_us(size, rate)
    for window in (1_000_000, 10_000_000):
        for number, (begin, _) in enumerate(slots):
            inside = [size for slot, size in slots[number:] if slot < begin + window]
            assert sum(inside[:-1]) <= rate * window / 1e6 + 1e-6


def test_a_batch_stops_with_the_sender_that_it_began_with(
    app: Flask, rows: Rows, house: House
) -> None:
    """The communication may have been given another sender since."""
    made = communication(rows, house)
    join(rows, made, {"toName": "Ann", "toPhone": "+13195550150"})
    with app.app_context(), unit_of_work() as session:
        communications.start_batch(session, session.get_one(Communication, made.id), "pat")
    with app.app_context():
        batches.drain()
    other = Sender(
        client_id=house.client.id, credential_id=house.credential.id, kind=SenderKind.TWILIO,
        address="+13195550177", type=SenderType.LONG_CODE, rate=1,
    )  # fmt: skip
    rows.add(other)
    rows.change(update(Communication).values(sender_id=other.id))
    rows.change(
        update(Sender)
        .where(Sender.id == house.sender.id)
        .values(stopped_at=LONG_AGO, stopped_reason="Not registered.")
    )
    with app.app_context():
        assert agenda.runnable_batches(db.session(), datetime.now(UTC)) == []
