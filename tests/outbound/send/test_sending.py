"""A text from its lane to Twilio, and what each outcome makes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from app.domain.sending.texts import queue_text
from app.extensions import unit_of_work
from app.models.base import new_id
from app.models.client import Client
from app.models.delivery import Delivery
from app.models.last_contact import LastContact
from app.models.message import Lane, Message, MessageReport, MessageState
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.outbound.send import agenda, drains, outcomes
from app.outbound.send.claims import Outgoing
from app.outbound.send.post import Outcome
from app.outbound.send.posting import Posting
from app.twilio.client import NotSent
from tests.support import fake_twilio
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, furnish, text
from tests.support.rows import Rows

Queue = Callable[..., str]
PHONE = "+13195550150"


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows, rate=100)


@pytest.fixture
def queue(app: Flask, house: House) -> Queue:
    def put(to: str = PHONE, body: str = "Hello", **more: object) -> str:
        with app.app_context(), unit_of_work() as session:
            client = session.get_one(Client, house.client.id)
            sender = session.get_one(Sender, house.sender.id)
            return queue_text(session, client, sender, to, body=body, **more).id

    return put


def drain(app: Flask) -> None:
    with app.app_context():
        drains.drain()


def with_list(rows: Rows, house: House) -> SuppressionList:
    opted_out = SuppressionList(id=new_id(), client_id=house.client.id, name="opted-out")
    rows.add(opted_out)
    rows.change(update(Sender).values(suppression_list_id=opted_out.id))
    return opted_out


def test_a_text_is_posted_with_all_that_twilio_needs(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue
) -> None:
    id_ = queue(
        body="Hi & bye + 100 %",
        media=["https://example.edu/a.png", "https://example.edu/b.png"],
        member={"toName": "Ann"},
        options={"validityPeriod": 600, "sendAsMms": True},
    )
    drain(app)
    made = fake.accepted[0]
    assert (made.to, made.sender, made.body) == (PHONE, "+13195550100", "Hi & bye + 100 %")
    assert made.callback == f"{PUBLIC_BASE_URL}/inbound/sms/status/{id_}"
    assert made.form["ValidityPeriod"] == "600"
    assert made.form["SendAsMms"] == "true"
    message = rows.one(Message)
    assert (message.state, message.status, message.sid) == (
        MessageState.ACCEPTED, "queued", made.sid,
    )  # fmt: skip
    assert message.accepted_at is not None
    assert [(report.status, report.source) for report in rows.all(MessageReport)] == [
        ("queued", "response")
    ]
    contact = rows.one(LastContact)
    assert (contact.phone, contact.member, contact.sid) == (PHONE, {"toName": "Ann"}, made.sid)


def test_a_messaging_service_sends_by_its_sid(app: Flask, rows: Rows, fake: FakeTwilio) -> None:
    service = furnish(rows, address="MG" + "0" * 32, kind=SenderKind.MESSAGING_SERVICE, rate=12)
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, service.client.id)
        sender = session.get_one(Sender, service.sender.id)
        queue_text(session, client, sender, PHONE, body="Hello")
    drain(app)
    assert "From" not in fake.accepted[0].form
    assert fake.accepted[0].form["MessagingServiceSid"] == "MG" + "0" * 32


def test_nothing_is_posted_twice(app: Flask, fake: FakeTwilio, queue: Queue) -> None:
    for number in range(5):
        queue(to=f"+1319555015{number}")
    drain(app)
    drain(app)
    assert sorted(made.to for made in fake.accepted) == [f"+1319555015{n}" for n in range(5)]


def test_the_order_to_one_person_is_kept(app: Flask, fake: FakeTwilio, queue: Queue) -> None:
    fake.latency = 0.05
    for number in range(6):
        queue(body=f"part {number}")
    drain(app)
    assert [made.body for made in fake.accepted] == [f"part {number}" for number in range(6)]


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (fake_twilio.TOO_MANY, MessageState.WAITING),
        (fake_twilio.FAILS_BEFORE, MessageState.UNKNOWN),
        (fake_twilio.FAILS_AFTER, MessageState.UNKNOWN),
        (fake_twilio.RESETS_BEFORE, MessageState.UNKNOWN),
        (fake_twilio.RESETS_AFTER, MessageState.UNKNOWN),
        (fake_twilio.refuses(21211), MessageState.FAILED),
        (fake_twilio.refuses(21610), MessageState.SUPPRESSED),
        (fake_twilio.refuses(21611), MessageState.WAITING),
        (fake_twilio.refuses(20003), MessageState.FAILED),
        (fake_twilio.refuses(99999), MessageState.FAILED),
    ],
    ids=lambda value: (
        f"{value.kind}-{value.code or value.status}-{value.accepts}"
        if isinstance(value, fake_twilio.Fault)
        else str(value)
    ),
)
def test_each_outcome_has_its_state(
    fault: fake_twilio.Fault,
    state: MessageState,
    app: Flask,
    rows: Rows,
    fake: FakeTwilio,
    queue: Queue,
) -> None:
    fake.plan = lambda form, number: fault if number == 0 else fake_twilio.FAILS_BEFORE
    queue()
    with app.app_context():
        work = drains.Drain(drains._posting(app))
        work.turn()
        assert work.posting.finish(20)
        work.release()
    message = rows.one(Message)
    assert message.state is state
    assert len(fake.tried) == 1
    if state is MessageState.WAITING:
        assert message.due_at is not None
        assert message.due_at > datetime.now(UTC)
    if state is MessageState.UNKNOWN:
        assert message.check_at is not None
        wait = message.check_at - datetime.now(UTC)
        assert timedelta(seconds=25) < wait <= timedelta(seconds=30)
    if state in (MessageState.FAILED, MessageState.SUPPRESSED):
        assert message.error_code == fault.code


def test_nobody_listening_means_not_sent(app: Flask, rows: Rows, queue: Queue) -> None:
    app.extensions["settings"] = replace_twilio(app, "http://127.0.0.1:9")
    queue()
    with app.app_context():
        work = drains.Drain(drains._posting(app))
        work.turn()
        assert work.posting.finish(20)
    message = rows.one(Message)
    assert (message.state, message.tries) == (MessageState.WAITING, 1)
    held = rows.one(Lane).held_until
    assert held is not None
    assert held > datetime.now(UTC)


@pytest.mark.parametrize(("asked", "held"), [(None, 1), (30, 30), (3600, 60)])
def test_a_lane_waits_as_long_as_twilio_asks_within_reason(
    asked: float | None, held: int, app: Flask, rows: Rows, house: House
) -> None:
    waiting = text(house, state=MessageState.CLAIMED, claim_token="T")
    rows.add(Lane(key="sms:x", rate=1), waiting)
    refused = Outgoing(
        id=waiting.id, destination=Destination.SMS, lane_key="sms:x", slot_us=0, cost_us=1,
        segments=1, to=PHONE, from_=house.sender.address, body="Hello", media=(), options={},
        credential_id=house.credential.id, claim_token="T", tries=1,
    )  # fmt: skip
    before = datetime.now(UTC)
    with app.app_context(), unit_of_work() as session:
        outcomes.write_down(session, [(refused, NotSent("Too many.", asked))])
    until = rows.one(Lane).held_until
    assert until is not None
    assert held <= (until - before).total_seconds() < held + 5


def replace_twilio(app: Flask, url: str) -> object:
    import dataclasses

    return dataclasses.replace(app.extensions["settings"], twilio_api_base_url=url)


def test_a_lane_that_was_idle_is_served_again_at_once(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, queue: Queue
) -> None:
    """It must not wait until the drain's own lease of it has run out."""
    busy = furnish(rows, address="+13195550101", rate=1)
    key = f"sms:{busy.sender.id}"
    rows.add(Lane(key=key, rate=1), *(text(busy, to=f"+1319555016{n}") for n in range(2)))
    queue()
    with app.app_context():
        work = drains.Drain(drains._posting(app))
        work.turn()
        assert len(work.views) == 2
        assert work.posting.finish(20)
        work._renew_at = work._next_look = 0.0
        work.turn()
        assert list(work.views) == [key]
        queue(body="Another one")
        work._next_look = 0.0
        work.turn()
        assert work.posting.finish(20)
        work.release()
    assert "Another one" in [made.body for made in fake.accepted]


