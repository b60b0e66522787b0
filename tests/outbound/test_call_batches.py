"""A department calls its people: each is called once, and again only where that was asked for."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select, update

from app.domain.sending import communications, running, statuses
from app.domain.sending.reports import Report
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.communication import Callback, CallbackEvent, Communication, MachineDetection
from app.models.credential import Credential
from app.models.delivery import Delivery, EventType
from app.models.endpoint import Endpoint, EndpointKind
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.outbound import batches
from app.outbound.send import drains
from tests.support import fake_twilio
from tests.support.fake_twilio import FakeTwilio
from tests.support.house import House, communication, furnish, join
from tests.support.processes import wait_until
from tests.support.relay import AS_RECORDED
from tests.support.rows import Rows

TEMPLATE = (
    "<Response><Say>Hello {{ toName }}.</Say>"
    "{% if AnsweredBy == 'machine' %}<Say>Call {{ desk }}.</Say>{% endif %}</Response>"
)
ANN = {"toName": "Ann", "toPhone": "+13195550151", "desk": "319-335-0000"}
BOB = {"toName": "Bob & Co", "toPhone": "+13195550152", "desk": "319-335-0000"}
CY = {"toName": "Cy", "toPhone": "+13195550153"}
DI = {"toName": "Di", "toPhone": "911", "desk": "319-335-0000"}


@pytest.fixture
def house(rows: Rows) -> House:
    made = furnish(rows)
    rows.change(update(Credential).values(calls_per_second=50))
    return made


def calling(rows: Rows, house: House, *people: dict[str, Any], **columns: Any) -> Communication:
    made = communication(
        rows, house, TEMPLATE,
        **{
            "destination": Destination.VOICE, "machine_detection": MachineDetection.CONTINUE,
            **columns,
        },
    )  # fmt: skip
    join(rows, made, *people)
    return made


def start(app: Flask, made: Communication) -> str:
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        return communications.start_batch(session, found, "pat@example.edu").id


def run(app: Flask) -> None:
    """Prepare and place what is due; on a busy machine one that came too late is tried again."""

    def over() -> bool:
        with app.app_context():
            batches.drain()
        with app.app_context():
            drains.drain()
            tried = (
                Message.state.in_((MessageState.WAITING, MessageState.CLAIMED)),
                Message.tries > 0,
            )
            return db.session.scalar(select(Message.id).where(*tried).limit(1)) is None

    over()
    wait_until(over, "all that is due has been placed")
    with app.app_context():
        batches.drain()


def ends(app: Flask, rows: Rows, to: str, word: str, step: int = 0) -> None:
    """Let the call to ``to`` ring and end as Twilio reports it."""
    message = rows.one(select(Message).where(Message.to == to, Message.step == step))
    for number, status in enumerate(("ringing", word), 1):
        with app.app_context(), unit_of_work() as session:
            report = Report(status, "callback", sid=message.sid, sequence=number)
            statuses.record_report(session, message.id, report)


def test_everybody_is_called_once_and_the_faulty_are_refused_alone(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    start(app, calling(rows, house, ANN, BOB, CY, DI, ANN))
    run(app)
    assert sorted(made.to for made in fake.accepted) == [ANN["toPhone"], BOB["toPhone"]]
    assert {made.form["MachineDetection"] for made in fake.accepted} == {"Enable"}
    found = rows.all(select(Message).order_by(Message.position))
    assert [(one.state, one.reason) for one in found] == [
        (MessageState.ACCEPTED, None),
        (MessageState.ACCEPTED, None),
        (MessageState.REFUSED, "template_error"),  # no desk, which a machine would be told
        (MessageState.REFUSED, "invalid_phone"),
        (MessageState.REFUSED, "refused"),  # the same person again
    ]
    assert "desk" in (found[2].error_message or "")
    assert found[1].body == "<Response><Say>Hello Bob &amp; Co.</Say></Response>"
    assert rows.one(Batch).state is BatchState.COMPLETE


@pytest.mark.parametrize("word", ["busy", "no-answer", "failed", "completed", "canceled"])
def test_nobody_is_called_again_unasked(
    word: str, app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    start(app, calling(rows, house, ANN))
    run(app)
    ends(app, rows, ANN["toPhone"], word)
    run(app)
    assert rows.count(Message) == len(fake.tried) == 1


@pytest.mark.parametrize(
    ("word", "again"),
    [
        ("busy", True), ("no-answer", True), ("failed", False), ("completed", False),
        ("canceled", False),
    ],
)  # fmt: skip
def test_who_did_not_take_the_call_is_called_again_where_asked(
    word: str, again: bool, app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    start(app, calling(rows, house, ANN, retry_calls=2, retry_calls_after=600))
    run(app)
    assert rows.one(Batch).state is BatchState.RUNNING  # the call may have to be placed again
    ends(app, rows, ANN["toPhone"], word)
    before = utcnow()
    run(app)
    assert len(fake.tried) == 1
    assert rows.one(Batch).state is (BatchState.RUNNING if again else BatchState.COMPLETE)
    tries = rows.all(select(Message).order_by(Message.step))
    assert len(tries) == 1 + again
    if again:
        assert tries[1].due_at is not None
        assert timedelta(seconds=590) < tries[1].due_at - before <= timedelta(seconds=600)
        assert (tries[1].to, tries[1].member, tries[1].sid) == (ANN["toPhone"], ANN, None)
        assert tries[1].options == {"machineDetection": "continue"}


def test_only_so_often(app: Flask, rows: Rows, house: House, fake: FakeTwilio) -> None:
    start(app, calling(rows, house, ANN, retry_calls=2, retry_calls_after=0))
    for step in range(3):
        run(app)
        ends(app, rows, ANN["toPhone"], "no-answer", step)
        ends(app, rows, ANN["toPhone"], "no-answer", step)  # told twice, called once
    run(app)
    assert len(fake.accepted) == rows.count(Message) == 3
    assert rows.one(Batch).state is BatchState.COMPLETE


def test_a_batch_counts_people_and_each_by_the_last_call(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    made = calling(rows, house, ANN, BOB, CY, retry_calls=2, retry_calls_after=0)
    endpoint = Endpoint(
        client_id=house.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    rows.add(
        Callback(
            client_id=house.client.id, event=CallbackEvent.COMPLETE, endpoint_id=endpoint.id
        )
    )  # fmt: skip
    batch_id = start(app, made)
    run(app)
    ends(app, rows, BOB["toPhone"], "completed")
    for step, word in enumerate(["busy", "no-answer", "completed"]):
        ends(app, rows, ANN["toPhone"], word, step)
        run(app)
    assert rows.count(Message) == 5  # Ann was called three times; Cy's attributes are incomplete
    counts = {"completed": 2, "refused": 1}
    with app.app_context():
        session = db.session()
        assert running.progress(session, session.get_one(Batch, batch_id)).counts == counts
    [told] = rows.all(select(Delivery))
    assert json.loads(told.body)["data"]["counts"] == counts


def test_a_call_of_unknown_fate_keeps_the_batch_open_where_it_may_be_placed_again(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    fake.plan = lambda form, number: fake_twilio.RESETS_AFTER if number == 0 else None
    start(app, calling(rows, house, ANN, retry_calls=1, retry_calls_after=0))
    run(app)
    unknown = rows.one(Message)
    assert unknown.state is MessageState.UNKNOWN
    assert rows.one(Batch).state is BatchState.RUNNING
    with app.app_context(), unit_of_work() as session:
        busy = Report("busy", "callback", sid=fake.accepted[0].sid, sequence=2)
        statuses.record_report(session, unknown.id, busy)
    run(app)
    assert [made.to for made in fake.accepted] == [ANN["toPhone"]] * 2


def test_a_canceled_batch_calls_nobody_again(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    batch_id = start(app, calling(rows, house, ANN, BOB, retry_calls=2, retry_calls_after=0))
    run(app)
    ends(app, rows, ANN["toPhone"], "busy")
    with app.app_context(), unit_of_work() as session:
        running.cancel(session, session.get_one(Batch, batch_id), "pat")
    ends(app, rows, BOB["toPhone"], "busy")
    run(app)
    assert len(fake.tried) == 2
    waiting = rows.all(select(Message).where(Message.state == MessageState.WAITING))
    assert not waiting
    assert rows.one(Batch).ended_at is not None


def test_the_department_hears_of_each_call_and_of_the_end(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    made = calling(rows, house, ANN, DI)
    endpoint = Endpoint(
        client_id=house.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    rows.add(
        *(
            Callback(
                client_id=house.client.id, communication_id=made.id, event=event,
                endpoint_id=endpoint.id,
            )
            for event in CallbackEvent
        )
    )  # fmt: skip
    batch_id = start(app, made)
    run(app)
    ends(app, rows, ANN["toPhone"], "no-answer")
    bodies = [json.loads(one.body) for one in rows.all(select(Delivery).order_by(*AS_RECORDED))]
    heard = [(one["type"], one["data"].get("status", one["data"].get("reason"))) for one in bodies]
    assert sorted(heard) == sorted(
        [
            (EventType.MESSAGE_PROBLEM, "invalid_phone"),
            (EventType.MESSAGE_STATUS, "queued"),
            (EventType.MESSAGE_SENT, "queued"),
            (EventType.COMMUNICATION_COMPLETE, None),
            (EventType.MESSAGE_STATUS, "ringing"),
            (EventType.MESSAGE_STATUS, "no-answer"),
        ]
    )
    of_messages = [one["data"] for one in bodies if one["type"].startswith("message.")]
    assert {one["communication"] for one in of_messages} == {made.id}
    assert {one["batch"] for one in of_messages} == {batch_id}
    [complete] = [one["data"] for one in bodies if one["type"] == "communication.complete"]
    assert complete["batchId"] == batch_id
    assert complete["counts"] == {"queued": 1, "refused": 1}


def test_preflight_says_what_a_person_and_a_machine_would_hear(
    rows: Rows, house: House, flask_command: FlaskCliRunner
) -> None:
    calling(rows, house, ANN, BOB)
    shown = flask_command.invoke(args=["batch", "preflight", "reminder"])
    assert shown.exit_code == 0, shown.output
    assert (
        "Heard by a person\n"
        "  Says: “Hello Ann.”\n"
        "Heard by a machine\n"
        "  Says: “Hello Ann.”\n"
        "  Says: “Call 319-335-0000.”"
    ) in shown.output


def test_the_options_of_a_communication_reach_twilio(
    app: Flask, rows: Rows, house: House, fake: FakeTwilio
) -> None:
    start(app, calling(rows, house, ANN, call_options={"timeout": 20, "timeLimit": 300}))
    run(app)
    form = fake.accepted[0].form
    assert (form["Timeout"], form["TimeLimit"], form["MachineDetection"]) == ("20", "300", "Enable")
