"""What is in use says by what, however long the log is."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import event, update

from app.domain import deletion
from app.extensions import db
from app.models.communication import Callback, CallbackEvent
from app.models.message import Message
from app.models.route import Destination
from tests.support.departments import Department, department
from tests.support.rows import Rows


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


def sent(ours: Department) -> Message:
    return Message(
        client_id=ours.client.id, destination=Destination.SMS, sender_id=ours.number.id,
        credential_id=ours.credential.id, to="+13195550150", from_=ours.number.address,
        body="Hello", suppression_list_id=ours.suppression.id,
    )  # fmt: skip


def test_a_list_and_a_credential_are_used_by_the_log(
    app: Flask, ours: Department, rows: Rows
) -> None:
    with app.app_context():
        assert deletion.in_use(db.session(), ours.suppression) == []
    rows.add(sent(ours), sent(ours))
    with app.app_context():
        assert deletion.in_use(db.session(), ours.suppression) == ["messages in the log"]
        assert "messages in the log" in deletion.in_use(db.session(), ours.credential)


def test_an_endpoint_is_used_by_callbacks_of_each_kind(
    app: Flask, ours: Department, rows: Rows
) -> None:
    messages = [sent(ours) for _ in range(3)]
    rows.add(*messages)
    common = {
        "client_id": ours.client.id, "endpoint_id": ours.endpoint.id,
        "event": CallbackEvent.MESSAGE_STATUS,
    }  # fmt: skip
    rows.add(
        Callback(**common),
        Callback(**common, communication_id=ours.texts.id),
        *[Callback(**common, message_id=one.id) for one in messages],
    )
    with app.app_context():
        assert deletion.in_use(db.session(), ours.endpoint) == [
            "the callback message_status of the communication “reminders”",
            "the client's callback message_status",
            "callbacks of messages",
        ]


@pytest.mark.database("sqlite")
def test_the_log_is_never_read_from_end_to_end(app: Flask, ours: Department, rows: Rows) -> None:
    rows.add(sent(ours))
    rows.change(update(Message).values(suppression_list_id=None))
    asked: list[tuple[str, object]] = []
    with app.app_context():
        event.listen(
            db.engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3]))
        )
        for thing in (ours.suppression, ours.credential, ours.endpoint):
            deletion.in_use(db.session(), thing)
        plans = [
            row[3]
            for statement, values in list(asked)
            if "FROM message" in statement or "FROM delivery" in statement
            for row in db.session.connection().exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", values
            )
        ]
    assert plans
    assert not [plan for plan in plans if plan.startswith(("SCAN message", "SCAN delivery"))], plans
