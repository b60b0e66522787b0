"""Sending again what did not arrive: the new message is like the old one in every way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from app.domain.reach import Refusal
from app.domain.sending import resending
from app.extensions import unit_of_work
from app.models.base import new_id
from app.models.communication import Callback, CallbackEvent
from app.models.endpoint import Endpoint, EndpointKind
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination
from tests.support.house import House, furnish, text
from tests.support.our_calls import told_by
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOURCE = "<Response><Say>{% if AnsweredBy == 'machine' %}Call back{% endif %}</Say></Response>"


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


def again(app: Flask, message: Message) -> None:
    with app.app_context(), unit_of_work() as session:
        resending.send_again(session, message.id, "pat@example.edu")


def second(rows: Rows, first: Message) -> Message:
    return rows.one(select(Message).where(Message.id != first.id))


def test_a_call_says_the_same_to_a_machine_as_the_first_would_have(
    app: Flask, rows: Rows, house: House
) -> None:
    lost = text(
        house, id=new_id(), destination=Destination.VOICE, body="<Response><Say/></Response>",
        twiml_source=SOURCE, options={"machineDetection": "continue"}, member={"toName": "Ann"},
        state=MessageState.FAILED, lane_key=f"voice:{ACCOUNT_SID}",
    )  # fmt: skip
    rows.add(lost)
    again(app, lost)
    assert second(rows, lost).options == {"machineDetection": "continue"}
    with app.app_context(), unit_of_work() as session:
        told = told_by(session, session.get_one(Message, second(rows, lost).id), "fax")
    assert "Call back" in told


def test_whom_the_first_told_the_second_tells(app: Flask, rows: Rows, house: House) -> None:
    lost = text(house, state=MessageState.FAILED)
    endpoint = Endpoint(
        client_id=house.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(lost, endpoint)
    rows.add(
        Callback(
            client_id=house.client.id, message_id=lost.id, event=CallbackEvent.MESSAGE_STATUS,
            endpoint_id=endpoint.id,
        )
    )  # fmt: skip
    again(app, lost)
    callbacks = rows.all(select(Callback).where(Callback.message_id == second(rows, lost).id))
    assert [(one.event, one.endpoint_id) for one in callbacks] == [
        (CallbackEvent.MESSAGE_STATUS, endpoint.id)
    ]


def test_it_is_sent_again_once_only(app: Flask, rows: Rows, house: House) -> None:
    lost = text(house, state=MessageState.FAILED)
    rows.add(lost)
    again(app, lost)
    with pytest.raises(Refusal, match="already"):
        again(app, lost)


def not_arrived(rows: Rows, house: House, code: int, status: str = "undelivered") -> Message:
    """Add a text that Twilio took and reported as not arrived at noon."""
    lost = text(
        house, state=MessageState.ACCEPTED, status=status, sid="SM" + "1" * 32, error_code=code
    )
    rows.add(lost)
    rows.add(MessageReport(message_id=lost.id, status=status, source="callback", at=NOON))
    return lost


@pytest.mark.parametrize(
    ("code", "after"),
    [(30001, timedelta(minutes=10)), (30003, timedelta(minutes=30)), (30008, timedelta(minutes=5))],
)
def test_what_did_not_arrive_may_be_sent_again_when_its_code_says(
    code: int, after: timedelta, app: Flask, rows: Rows, house: House
) -> None:
    lost = not_arrived(rows, house, code)
    early = time_machine.travel(NOON + after - timedelta(seconds=1), tick=False)
    with early, pytest.raises(Refusal, match="not before"):
        again(app, lost)
    with time_machine.travel(NOON + after, tick=False):
        again(app, lost)
    assert second(rows, lost).state is MessageState.WAITING
    assert second(rows, lost).sid is None


@pytest.mark.parametrize(
    ("code", "status"), [(30007, "undelivered"), (30005, "undelivered"), (30003, "sent")],
    ids=["spam", "no such phone", "on its way"],
)  # fmt: skip
def test_what_would_be_no_use_is_not_sent_again(
    code: int, status: str, app: Flask, rows: Rows, house: House
) -> None:
    lost = not_arrived(rows, house, code, status)
    with pytest.raises(Refusal, match="Only what did not arrive"):
        again(app, lost)
