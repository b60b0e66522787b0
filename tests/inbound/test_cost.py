"""What an answer costs the database: Twilio waits for each round trip and each row that is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, update

from app.extensions import db
from app.models.base import utcnow
from app.models.message import Message
from app.models.sender import Sender
from app.models.spending import Spending
from app.models.suppression import SuppressionList
from tests.support.departments import Caller, department
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.inbound import Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio, call_parameters


def test_a_text_and_its_reply_are_written_in_few_statements(
    rows: Rows, twilio: Twilio, statements: list[str], database_url: str
) -> None:
    Department(rows).auto_reply()
    twilio.sms()
    statements.clear()
    twilio.sms()
    assert [one.split()[0] for one in statements] == (
        ["SELECT", "SELECT"] + ["INSERT"] * 4  # whose number, what was; text, reply, two counts
        if database_url.startswith("sqlite")
        else ["SELECT", "SELECT", "SELECT", "WITH"]  # the second takes the turn
    )


PEOPLE = [{"to": f"+1319555017{last}", "name": f"Person {last}"} for last in range(3)]
RINGING: dict[str, dict[str, Any]] = {
    "one phone": {"handler": "ring", "people": PEOPLE[:1]},
    "three phones at once": {"handler": "ring", "people": PEOPLE, "strategy": "all"},
    "a forwarded call": {"handler": "call_forward", "to": PEOPLE[0]["to"]},
}


@pytest.mark.parametrize("route", RINGING.values(), ids=RINGING)
def test_a_key_that_lets_phones_ring_takes_few_statements(
    route: dict[str, Any], rows: Rows, client: FlaskClient, twilio: Twilio, statements: list[str]
) -> None:
    """Nine before, and two more for each further phone that rang at once."""
    ours = department(rows, "registrar", "11")
    menu = {"voice": {"handler": "menu", "say": "Press 1.", "keys": {"1": route}}}
    path = f"numbers/{ours.number.address}/routes"
    assert Caller.by_header(client, ours).put(path, menu).status_code == 200
    call = call_parameters(To=ours.number.address, AccountSid=ours.credential.account_sid)
    gather = ElementTree.fromstring(twilio.post("/inbound/voice", call).text)[0]
    statements.clear()
    step = gather.attrib["action"].removeprefix(PUBLIC_BASE_URL)
    assert "<Dial" in twilio.post(step, {**call, "Digits": "1"}).text
    assert [one.split()[0] for one in statements] == [
        "SELECT",  # the call, its number and client
        "SELECT",  # its route and steps, locked
        *["SELECT"] * 3,  # what is ours among phones, calls of this caller, what was spent
        "UPDATE",
        "INSERT",  # what is spent
    ]


def test_what_is_written_together_is_what_each_row_would_be_alone(
    rows: Rows, twilio: Twilio, app: Flask
) -> None:
    """Column by column beside a message that the models write, ids and times aside."""
    number = Department(rows).auto_reply()
    twilio.sms()
    reply = rows.one(Message)
    given = {
        column.key: getattr(reply, column.key)
        for column in Message.__mapper__.column_attrs
        if column.columns[0].default is None
    }
    alone = Message(**given, direction=reply.direction, media=[], segments=1, state=reply.state)
    alone.id = "0" * 26
    rows.add(alone)
    stored = next(one for one in rows.all(Message) if one.id == alone.id)
    for column in Message.__mapper__.column_attrs:
        if column.key not in {"id", "created_at", "updated_at", "commit_order"}:
            assert getattr(stored, column.key) == getattr(reply, column.key), column.key
    assert abs(reply.created_at - utcnow()) < timedelta(minutes=1)
    assert {(one.client_id, one.seconds, one.segments) for one in rows.all(Spending)} == {
        (number.client_id, 60, 1),
        (number.client_id, 3600, 1),
    }


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("words", ["When are you open?", "STOP", "Stop.", "START", "Start!"])
def test_no_table_is_read_from_end_to_end(
    words: str, rows: Rows, twilio: Twilio, app: Flask
) -> None:
    """With 100,000 entries in its lists a text took 13 ms more, while others waited to write."""
    number = Department(rows).auto_reply()
    kept = SuppressionList(id="L" * 26, client_id=number.client_id, name="opted-out")
    rows.add(kept)
    rows.change(update(Sender).values(suppression_list_id=kept.id))
    seen: list[tuple[str, Any]] = []
    with app.app_context():
        engine = db.engine

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        seen.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    twilio.sms(Body=words)
    event.remove(engine, "before_cursor_execute", note)
    read = [one for one in seen if one[0].startswith(("SELECT", "UPDATE"))]
    assert any("suppression_entry" in statement for statement, _ in read)
    with engine.connect() as connection:
        steps = [
            row.detail
            for statement, values in read
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert [one for one in steps if one.startswith("SCAN") and "CONSTANT" not in one] == []


@pytest.mark.database("postgresql")
def test_what_a_phone_had_is_read_by_phone_whatever_the_planner_knows(
    rows: Rows, twilio: Twilio, app: Flask
) -> None:
    """A planner without statistics took the client's index, and read all that it ever sent."""
    Department(rows).auto_reply()
    seen: list[tuple[str, Any]] = []
    with app.app_context():
        engine = db.engine

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        seen.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    twilio.sms()
    event.remove(engine, "before_cursor_execute", note)
    looking_back = next(one for one in seen if "AS replies" in one[0])
    with engine.connect() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        plan = connection.exec_driver_sql("EXPLAIN " + looking_back[0], looking_back[1]).all()
    used = {word for (line,) in plan for word in line.split() if word.startswith("ix_message_")}
    assert used
    assert used <= {"ix_message_to_client_id_created_at", "ix_message_sender_id_to_created_at"}
