"""Reports that wait to be applied: many at once as one by one, and before anybody judges."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain.sending import journal, statuses
from app.domain.sending.reports import Report
from app.extensions import unit_of_work
from app.models.base import new_id
from app.models.communication import Callback, CallbackEvent
from app.models.delivery import Delivery
from app.models.last_contact import LastContact
from app.models.message import JournaledReport, Message, MessageReport, MessageState
from tests.support.house import House, furnish, text
from tests.support.relay import AS_RECORDED
from tests.support.rows import Rows

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
WORDS = (
    "accepted", "queued", "sending", "sent", "delivered", "undelivered", "failed", "canceled",
    "read", "",
)  # fmt: skip


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


def take(app: Flask, *given: statuses.Given) -> None:
    with app.app_context(), unit_of_work() as session:
        journal.append(session, given)


def apply(app: Flask, *messages: Message) -> int:
    with app.app_context(), unit_of_work() as session:
        return journal.apply_free(session, [message.id for message in messages])


def callback(word: str, sid: str, **more: Any) -> Report:
    return Report(word, "callback", sid=sid, **more)


def test_what_a_report_says_is_the_same_after_the_journal(
    app: Flask, rows: Rows, house: House
) -> None:
    message = text(house, state=MessageState.ACCEPTED)
    rows.add(message)
    said = Report(
        "undelivered", "callback", sid="SM" + "1" * 32, error_code=30003,
        error_message="Unreachable", sender="+13195550101", segments=2, price=0.0,
        price_unit="USD", details={"RawDlrDoneDate": "2611211200"},
    )  # fmt: skip
    take(app, (message.id, said, AT))
    kept = rows.one(JournaledReport)
    assert (Report(**kept.report), kept.at) == (said, AT)


@pytest.mark.parametrize("seed", range(12))
def test_many_at_once_end_as_one_by_one(
    seed: int, app: Flask, rows: Rows, registrar_endpoint: str, house: House
) -> None:
    """Any reports, in any order, of messages in any state: rows, history, events are the same."""
    chance = random.Random(seed)
    states = [chance.choice(list(MessageState)) for _ in range(6)]
    pairs = []
    for number, state in enumerate(states):
        known = f"SM{number:032}" if state is MessageState.ACCEPTED else None
        pairs.append([
            text(house, state=state, sid=known and known.replace("SM", prefix), to=f"+1319555{n}")
            for prefix, n in (("SM", 1000 + number), ("MM", 2000 + number))
        ])  # fmt: skip
    rows.add(*(message for pair in pairs for message in pair))
    rows.add(*(
        Callback(client_id=house.client.id, event=event, endpoint_id=registrar_endpoint)
        for event in (
            CallbackEvent.MESSAGE_STATUS, CallbackEvent.MESSAGE_SENT, CallbackEvent.MESSAGE_PROBLEM,
        )
    ))  # fmt: skip
    told = [
        (
            chance.randrange(6), chance.choice(WORDS),
            {"error_code": chance.choice((None, 30003, 21610)),
             "price": chance.choice((None, 0.0075)), "segments": chance.choice((None, 3))},
            AT + timedelta(seconds=second),
        )
        for second in range(24)
    ]  # fmt: skip
    for which, word, more, at in told:
        with app.app_context(), unit_of_work() as session:
            report = callback(word, f"SM{which:032}", **more)
            statuses.record_report(session, pairs[which][0].id, report, at)
    take(app, *(
        (pairs[which][1].id, callback(word, f"MM{which:032}", **more), at)
        for which, word, more, at in told
    ))  # fmt: skip
    assert apply(app, *(pair[1] for pair in pairs)) == 24
    for one, other in pairs:
        assert _known(rows, one) == _known(rows, other)


def _known(rows: Rows, message: Message) -> dict[str, Any]:
    """Return all that is known of a message, without what differs between two of them."""
    own = {"id", "to", "sid", "created_at", "updated_at", "commit_order", "due_at"}
    stored = rows.one(select(Message).where(Message.id == message.id))
    reports = rows.all(
        select(MessageReport)
        .where(MessageReport.message_id == message.id)
        .order_by(MessageReport.id)
    )
    told = rows.all(
        select(Delivery).where(Delivery.message_id == message.id).order_by(*AS_RECORDED)
    )
    contacts = rows.all(select(LastContact).where(LastContact.phone == message.to))
    return {
        "row": {c.key: getattr(stored, c.key) for c in Message.__table__.columns
                if c.key not in own and hasattr(stored, c.key)},
        "reports": [(one.status, one.source, one.error_code) for one in reports],
        "events": [_without(one.body, stored) for one in told],
        "contact": [one.sent_at for one in contacts],
    }  # fmt: skip


def _without(body: str, message: Message) -> str:
    cut = body[body.index('"data"') :]
    for own in (message.id, message.sid or "-", message.to):
        cut = cut.replace(own, "…")
    return cut


@pytest.fixture
def registrar_endpoint(rows: Rows, house: House) -> str:
    from app.models.endpoint import Endpoint, EndpointKind

    endpoint = Endpoint(
        id=new_id(), client_id=house.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    return endpoint.id


def test_a_hundred_take_a_few_statements(
    app: Flask, rows: Rows, house: House, statements: list[str]
) -> None:
    messages = [
        text(house, state=MessageState.ACCEPTED, sid=f"SM{n:032}", status="queued")
        for n in range(100)
    ]
    rows.add(*messages)
    take(app, *((one.id, callback("sent", one.sid or ""), AT) for one in messages))
    statements.clear()
    assert apply(app, *messages) == 100
    assert len(statements) <= 8
    assert {one.status for one in rows.all(Message)} == {"sent"}


@pytest.mark.database("postgresql")
def test_a_message_that_somebody_else_holds_is_left_for_the_next_time(
    app: Flask, rows: Rows, house: House
) -> None:
    held, free = text(house, state=MessageState.ACCEPTED), text(house, state=MessageState.ACCEPTED)
    rows.add(held, free)
    take(app, *((one.id, callback("sent", f"SM{n:032}"), AT) for n, one in enumerate((held, free))))
    engine_session = app.extensions["sqlalchemy"]
    with app.app_context(), engine_session.engine.begin() as connection:
        connection.execute(select(Message.id).where(Message.id == held.id).with_for_update())
        assert apply(app, held, free) == 1
    assert rows.one(JournaledReport).message_id == held.id
    assert apply(app, held, free) == 1


def test_reports_of_a_message_that_is_gone_go_too(app: Flask, rows: Rows, house: House) -> None:
    message = text(house, state=MessageState.ACCEPTED)
    rows.add(message)
    gone = text(house)
    take(app, (gone.id, callback("sent", "SM1"), AT), (message.id, callback("sent", "SM2"), AT))
    assert apply(app, gone, message) == 2
    assert rows.count(JournaledReport) == 0
    assert rows.one(Message).status == "sent"
