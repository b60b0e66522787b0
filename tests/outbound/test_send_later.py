"""A text that waits for the hour somebody chose: in no lane before, and asked about again then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update

from app.domain import clocks, urls
from app.domain.reach import Refusal
from app.domain.sending import answering, later, texts
from app.extensions import unit_of_work
from app.maintenance import ahead, retention
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import Conversation, ConversationState, EntryKind
from app.models.media import Media, MediaSource
from app.models.message import Message, MessageState
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.outbound import batches
from app.outbound.send import drains
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, furnish
from tests.support.rows import Rows

NOW = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
AT = NOW + timedelta(hours=1)
ANN = "+13195550101"
Clock = Callable[..., None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Put the time, the database's too, an hour before; called, it goes on by so much."""
    monkeypatch.setattr(clocks, "db_now_us", lambda _session: time.time_ns() // 1000)
    with time_machine.travel(NOW, tick=True) as travel:

        def go_on(**delta: float) -> None:
            travel.shift(timedelta(**delta))

        yield go_on


@pytest.fixture
def house(rows: Rows, clock: Clock) -> House:
    return furnish(rows, rate=100)


def put(app: Flask, house: House, at: datetime | None = AT, **more: Any) -> Message:
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        sender = session.get_one(Sender, house.sender.id)
        return texts.queue_text(
            session, client, sender, more.pop("to", ANN), body="See you", send_at=at, **more
        )


def answer(app: Flask, house: House) -> None:
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        number = session.get_one(Sender, house.sender.id)
        answering.reply(session, client, number, ANN, body="See you", send_at=AT, by="pat")


def work(app: Flask) -> None:
    with app.app_context():
        batches.drain()
        drains.drain()
        drains._posting(app).finish(10)


def test_it_goes_at_its_hour_and_not_before(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    put(app, house)
    work(app)
    waits = rows.one(Message)
    assert (waits.is_held, waits.due_at, waits.public_status) == (True, None, "queued")
    clock(minutes=59)
    work(app)
    assert fake.accepted == []
    clock(minutes=1)
    work(app)
    assert [one.to for one in fake.accepted] == [ANN]
    went = rows.one(Message)
    assert (went.state, went.is_held, went.send_at) == (MessageState.ACCEPTED, False, AT)


@pytest.mark.parametrize("at", [NOW - timedelta(days=1), None], ids=["past", "none"])
def test_without_an_hour_to_come_it_goes_at_once(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, at: datetime | None
) -> None:
    put(app, house, at)
    work(app)
    assert len(fake.accepted) == 1


def test_it_overtakes_nothing_and_holds_nothing_up(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    put(app, house)
    put(app, house, None)
    work(app)
    assert len(fake.accepted) == 1


def test_no_clock_is_mistaken_for_wrong(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    message = put(app, house)
    with app.app_context():
        assert ahead.tick() == 0
    later_by = utcnow() + timedelta(hours=3)  # written by a process whose clock is ahead
    rows.change(update(Message).values(updated_at=later_by, created_at=later_by))
    with app.app_context():
        assert ahead.tick() == 1
    assert rows.one(Message).send_at == AT
    work(app)
    assert fake.accepted == []
    assert message.send_at == AT


def suppress(rows: Rows, house: House) -> None:
    made = SuppressionList(client_id=house.client.id, name="opted-out")
    rows.add(made)
    rows.change(update(Sender).values(suppression_list_id=made.id))
    rows.add(
        SuppressionEntry(
            list_id=made.id,
            phone=ANN,
            scope="all",
            source=SuppressionSource.MANUAL,
            since=utcnow(),
        )
    )


def test_who_opts_out_meanwhile_gets_nothing(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    put(app, house)
    suppress(rows, house)
    clock(hours=1)
    work(app)
    assert (rows.one(Message).state, fake.accepted) == (MessageState.SUPPRESSED, [])


def test_who_may_not_be_reached_any_more_is_refused_with_the_reason(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    rows.change(update(Client).values(international=True))
    put(app, house, to="+447700900123")
    rows.change(update(Client).values(international=False))
    clock(hours=1)
    work(app)
    message = rows.one(Message)
    assert (message.state, message.reason, fake.accepted) == ("refused", "not_allowed", [])


def test_of_a_client_that_is_halted_it_waits_until_that_is_over(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    put(app, house)
    rows.change(update(Client).values(halted_at=utcnow()))
    clock(hours=1)
    work(app)
    assert (rows.one(Message).state, fake.accepted) == (MessageState.WAITING, [])
    rows.change(update(Client).values(halted_at=None))
    work(app)
    assert len(fake.accepted) == 1


@pytest.mark.parametrize(
    "limit", [{"limit_segments_hour": 1}, {"limit_phone_hour": 1}], ids=["segments", "phone"]
)
def test_it_counts_against_the_limits_of_its_hour_and_waits_for_room(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock, limit: dict[str, int]
) -> None:
    rows.change(update(Client).values(**limit))
    put(app, house)
    clock(minutes=30)
    put(app, house, None)  # there is room: the other one counts when its hour has come
    work(app)
    clock(minutes=30)
    work(app)
    assert len(fake.accepted) == 1
    clock(minutes=32)
    work(app)
    assert len(fake.accepted) == 2


def test_of_several_for_one_hour_a_phone_gets_as_many_each_hour_as_its_limit_lets_it(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    rows.change(update(Client).values(limit_phone_hour=1))
    for _ in range(3):
        put(app, house)
    gone = []
    for _ in range(3):
        clock(minutes=61)
        work(app)
        gone.append(len(fake.accepted))
    assert gone == [1, 2, 3]


def test_it_can_be_canceled_until_it_goes(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    message = put(app, house)
    with app.app_context(), unit_of_work() as session:
        later.cancel(session, message.id, "pat@example.edu")
    clock(hours=1)
    work(app)
    ended = rows.one(Message)
    assert (ended.state, fake.accepted) == (MessageState.CANCELED, [])
    assert ended.error_message == "Canceled by pat@example.edu before its hour."
    with app.app_context(), pytest.raises(Refusal), unit_of_work() as session:
        later.cancel(session, message.id, "pat@example.edu")


def waiting(rows: Rows, house: House, since: datetime) -> None:
    rows.add(
        Conversation(
            client_id=house.client.id, sender_id=house.sender.id, phone=ANN, unread=1,
            state=ConversationState.WAITING, last_at=since, last_kind=EntryKind.IN,
            last_text="When?", waiting_since=since,
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("minutes", "state"), [(-1, ConversationState.ANSWERED), (30, ConversationState.WAITING)],
    ids=["answers", "not what came since"],
)  # fmt: skip
def test_a_conversation_is_answered_when_it_goes(
    app: Flask, rows: Rows, house: House, clock: Clock, minutes: int, state: ConversationState
) -> None:
    waiting(rows, house, NOW - timedelta(minutes=1))
    answer(app, house)
    assert rows.one(Conversation).state is ConversationState.WAITING
    rows.change(update(Conversation).values(waiting_since=NOW + timedelta(minutes=minutes)))
    clock(hours=1)
    work(app)
    talk = rows.one(Conversation)
    assert (talk.state, talk.last_text) == (state, "See you")


def test_neither_it_nor_its_files_go_by_retention_before(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, clock: Clock
) -> None:
    rows.change(update(Client).values(retention_days=1))
    file = Media(
        client_id=house.client.id, source=MediaSource.STORED, content_type="image/png",
        filename="x.png", size=1, content=b"x", expires_at=NOW + timedelta(days=1),
    )  # fmt: skip
    rows.add(file)
    with app.app_context():
        url = urls.of_media(file.code)
    put(app, house, NOW + timedelta(days=10), media=[url])
    clock(days=10, minutes=1)
    for _ in range(2):
        with app.app_context():
            retention.run()
        assert (rows.count(Message), rows.count(Media)) == (1, 1)
        work(app)
    assert len(fake.accepted) == 1