def test_what_a_process_kept_while_it_stood_still_is_not_posted(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue, posting: Posting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    queue()
    with app.app_context():
        late: list[Outgoing] = []
        with monkeypatch.context() as patched:
            patched.setattr(posting, "add", late.append)
            work = drains.Drain(posting)
            work.turn()
            work.release()
        monkeypatch.setattr(posting.clock, "moment", lambda _: time.monotonic() - 5)
        posting.add(late[0])
        assert posting.finish(20)
    assert fake.tried == []
    assert rows.one(Message).state is MessageState.WAITING


def test_an_outcome_that_cannot_be_written_does_not_keep_the_others(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue, posting: Posting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    faulty = queue()
    queue(to="+13195550151")
    settle = outcomes.write_down

    def refuse_one(session: Session, found: list[tuple[Outgoing, Outcome]]) -> None:
        if any(outgoing.id == faulty for outgoing, _ in found):
            raise DataError("INSERT", {}, ValueError("a NUL"))
        settle(session, found)

    monkeypatch.setattr(outcomes, "write_down", refuse_one)
    with app.app_context():
        work = drains.Drain(posting)
        for _ in range(100):
            work.turn()
            if not any(message.state is MessageState.WAITING for message in rows.all(Message)):
                break
            time.sleep(0.05)
        work.release()
        assert work.posting.finish(20)
    states = {message.id == faulty: message.state for message in rows.all(Message)}
    assert states == {True: MessageState.CLAIMED, False: MessageState.ACCEPTED}


def test_a_person_who_opted_out_meanwhile_gets_nothing(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, queue: Queue
) -> None:
    opted_out = with_list(rows, house)
    queue()
    queue(to="+13195550151")
    rows.add(
        SuppressionEntry(
            list_id=opted_out.id, phone=PHONE, source=SuppressionSource.KEYWORD,
            since=datetime.now(UTC),
        )
    )  # fmt: skip
    drain(app)
    assert [made.to for made in fake.accepted] == ["+13195550151"]
    states = {message.to: message.state for message in rows.all(Message)}
    assert states[PHONE] is MessageState.SUPPRESSED


def test_21610_goes_on_the_list_of_the_sender(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, queue: Queue
) -> None:
    opted_out = with_list(rows, house)
    fake.plan = lambda form, number: fake_twilio.refuses(21610)
    queue()
    drain(app)
    entry = rows.one(SuppressionEntry)
    assert (entry.list_id, entry.phone, entry.scope, entry.source) == (
        opted_out.id, PHONE, house.sender.id, SuppressionSource.TWILIO,
    )  # fmt: skip
    queue()
    drain(app)
    assert len(fake.tried) == 1


def test_an_unknown_code_is_told_to_owner_and_support_once(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue
) -> None:
    fake.plan = lambda form, number: fake_twilio.refuses(99999)
    for number in range(3):
        queue(to=f"+1319555015{number}")
    drain(app)
    assert rows.count(Delivery) == 2
    drain(app)
    assert rows.count(Delivery) == 2


def test_wrong_credentials_stop_everything_and_the_owner_hears_once(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue
) -> None:
    fake.plan = lambda form, number: fake_twilio.refuses(20003)
    for number in range(3):
        queue(to=f"+1319555015{number}")
    drain(app)
    states = sorted(message.state for message in rows.all(Message))
    assert MessageState.FAILED in states
    assert len(fake.tried) <= 3
    assert rows.count(Delivery) == 2  # to the owner and to support
    drain(app)
    assert len(fake.tried) <= 3


def test_a_halted_client_sends_nothing_until_it_may_again(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue
) -> None:
    queue()
    rows.change(update(Client).values(halted_at=datetime.now(UTC)))
    drain(app)
    assert fake.tried == []
    rows.change(update(Client).values(halted_at=None))
    drain(app)
    assert len(fake.accepted) == 1


def test_what_is_due_later_waits(app: Flask, fake: FakeTwilio, queue: Queue) -> None:
    queue(send_at=datetime.now(UTC) + timedelta(hours=1))
    drain(app)
    assert fake.tried == []


def test_a_lane_that_another_process_holds_is_left_alone_until_its_lease_runs_out(
    app: Flask, rows: Rows, fake: FakeTwilio, queue: Queue
) -> None:
    queue()
    soon = datetime.now(UTC) + timedelta(seconds=5)
    rows.change(update(Lane).values(lease_token="another", lease_until=soon))
    with app.app_context():
        work = drains.Drain(drains._posting(app))
        assert not work.turn()  # somebody is at work on it
        assert not agenda.wake_due()
        assert fake.tried == []
        rows.change(update(Lane).values(lease_until=datetime.now(UTC) - timedelta(seconds=1)))
        assert agenda.wake_due()  # who may have died
        work._next_look = 0.0
        work.turn()
        assert work.posting.finish(20)
    assert len(fake.accepted) == 1


def test_a_drain_whose_time_is_up_keeps_the_lanes_that_are_due_soon(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next drain goes on with them; the others may go to a process that has fewer."""
    slow = furnish(rows, address="+13195550101", rate=0.1)
    for one in (house, slow):
        rows.add(Lane(key=f"sms:{one.sender.id}", rate=one.sender.rate))
        rows.add(*(text(one, to=f"+131955{number:05}") for number in range(100)))
    claimed = time_is_up_after_a_claim(monkeypatch)
    drain(app)
    assert {one.from_ for one in claimed} == {house.sender.address, slow.sender.address}
    held = {lane.key: lane.lease_token for lane in rows.all(Lane)}
    assert held[f"sms:{house.sender.id}"] == drains._work(app).token
    assert held[f"sms:{slow.sender.id}"] is None
    claimed.clear()
    drain(app)
    assert {one.from_ for one in claimed} == {house.sender.address}
    with app.app_context():
        assert drains._posting(app).finish(20)


def time_is_up_after_a_claim(monkeypatch: pytest.MonkeyPatch) -> list[Outgoing]:
    """Let a drain's time be up when it has claimed something, however long that took.

    :returns: what is claimed from now on.
    """
    claimed: list[Outgoing] = []
    ahead: list[float] = []
    turn, add = drains.Drain.turn, Posting.add

    def one_turn(work: drains.Drain) -> bool:
        more = turn(work)
        ahead.extend([drains.DRAIN_SECONDS] * bool(claimed))
        return more

    def note(posting: Posting, outgoing: Outgoing) -> None:
        claimed.append(outgoing)
        add(posting, outgoing)

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return time.monotonic() + (ahead.pop() if ahead else 0.0)

    monkeypatch.setattr(drains, "time", Clock)
    monkeypatch.setattr(drains.Drain, "turn", one_turn)
    monkeypatch.setattr(Posting, "add", note)
    return claimed


def test_a_try_that_failed_is_not_overtaken(
    app: Flask, rows: Rows, fake: FakeTwilio, house: House
) -> None:
    later = datetime.now(UTC) + timedelta(seconds=30)
    first = text(house, tries=1, due_at=later, body="first")
    rows.add(Lane(key=first.lane_key, rate=100), first)
    rows.add(text(house, body="second"), text(house, body="to another", to="+13195550151"))
    drain(app)
    assert [made.body for made in fake.accepted] == ["to another"]
    assert rows.one(select(Message.state).where(Message.body == "second")) is MessageState.WAITING
