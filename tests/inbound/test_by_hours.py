"""Office hours decide by which route a text or call goes, set up by the API."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from time_machine import TimeMachineFixture

from app.models.incoming import Incoming, Outcome
from app.models.route import Destination, Handler, Route
from tests.support.departments import Caller, Department, department
from tests.support.rows import Rows
from tests.support.twilio import Twilio

DESK = "+13195550175"
OFFICE = ["08:00-12:00", "13:00-17:00"]
WEEK = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), OFFICE)
CHRISTMAS = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\n"
    "DTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20201225\r\nRRULE:FREQ=YEARLY\r\n"
    "END:VEVENT\r\nEND:VCALENDAR\r\n"
)
VOICE: dict[str, Any] = {
    "hours": "office",
    "open": {"handler": "call_forward", "to": DESK, "no_answer_say": "Nobody at the desk."},
    "closed": {"handler": "play_message", "say": "We are closed."},
    "holiday": {"handler": "play_message", "say": "Happy holidays."},
}
SMS: dict[str, Any] = {
    "hours": "office",
    "open": {"handler": "forward_to_webhook", "endpoint": "sis"},
    "closed": {
        "handler": "auto_reply", "template": "away",
        "keywords": [{"match": "HOURS", "template": "away"}],
    },
}  # fmt: skip
OPEN, CLOSED, HOLIDAY = "2026-11-30T10:00-06:00", "2026-11-28T12:00-06:00", "2026-12-25T10:00-06:00"


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def api(client: FlaskClient, ours: Department) -> Caller:
    caller = Caller.by_header(client, ours)
    assert caller.put("hours/office", {**WEEK, "calendar": CHRISTMAS}).status_code == 200
    answer = caller.put(f"numbers/{ours.number.address}/routes", {"sms": SMS, "voice": VOICE})
    assert answer.status_code == 200, answer.text
    return caller


def call(twilio: Twilio, ours: Department) -> ElementTree.Element:
    answer = twilio.call(To=ours.number.address, AccountSid=ours.credential.account_sid)
    assert answer.status_code == 200
    return ElementTree.fromstring(answer.text)[0]


MOMENTS = {
    "open": (OPEN, "Dial", None),
    "closed": (CLOSED, "Say", "We are closed."),
    "a holiday of the calendar": (HOLIDAY, "Say", "Happy holidays."),
}


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(("moment", "verb", "text"), MOMENTS.values(), ids=MOMENTS)
def test_a_call_goes_by_the_hours(
    moment: str, verb: str, text: str | None, ours: Department, rows: Rows, twilio: Twilio,
    time_machine: TimeMachineFixture,
) -> None:  # fmt: skip
    time_machine.move_to(moment)
    found = call(twilio, ours)
    assert found.tag == verb
    assert text in (None, found.text)
    logged = rows.one(Incoming)
    assert logged.handler is (Handler.CALL_FORWARD if verb == "Dial" else Handler.PLAY_MESSAGE)


@pytest.mark.usefixtures("api")
def test_a_call_that_nobody_took_ends_as_its_route_said_when_it_came(
    ours: Department, rows: Rows, twilio: Twilio, time_machine: TimeMachineFixture, api: Caller
) -> None:
    time_machine.move_to(OPEN)
    dial = call(twilio, ours)
    logged = rows.one(Incoming)
    voice = {"handler": "play_message", "say": "Something else."}
    assert api.put(f"numbers/{ours.number.address}/routes", {"voice": voice}).status_code == 200
    answer = twilio.post(
        dial.attrib["action"].removeprefix("https://dispatch.example.edu"),
        {
            "CallSid": logged.sid, "AccountSid": ours.credential.account_sid,
            "From": logged.from_, "To": logged.to, "DialCallStatus": "no-answer",
        },
    )  # fmt: skip
    assert "Nobody at the desk." in answer.text


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    ("moment", "body", "outcome"),
    [
        (OPEN, "Hello", Outcome.FORWARDED),
        (CLOSED, "Hello", Outcome.REPLIED),
        (CLOSED, "hours?", Outcome.REPLIED),
        (HOLIDAY, "Hello", Outcome.REPLIED),
    ],
    ids=["forwarded inside", "answered outside", "a keyword outside", "a holiday is closed"],
)
def test_a_text_goes_by_the_hours(
    moment: str, body: str, outcome: Outcome, ours: Department, rows: Rows, twilio: Twilio,
    time_machine: TimeMachineFixture,
) -> None:  # fmt: skip
    time_machine.move_to(moment)
    answer = twilio.sms(To=ours.number.address, AccountSid=ours.credential.account_sid, Body=body)
    assert answer.status_code == 200
    assert rows.one(Incoming).outcome is outcome
    assert ("We are away." in answer.text) is (outcome is Outcome.REPLIED)


def test_a_switch_closes_until_a_time(
    api: Caller, ours: Department, twilio: Twilio, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(OPEN)
    path = f"numbers/{ours.number.address}/closed-until"
    answer = api.put(path, {"until": "2026-11-30T11:00:00-06:00"})
    assert answer.json["closedUntil"] == "2026-11-30T17:00:00Z"
    assert call(twilio, ours).text == "We are closed."
    time_machine.move_to("2026-11-30T11:00-06:00")
    assert call(twilio, ours).tag == "Dial"
    time_machine.move_to(OPEN)
    assert api.put(path, {"until": None}).json["closedUntil"] is None
    assert call(twilio, ours).tag == "Dial"
    for wrong in ("2026-11-30T09:59:00-06:00", "2028-01-01T00:00:00Z", "2026-11-30T11:00:00"):
        assert api.put(path, {"until": wrong}).status_code == 422


def test_routes_are_shown_as_they_were_written(api: Caller, ours: Department) -> None:
    shown = api.get(f"numbers/{ours.number.address}").json
    assert shown["sms"] == {"handler": "hours", **SMS}
    assert shown["voice"] == {"handler": "hours", **VOICE}


def test_a_route_is_replaced_with_all_that_is_inside(
    api: Caller, ours: Department, rows: Rows
) -> None:
    path = f"numbers/{ours.number.address}/routes"
    deeper = {"hours": "office", "open": VOICE, "closed": VOICE["closed"]}
    assert api.put(path, {"voice": deeper}).json["voice"]["open"]["open"]["to"] == DESK
    assert api.put(path, {"voice": VOICE["closed"]}).status_code == 200
    left = [one.handler for one in rows.all(Route) if one.destination is Destination.VOICE]
    assert left == [Handler.PLAY_MESSAGE]


WRONG = {
    "no such hours": ({**VOICE, "hours": "ofice"}, "voice.hours"),
    "a mistake inside": (
        {**VOICE, "open": {"handler": "call_forward", "to": "911"}}, "voice.open.to"),
    "a name inside": (
        {"hours": "office", "open": {"handler": "play_message", "recording": "x"},
         "closed": VOICE["closed"]}, "voice.open.recording"),
    "without an answer while closed": (
        {"hours": "office", "open": VOICE["open"]}, "voice.closed"),
    "a handler of texts": ({**VOICE, "open": SMS["closed"]}, "voice.open.handler"),
}  # fmt: skip


@pytest.mark.parametrize(("voice", "place"), WRONG.values(), ids=WRONG)
def test_a_mistake_names_its_place(
    voice: dict[str, Any], place: str, api: Caller, ours: Department
) -> None:
    answer = api.put(f"numbers/{ours.number.address}/routes", {"voice": voice})
    assert answer.status_code == 422
    assert place in [one["field"] for one in answer.json["errors"]]


def test_hours_in_use_are_not_deleted(api: Caller, ours: Department) -> None:
    refused = api.delete("hours/office")
    assert refused.status_code == 422
    assert ours.number.address in refused.text
    api.put(f"numbers/{ours.number.address}/routes", {"voice": None, "sms": None})
    assert api.delete("hours/office").status_code == 204
    assert api.get("hours").json == []


def test_hours_say_what_they_are_now(api: Caller, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(CLOSED)
    shown = api.get("hours/office").json
    assert (shown["state"], shown["changesAt"]) == ("closed", "2026-11-30T14:00:00Z")
    assert shown["mon"] == OFFICE
    assert shown["calendar"] == CHRISTMAS


WRONG_HOURS = {
    "no span": ({"mon": ["8-12"]}, "mon[0]"),
    "spans that overlap": ({"mon": ["08:00-12:00", "11:00-13:00"]}, "mon"),
    "no date": ({"dates": {"2026-02-30": "closed"}}, "dates"),
    "no calendar": ({"calendar": "hello"}, "calendar"),
    "an unknown day": ({"monday": OFFICE}, "monday"),
    "a date with nothing": ({"dates": {"2026-12-24": []}}, "dates"),
}


@pytest.mark.parametrize(("plan", "place"), WRONG_HOURS.values(), ids=WRONG_HOURS)
def test_hours_that_are_none_are_refused(plan: dict[str, Any], place: str, api: Caller) -> None:
    answer = api.put("hours/office", plan)
    assert answer.status_code == 422
    fields = [one["field"] for one in answer.json["errors"]]
    assert any(one.startswith(place) for one in fields), answer.json
