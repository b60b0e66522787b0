"""Placing a call by the API."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from app.models.communication import Callback, Communication
from app.models.message import Message
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from tests.support.departments import Caller, Department
from tests.support.rows import Rows

PHONE = "+13195550150"
CALL = {
    "to": PHONE,
    "from": "+13195550111",
    "twiml": "<Response><Say>Hello {{ toName }}.</Say></Response>",
    "member": {"toName": "Ann"},
}


def test_twiml_makes_a_call(api: Caller, rows: Rows, registrar: Department) -> None:
    callbacks = {"message_status": {"endpoint": "sis"}}
    detecting = {**CALL, "machineDetection": "hang_up", "callbacks": callbacks}
    answer = api.post("messages", detecting, Idempotency_Key="one")
    assert answer.status_code == 201, answer.json
    made = answer.json
    assert (made["destination"], made["status"], made["to"]) == ("voice", "queued", PHONE)
    assert made["body"] == "<Response><Say>Hello Ann.</Say></Response>"
    message = rows.one(Message)
    assert message.destination is Destination.VOICE
    assert message.options == {"machineDetection": "hang_up"}
    assert rows.one(Callback).message_id == made["id"]
    again = api.post("messages", detecting, Idempotency_Key="one")
    assert again.json == made
    assert rows.count(Message) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"body": "Hello"}, "twiml"),
        ({"media": ["https://example.edu/a.png"]}, "twiml"),
        ({"from": None, "messagingService": "outreach"}, "messagingService"),
        ({"machineDetection": "guess"}, "machineDetection"),
        ({"twiml": "<Response><Sai/></Response>"}, "twiml"),
        ({"twiml": "<Response><Say>{{ nobody }}</Say></Response>"}, "twiml"),
        ({"twiml": ""}, "twiml"),
        ({"to": "+19005550150"}, "to"),
        ({"to": "911"}, "to"),
        ({"twiml": None, "body": "Hello", "machineDetection": "off"}, "machineDetection"),
    ],
    ids=str,
)
def test_what_cannot_be_called_is_422(
    change: dict[str, Any], field: str, api: Caller, rows: Rows
) -> None:
    answer = api.post("messages", {**CALL, **change})
    assert answer.status_code == 422, answer.json
    assert answer.json["errors"][0]["field"] == field
    assert answer.json["errors"][0]["message"].endswith((".", "?"))
    assert rows.count(Message) == 0


def test_a_number_that_is_not_verified_yet_says_so(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    rows.change(
        update(Sender).where(Sender.id == registrar.number.id).values(kind=SenderKind.VERIFIED)
    )
    answer = api.post("messages", CALL)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["code"] == "not_verified"


def test_a_communication_says_how_its_calls_are_placed(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    path = f"communications/{registrar.calls.id}"
    before = api.get(path).json
    assert (before["retryCalls"], before["retryCallsAfter"]) == (0, 900)
    assert set(before["callOptions"].values()) == {None}
    rows.change(
        update(Communication)
        .where(Communication.id == registrar.calls.id)
        .values(retry_calls=2, retry_calls_after=600, call_options={"timeout": 20})
    )
    shown = api.get(path).json
    assert (shown["retryCalls"], shown["retryCallsAfter"]) == (2, 600)
    assert shown["callOptions"] == {
        "timeout": 20, "timeLimit": None, "machineDetectionTimeout": None,
        "machineDetectionSpeechThreshold": None, "machineDetectionSpeechEndThreshold": None,
        "machineDetectionSilenceTimeout": None,
    }  # fmt: skip
