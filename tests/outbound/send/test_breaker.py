"""A lane is held when Twilio refuses the same for five people in a row, whatever the code means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, update

from app.domain.provisioning import senders
from app.domain.sending import breaker, communications, running, statuses
from app.domain.sending.reports import Report
from app.domain.sending.texts import queue_text
from app.extensions import unit_of_work
from app.models.base import new_id, utcnow
from app.models.batch import Batch
from app.models.breaker import Breaker
from app.models.client import Client
from app.models.credential import Credential
from app.models.delivery import Delivery
from app.models.message import Lane, Message, MessageState
from app.models.sender import Sender, SenderKind
from app.outbound import batches
from app.outbound.send import drains
from tests.support import fake_twilio
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, communication, furnish, join
from tests.support.our_calls import queued
from tests.support.rows import Rows

Send = Callable[..., None]
UNKNOWN = 99999
OWN = 21211


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows, rate=100)


@pytest.fixture
def send(app: Flask, house: House) -> Send:
    """Queue one text to each phone, one after the other, and send what may go."""

    def put(*last: int) -> None:
        for number in last:
            with app.app_context(), unit_of_work() as session:
                client = session.get_one(Client, house.client.id)
                sender = session.get_one(Sender, house.sender.id)
                queue_text(session, client, sender, f"+131955502{number:02}", body="Hello")
            with app.app_context():
                drains.drain()

    return put


def held(rows: Rows) -> Breaker | None:
    return next((one for one in rows.all(Breaker) if one.tripped_at), None)


def waiting(rows: Rows) -> int:
    return sum(one.state is MessageState.WAITING for one in rows.all(Message))


def refuse(fake: FakeTwilio, *codes: int | None) -> None:
    """Refuse with each code in turn, then with the last one; None takes the text."""
    left = list(codes)

    def plan(form: object, number: int) -> object:
        code = left.pop(0) if len(left) > 1 else left[0]
        return None if code is None else fake_twilio.refuses(code)

    fake.plan = plan


def test_five_people_in_a_row_hold_the_lane_and_owner_and_support_hear_of_it(
    rows: Rows, fake: FakeTwilio, send: Send
) -> None:
    refuse(fake, UNKNOWN)
    send(*range(8))
    assert (len(fake.tried), waiting(rows)) == (5, 3)
    found = held(rows)
    assert found is not None
    assert "99999" in (found.reason or "")
    assert rows.count(Delivery) == 4  # about the code, and about the lane; to both


@pytest.mark.parametrize(
    ("codes", "phones"),
    [
        ([UNKNOWN] * 4, [0, 1, 2, 3]),
        ([UNKNOWN] * 6, [0, 0, 0, 0, 0, 0]),
        ([UNKNOWN, UNKNOWN, 88888, UNKNOWN, UNKNOWN, UNKNOWN], range(6)),
        ([UNKNOWN] * 4 + [None] + [UNKNOWN] * 4, range(9)),
        ([OWN] * 8, range(8)),
        ([21610] * 8, range(8)),
    ],
    ids=["four", "one person", "another code between", "a SID between", "the phones' own", "STOP"],
)
def test_less_than_that_holds_nothing(
    codes: list[int | None], phones: list[int], rows: Rows, fake: FakeTwilio, send: Send
) -> None:
    refuse(fake, *codes)
    send(*phones)
    assert held(rows) is None
    assert waiting(rows) == 0


def test_a_phones_own_code_does_not_break_the_row(rows: Rows, fake: FakeTwilio, send: Send) -> None:
    refuse(fake, UNKNOWN, UNKNOWN, OWN, UNKNOWN, UNKNOWN, OWN, UNKNOWN)
    send(*range(8))
    assert held(rows) is not None
    assert len(fake.tried) == 7


def try_one(app: Flask, rows: Rows, house: House) -> None:
    with app.app_context(), unit_of_work() as session:
        keys = [one.key for one in rows.all(Breaker)]
        assert breaker.try_one(session, keys, house.client.id, "ann", utcnow())
    drain(app)


def drain(app: Flask) -> None:
    for _ in range(2):
        with app.app_context():
            drains.drain()


@pytest.mark.parametrize("taken", [True, False], ids=["it gets a SID", "it is refused again"])
def test_a_person_lets_one_through(
    taken: bool, app: Flask, rows: Rows, fake: FakeTwilio, house: House, send: Send
) -> None:
    refuse(fake, UNKNOWN)
    send(*range(9))
    if taken:
        refuse(fake, None)
    try_one(app, rows, house)
    if taken:
        assert waiting(rows) == 0
        assert held(rows) is None
    else:
        assert (len(fake.tried), waiting(rows)) == (6, 3)
        found = held(rows)
        assert found is not None
        assert "One was tried" in (found.reason or "")
        assert rows.count(Delivery) == 4  # told once


def test_a_trial_that_says_nothing_about_the_sender_goes_to_somebody_else(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, send: Send
) -> None:
    """The first phone is invalid, the second is tried at a busy moment: neither is an answer."""
    refuse(fake, UNKNOWN)
    send(*range(8))
    busy = fake_twilio.TOO_MANY
    plans = [fake_twilio.refuses(OWN), busy, None, None, None]
    fake.plan = lambda form, number: plans.pop(0) if plans else None
    try_one(app, rows, house)
    rows.change(update(Message).where(Message.state == "waiting").values(due_at=utcnow()))
    rows.change(update(Lane).values(held_until=None))
    drain(app)
    assert held(rows) is None
    assert waiting(rows) == 0


def test_a_person_lets_all_of_it_go(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, send: Send
) -> None:
    refuse(fake, UNKNOWN)
    send(*range(8))
    with app.app_context(), unit_of_work() as session:
        sender = session.get_one(Sender, house.sender.id)
        assert senders.resume(session, sender, "ann")
        assert not senders.resume(session, sender, "ann")
    refuse(fake, None)
    drain(app)
    assert (held(rows), waiting(rows)) == (None, 0)


def test_a_late_sid_releases_it(app: Flask, rows: Rows, fake: FakeTwilio, send: Send) -> None:
    """A callback proves that Twilio has taken one after all."""
    refuse(fake, UNKNOWN)
    send(*range(8))
    fake.plan = None
    with app.app_context(), unit_of_work() as session:
        first = rows.all(Message)[0]
        statuses.record_report(session, first.id, Report("sent", "callback", sid="SM" + "a" * 32))
    drain(app)
    assert (held(rows), waiting(rows)) == (None, 0)


def test_what_waits_in_a_batch_waits_too_and_says_why(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    made = communication(rows, house, "Hi {{ toName }}")
    join(rows, made, *({"toName": "Ann", "toPhone": f"31955502{n}"} for n in range(30, 70)))
    refuse(fake, UNKNOWN)
    with app.app_context(), unit_of_work() as session:
        batch_id = communications.start_batch(session, made, "ann").id
    for _ in range(3):
        with app.app_context():
            batches.drain()
        drain(app)
    assert held(rows) is not None
    assert len(fake.tried) < 2 * breaker.IN_A_ROW  # though 100 a second may go
    with app.app_context(), unit_of_work() as session:
        assert running.progress(session, session.get_one(Batch, batch_id)).eta is None
    fake.plan = None
    try_one(app, rows, house)
    assert (held(rows), waiting(rows)) == (None, 0)


def test_a_caller_id_has_a_breaker_of_its_own(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    """Calls of one account share a lane; one number's trouble is not the other's."""
    good = Sender(
        id=new_id(), client_id=house.client.id, credential_id=house.credential.id,
        kind=SenderKind.TWILIO, address="+13195550101", rate=1,
    )  # fmt: skip
    rows.add(good)
    rows.change(update(Credential).values(calls_per_second=100))
    bad = house.sender.address
    fake.plan = lambda form, _: fake_twilio.refuses(UNKNOWN) if form["From"] == bad else None
    for number in range(8):
        for sender in (house.sender, good):
            with app.app_context(), unit_of_work() as session:
                queued(
                    session, session.get_one(Client, house.client.id),
                    session.get_one(Sender, sender.id), f"+131955502{number:02}",
                    source="<Response><Say>Hi</Say></Response>",
                )  # fmt: skip
            drain(app)
    assert (len(fake.accepted), len(fake.tried), waiting(rows)) == (8, 13, 3)
    found = held(rows)
    assert found is not None
    assert (found.sender_id, found.key) == (house.sender.id, f"voice:{house.sender.id}")
    fake.plan = None
    try_one(app, rows, house)
    assert (held(rows), waiting(rows)) == (None, 0)


def test_an_idle_hour_does_not_forget_what_was_refused(
    app: Flask, rows: Rows, fake: FakeTwilio, send: Send
) -> None:
    refuse(fake, UNKNOWN)
    for number in range(5):
        send(number)
        rows.change(delete(Lane))
    assert held(rows) is not None


REPORTED = "undelivered"


def report(app: Flask, message: Message, status: str, code: int | None = None) -> None:
    with app.app_context(), unit_of_work() as session:
        statuses.record_report(session, message.id, Report(status, "callback", error_code=code))


def let_an_hour_pass(rows: Rows) -> None:
    rows.change(update(Breaker).values(trial_at=utcnow() - timedelta(seconds=1)))


@pytest.mark.parametrize("code", [30035, 30001, 63038])
def test_what_heals_by_itself_is_tried_again_by_itself(
    code: int, app: Flask, rows: Rows, fake: FakeTwilio, send: Send
) -> None:
    """Twilio gives each a SID and reports afterwards, so that only a report can tell."""
    send(0)
    report(app, rows.one(Message), REPORTED, code)
    assert rows.one(Sender).stopped_at is None
    send(1, 2)
    assert waiting(rows) == 2
    let_an_hour_pass(rows)
    drain(app)
    assert waiting(rows) == 1  # one goes, and its SID says nothing yet
    by_number = {one.to: one for one in rows.all(Message)}
    report(app, by_number["+13195550201"], REPORTED, code)
    drain(app)
    assert waiting(rows) == 1
    let_an_hour_pass(rows)
    drain(app)
    assert waiting(rows) == 0
    report(app, by_number["+13195550202"], "sent")
    assert held(rows) is None
    send(3)
    assert waiting(rows) == 0
    assert rows.count(Delivery) == 2  # told once


@pytest.mark.parametrize("code", [30024, 30003, 30004, 30005, 30006, 30007, 30008, UNKNOWN])
def test_no_report_about_one_phone_stops_or_holds_a_sender(
    code: int, app: Flask, rows: Rows, fake: FakeTwilio, send: Send
) -> None:
    send(*range(6))
    for one in rows.all(Message):
        report(app, one, REPORTED, code)
    assert rows.one(Sender).stopped_at is None
    assert held(rows) is None
