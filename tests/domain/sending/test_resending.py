"""Sending again what Twilio never got: the new message is like the old one in every way."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain.sending import calls, resending
from app.domain.sending.messages import Refusal
from app.extensions import unit_of_work
from app.models.base import new_id
from app.models.communication import Callback, CallbackEvent
from app.models.endpoint import Endpoint, EndpointKind
from app.models.message import Message, MessageState
from app.models.route import Channel
from tests.support.house import House, furnish, text
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID

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
        house, id=new_id(), destination=Channel.VOICE, body="<Response><Say/></Response>",
        twiml_source=SOURCE, options={"machineDetection": "continue"}, member={"toName": "Ann"},
        state=MessageState.FAILED, lane_key=f"voice:{ACCOUNT_SID}",
    )  # fmt: skip
    rows.add(lost)
    again(app, lost)
    assert second(rows, lost).options == {"machineDetection": "continue"}
    with app.app_context(), unit_of_work() as session:
        told = calls.answer(session, session.get_one(Message, second(rows, lost).id), "fax")
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
