"""What becomes of a message: reports in any order, our own ends, and the steps that follow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain.relaying import announcements
from app.domain.sending import statuses
from app.domain.sending.reports import Report
from app.extensions import db, unit_of_work
from app.models.base import new_id
from app.models.batch import Batch
from app.models.communication import Campaign, Communication
from app.models.message import MESSAGE_TRANSITIONS, Message, MessageReport, MessageState
from app.models.route import Destination
from app.models.template import Template, TemplateKind
from tests.support.house import House, furnish, text
from tests.support.rows import Rows

SID = "SM" + "0" * 32


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """What was announced, in order: (function, status or reason)."""
    heard: list[tuple[str, str | None]] = []
    monkeypatch.setattr(announcements, "taken", lambda s, m: heard.append(("taken", None)))
    monkeypatch.setattr(
        announcements, "status_changed", lambda s, m: heard.append(("status", m.status))
    )
    monkeypatch.setattr(
        announcements, "problem", lambda s, m, reason: heard.append(("problem", reason))
    )
    return heard


def report(app: Flask, message: Message, *reports: Report) -> None:
    for one in reports:
        with app.app_context(), unit_of_work() as session:
            statuses.record_report(session, message.id, one)


def callback(status: str, **more: object) -> Report:
    return Report(status, "callback", sid=SID, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", list(permutations(["queued", "sent", "delivered"])), ids="-".join)
def test_whatever_the_order_the_highest_word_stays(
    order: tuple[str, ...], app: Flask, rows: Rows, house: House
) -> None:
    message = text(house, state=MessageState.CLAIMED)
    rows.add(message)
    report(app, message, *(callback(word) for word in order))
    stored = rows.one(Message)
    assert stored.status == "delivered"
    assert stored.state is MessageState.ACCEPTED
    assert [kept.status for kept in rows.all(select(MessageReport).order_by(MessageReport.id))] == [
        *order
    ]


def test_a_callback_before_our_own_answer_is_not_undone_by_it(
    app: Flask, rows: Rows, house: House, announced: list[tuple[str, str | None]]
) -> None:
    message = text(house, state=MessageState.CLAIMED)
    rows.add(message)
    report(app, message, callback("delivered"), Report("queued", "response", sid=SID))
    stored = rows.one(Message)
    assert (stored.state, stored.status, stored.sid) == (MessageState.ACCEPTED, "delivered", SID)
    assert announced == [("taken", None), ("status", "delivered")]


@pytest.mark.parametrize("word", ["viewed", "brand-new", ""])
def test_an_unknown_word_is_kept_and_changes_nothing(
    word: str, app: Flask, rows: Rows, house: House
) -> None:
    message = text(house, state=MessageState.ACCEPTED, sid=SID, status="sent")
    rows.add(message)
    report(app, message, callback(word))
    assert rows.one(Message).status == "sent"
    assert rows.one(MessageReport).status == word


def test_a_terminal_word_sticks(app: Flask, rows: Rows, house: House) -> None:
    message = text(house, state=MessageState.ACCEPTED, sid=SID, status="sent")
    rows.add(message)
    report(app, message, callback("undelivered", error_code=30003), callback("delivered"))
    stored = rows.one(Message)
    assert (stored.status, stored.error_code) == ("undelivered", 30003)


@pytest.mark.parametrize("state", list(MessageState))
def test_a_sid_settles_exactly_the_states_that_may_become_accepted(
    state: MessageState, app: Flask, rows: Rows, house: House
) -> None:
    message = text(house, state=state)
    rows.add(message)
    report(app, message, callback("sent"))
    legal = MessageState.ACCEPTED in MESSAGE_TRANSITIONS[state] or state is MessageState.ACCEPTED
    assert (rows.one(Message).sid == SID) == legal


@pytest.mark.parametrize("state", list(MessageState))
def test_an_end_comes_only_from_the_states_named(
    state: MessageState, app: Flask, rows: Rows, house: House, announced: list[object]
) -> None:
    message = text(house, state=state)
    rows.add(message)
    with app.app_context(), unit_of_work() as session:
        ended = statuses.end(
            session, message.id, MessageState.REFUSED,
            before=(MessageState.WAITING, MessageState.CLAIMED), reason="refused",
            error_message="No.", error_code=21211,
        )  # fmt: skip
    fits = state in (MessageState.WAITING, MessageState.CLAIMED)
    assert (ended is not None) == fits
    assert announced == ([("problem", "refused")] if fits else [])
    assert rows.count(MessageReport) == int(fits)


def test_a_reply_by_twiml_gets_its_sid_from_its_first_report(
    app: Flask, rows: Rows, house: House
) -> None:
    message = text(house, state=MessageState.ACCEPTED, lane_key=None)
    rows.add(message)
    report(app, message, callback("sent"))
    assert (rows.one(Message).sid, rows.one(Message).status) == (SID, "sent")


class TestSteps:
    @pytest.fixture
    def steps(self, rows: Rows, house: House) -> list[Message]:
        client_id = house.client.id
        template = Template(id=new_id(), client_id=client_id, name="t", kind=TemplateKind.SMS)
        campaign = Campaign(id=new_id(), client_id=client_id, name="spring")
        rows.add(template, campaign)
        communication = Communication(
            id=new_id(), client_id=client_id, campaign_id=campaign.id, name="c",
            destination=Destination.SMS, template_id=template.id, sender_id=house.sender.id,
        )  # fmt: skip
        rows.add(communication)
        batch = Batch(
            id=new_id(), client_id=client_id, communication_id=communication.id,
            scheduled_at=datetime.now(UTC), created_by="pat", lane_key=f"sms:{house.sender.id}",
            plan={"steps": [["one", None], ["two", 60], ["three", 0]]},
        )  # fmt: skip
        rows.add(batch)
        messages = [
            text(house, batch_id=batch.id, position=0, step=step, step_after=after,
                 due_at=datetime.now(UTC) if step == 0 else None)
            for step, after in ((0, None), (1, 60), (2, 0))
        ]  # fmt: skip
        rows.add(*messages)
        return messages

    def by_step(self, rows: Rows) -> list[Message]:
        return list(rows.all(select(Message).order_by(Message.step)))

    def test_the_next_one_is_due_its_delay_after_the_sid(
        self, app: Flask, rows: Rows, steps: list[Message]
    ) -> None:
        at = datetime(2026, 11, 21, 12, tzinfo=UTC)
        with app.app_context(), unit_of_work() as session:
            statuses.record_report(session, steps[0].id, callback("queued"), at)
        _, second, third = self.by_step(rows)
        assert second.due_at == at + timedelta(seconds=60)
        assert third.due_at is None

    def test_unknown_holds_them(self, app: Flask, rows: Rows, steps: list[Message]) -> None:
        with app.app_context(), unit_of_work() as session:
            statuses.end(
                session, steps[0].id, MessageState.UNKNOWN,
                before=(MessageState.WAITING,), reason="unknown",
            )  # fmt: skip
        assert [(m.state, m.due_at) for m in self.by_step(rows)[1:]] == [
            (MessageState.WAITING, None)
        ] * 2

    @pytest.mark.parametrize("how", ["refused by us", "failed at Twilio"])
    def test_a_failure_drops_all_that_follow(
        self, how: str, app: Flask, rows: Rows, steps: list[Message]
    ) -> None:
        if how == "failed at Twilio":
            report(app, steps[0], callback("failed", error_code=30007))
        else:
            with app.app_context(), unit_of_work() as session:
                statuses.end(
                    session, steps[0].id, MessageState.REFUSED,
                    before=(MessageState.WAITING,), reason="refused",
                )  # fmt: skip
        assert [m.state for m in self.by_step(rows)[1:]] == [MessageState.CANCELED] * 2


def test_reports_that_come_at_once_do_not_wait_for_each_other_in_a_circle(
    app: Flask, rows: Rows, house: House
) -> None:
    messages = [text(house, state=MessageState.CLAIMED) for _ in range(8)]
    rows.add(*messages)
    together = Barrier(3)

    def tell(word: str) -> None:
        for number, message in enumerate(messages):
            together.wait(10)
            sid = f"SM{number:032}"
            with app.app_context():
                with unit_of_work() as session:
                    statuses.record_report(session, message.id, Report(word, "callback", sid=sid))
                db.session.remove()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(tell, ["queued", "sent", "delivered"]))
    assert {message.status for message in rows.all(Message)} == {"delivered"}
    assert rows.count(MessageReport) == 24


@pytest.mark.parametrize(
    ("code", "status"), [(21610, "suppressed"), (30004, "undelivered"), (30005, "undelivered")]
)
def test_only_21610_makes_a_message_suppressed(
    code: int, status: str, app: Flask, rows: Rows, house: House
) -> None:
    """Twilio's own word stays otherwise, also where its carrier blocks the phone (30004)."""
    message = text(house, state=MessageState.ACCEPTED, sid=SID, status="sent")
    rows.add(message)
    report(app, message, callback("undelivered", error_code=code))
    stored = rows.one(Message)
    assert (stored.public_status, stored.error_code) == (status, code)


def test_what_a_report_brings_is_kept_though_its_word_is_no_news(
    app: Flask, rows: Rows, house: House
) -> None:
    message = text(house, state=MessageState.ACCEPTED, sid=SID, status="delivered")
    rows.add(message)
    report(app, message, Report("delivered", "lookup", sid=SID, price=0.0075, price_unit="USD"))
    report(app, message, Report("sent", "callback", sid=SID, segments=2))
    stored = rows.one(Message)
    assert (stored.price, stored.price_unit, stored.segments) == (0.0075, "USD", 2)
