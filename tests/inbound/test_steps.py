"""The steps of a call through menus, as Twilio asks for them, set up by the API."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, update
from time_machine import TimeMachineFixture
from twilio.twiml.voice_response import Gather, VoiceResponse

from app.extensions import db
from app.inbound import steps
from app.models.base import utcnow
from app.models.client import Client
from app.models.incoming import Incoming, Outcome
from app.models.voicemail import Voicemail
from tests.support.departments import Caller, Department, department
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.rows import Rows
from tests.support.twilio import Twilio, call_parameters

DESK = "+13195550175"
SPANISH: dict[str, Any] = {
    "handler": "menu", "say": "Para la biblioteca, oprima 1.", "language": "es-MX",
    "keys": {"1": {"handler": "call_forward", "to": DESK, "no_answer_say": "No contestan."}},
    "otherwise": {"handler": "voicemail", "say": "Deje un mensaje.", "language": "es-MX"},
}  # fmt: skip
MENU: dict[str, Any] = {
    "handler": "menu", "say": "Press 1 for hours & more, 2 para español.", "language": "en-US",
    "keys": {
        "1": {"handler": "play_message", "say": "We open at eight."},
        "2": SPANISH,
        "#": {"hours": "office", "open": {"handler": "call_forward", "to": DESK},
              "closed": {"handler": "play_message", "say": "We are closed."}},
    },
    "speech": {"opening hours": "1", "español": "2"},
    "otherwise": {"handler": "play_message", "say": "No key."},
}  # fmt: skip


class Phone:
    """A caller on the line: what they hear, and where Twilio goes when they press a key."""

    def __init__(self, twilio: Twilio, ours: Department, **told: str) -> None:
        self.twilio, self.ours = twilio, ours
        account = ours.credential.account_sid
        self.call = call_parameters(To=ours.number.address, AccountSid=account, **told)
        self.hear(self.twilio.post("/inbound/voice", self.call).text)

    def hear(self, document: str) -> None:
        self.document = document
        assert len(document.encode()) < 64_000
        self.root = ElementTree.fromstring(document)
        gather = self.root.find("Gather")
        self.action = "" if gather is None else gather.attrib["action"]

    def ask(self, url: str = "", **said: str) -> str:
        path = (url or self.action).removeprefix(PUBLIC_BASE_URL)
        answer = self.twilio.post(path, {**self.call, "CallStatus": "in-progress", **said})
        assert answer.status_code == 200, answer.text
        return answer.text

    def press(self, key: str) -> Phone:
        self.hear(self.ask(Digits=key))
        return self

    def say(self, words: str) -> Phone:
        self.hear(self.ask(SpeechResult=words, Confidence="0.9"))
        return self


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def api(client: FlaskClient, ours: Department) -> Caller:
    caller = Caller.by_header(client, ours)
    office = {"mon": ["08:00-17:00"]}
    assert caller.put("hours/office", office).status_code == 200
    put(caller, ours, MENU)
    return caller


def put(api: Caller, ours: Department, voice: dict[str, Any]) -> None:
    answer = api.put(f"numbers/{ours.number.address}/routes", {"voice": voice})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def phone(api: Caller, twilio: Twilio, ours: Department) -> Phone:
    return Phone(twilio, ours)


def test_a_menu_greets_and_takes_any_of_the_twelve_keys(phone: Phone) -> None:
    expected = VoiceResponse()
    gather = Gather(
        input="dtmf speech", action=phone.action, method="POST", timeout=5, num_digits=1,
        finish_on_key="", action_on_empty_result=True, hints="opening hours,español",
        speech_timeout="auto", language="en-US",
    )  # fmt: skip
    gather.say("Press 1 for hours & more, 2 para español.", language="en-US")
    expected.append(gather)
    assert phone.document == str(expected)


WAYS: dict[str, tuple[list[str], str, str, list[str], Outcome]] = {
    "a key": (["1"], "Say", "We open at eight.", ["1"], Outcome.PLAYED),
    "a deeper menu": (["2"], "Gather", "", ["2"], Outcome.PLAYED),
    "through a deeper menu": (["2", "1"], "Dial", "", ["2", "1"], Outcome.FORWARDED),
    "through hours": (["#"], "Say", "We are closed.", ["#"], Outcome.PLAYED),
    "a wrong key, then another": (["7", "1"], "Say", "We open at eight.", ["1"], Outcome.PLAYED),
    "nothing, three times": (["", "9", ""], "Say", "No key.", [], Outcome.PLAYED),
    "nothing below": (["2", "", "", ""], "Say", "Deje un mensaje.", ["2"], Outcome.PLAYED),
    "two keys at once": (["12", "1"], "Say", "We open at eight.", ["1"], Outcome.PLAYED),
}


@pytest.mark.parametrize(("keys", "verb", "text", "path", "outcome"), WAYS.values(), ids=WAYS)
def test_each_key_leads_on(
    keys: list[str], verb: str, text: str, path: list[str], outcome: Outcome, phone: Phone,
    rows: Rows, time_machine: TimeMachineFixture,
) -> None:  # fmt: skip
    time_machine.move_to("2026-11-29T12:00-06:00")  # a Sunday
    for key in keys:
        phone.press(key)
    assert phone.root[0].tag == verb
    assert text in (phone.root[0].text or "")
    logged = rows.one(Incoming)
    assert (logged.path, logged.outcome) == (path, outcome)


@pytest.mark.parametrize(
    ("words", "heard"),
    [
        ("Opening hours, please.", "We open at eight."),
        ("ESPAÑOL", "biblioteca"),
        ("opening hours en español", "Press 1"),
        ("the library", "Press 1"),
    ],
    ids=["among others", "any case", "two of them", "none of them"],
)
def test_words_are_keys(words: str, heard: str, phone: Phone) -> None:
    assert heard in phone.say(words).document


def test_a_repeat_of_a_step_gets_the_same_and_causes_nothing_twice(
    phone: Phone, rows: Rows
) -> None:
    menu, deeper = phone.action, phone.press("2").action
    first = phone.document
    dialed = phone.press("1").document
    assert phone.ask(menu, Digits="2") == first
    assert phone.ask(menu, Digits="1") == first, "the step was taken already"
    assert phone.ask(deeper, Digits="1") == dialed
    assert rows.one(Incoming).path == ["2", "1"]


def test_a_call_goes_through_the_route_as_it_was_when_it_came(
    phone: Phone, api: Caller, ours: Department
) -> None:
    put(api, ours, {"handler": "play_message", "say": "Something else."})
    assert "We open at eight." in phone.press("1").document


def test_a_forwarded_call_that_nobody_took_ends_as_its_place_in_the_menu_says(
    phone: Phone,
) -> None:
    dial = phone.press("2").press("1").root[0]
    assert "No contestan." in phone.ask(dial.attrib["action"], DialCallStatus="no-answer")


def test_a_voice_message_knows_which_keys_led_to_it(phone: Phone, rows: Rows) -> None:
    record = phone.press("2").press("").press("").press("").root[1]
    recording = {"RecordingSid": "RE" + "a" * 32, "RecordingDuration": "7"}
    assert "Response" in phone.ask(record.attrib["action"], **recording)
    assert rows.one(Voicemail).path == ["2"]


def test_nothing_goes_out_for_a_halted_client(phone: Phone, rows: Rows, ours: Department) -> None:
    rows.change(update(Client).where(Client.id == ours.client.id).values(halted_at=utcnow()))
    assert "does not take calls" in phone.press("2").document


ODD = {
    "an unknown id": "01ARZ3NDEKTSV4RRFFQ69G5FAV?at=&step=chosen&turn=0",
    "no id at all": "x?at=&step=chosen&turn=0",
    "no step": "",
    "a place that is not there": "?at=keys.5&step=chosen&turn=0",
    "a place that has no steps": "?at=keys.1&step=chosen&turn=0",
    "an odd turn": "?at=&step=chosen&turn=-1",
}


@pytest.mark.parametrize("where", ODD.values(), ids=ODD)
def test_what_cannot_be_answered_gets_an_apology(where: str, phone: Phone) -> None:
    base = phone.action.partition("?")[0]
    path = base + where if where[:1] in ("?", "") else base.rpartition("/")[0] + "/" + where
    assert "Something went wrong on our side" in phone.ask(path, Digits="1")


def test_a_failure_gets_an_apology_and_the_step_can_be_taken_again(
    phone: Phone, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    def dies(*_: object) -> None:
        raise RuntimeError("between two lines")

    with monkeypatch.context() as patched:
        patched.setattr(steps.flow, "read", dies)
        assert "Something went wrong on our side" in phone.ask(Digits="1")
    assert rows.one(Incoming).path == []
    assert "We open at eight." in phone.press("1").document


def fallen_back(phone: Phone, code: str, url: str, **said: str) -> str:
    """Return what the fallback URL answers after Twilio failed at one of ours."""
    told = {**phone.call, "CallStatus": "in-progress", **said, "ErrorCode": code, "ErrorUrl": url}
    answer = phone.twilio.post("/inbound/voice", told)
    assert answer.status_code == 200
    return answer.text


def test_a_step_that_did_not_come_through_is_answered_at_the_fallback_url(
    phone: Phone, rows: Rows
) -> None:
    given = fallen_back(phone, "11200", phone.action, Digits="1")
    assert "We open at eight." in given
    assert rows.one(Incoming).path == ["1"]
    assert fallen_back(phone, "11205", phone.action, Digits="2") == given  # it was answered before
    assert phone.ask(Digits="2") == given


def test_a_message_that_did_not_come_through_is_taken_at_the_fallback_url(
    phone: Phone, rows: Rows
) -> None:
    for key in ("2", "", "", ""):
        phone.press(key)
    record = phone.root.find("Record")
    assert record is not None
    url, sid = record.attrib["action"], "RE" + "a" * 32
    assert "Hangup" in fallen_back(phone, "11200", url, RecordingSid=sid, RecordingDuration="4")
    assert rows.one(Voicemail).recording_sid == sid


def test_a_forwarded_call_that_did_not_come_through_ends_at_the_fallback_url(
    phone: Phone, rows: Rows
) -> None:
    url = phone.press("2").press("1").root[0].attrib["action"]
    assert "No contestan." in fallen_back(phone, "11200", url, DialCallStatus="busy")
    assert rows.one(Incoming).dial_status == "busy"


@pytest.mark.parametrize(
    ("code", "url"),
    [
        ("12100", "{action}"),
        ("11200", "{action}&turn=x"),
        ("11200", PUBLIC_BASE_URL + "/inbound/voice/step/../status"),
        ("11200", "https://ivr.example.edu/inbound/voice/step/" + "0" * 26),
    ],
    ids=["our answer was faulty", "no such step", "no such address", "somebody else's"],
)
def test_nothing_else_is_answered_twice_at_the_fallback_url(
    code: str, url: str, phone: Phone, rows: Rows
) -> None:
    given = fallen_back(phone, code, url.format(action=phone.action), Digits="1")
    assert "We are sorry. Something went wrong" in given
    assert rows.one(Incoming).path == []


def test_the_fallback_url_tells_no_strangers_step(phone: Phone, twilio: Twilio) -> None:
    told = {**phone.call, "ErrorCode": "11200", "ErrorUrl": phone.action}
    other = {**told, "CallSid": "CA" + "9" * 32}
    assert twilio.post("/inbound/voice", other).status_code == 403
    assert twilio.post("/inbound/voice", told, token="f" * 32).status_code == 403


def test_a_step_of_somebody_elses_call_is_refused(phone: Phone, twilio: Twilio) -> None:
    path = phone.action.removeprefix(PUBLIC_BASE_URL)
    other = {**phone.call, "CallSid": "CA" + "f" * 32, "Digits": "1"}
    assert twilio.post(path, other).status_code == 403
    assert twilio.post(path, {**phone.call, "Digits": "1"}, token="x" * 32).status_code == 403


def test_a_step_takes_few_statements(phone: Phone, rows: Rows) -> None:
    with rows.app.app_context():
        engine = db.engine
    seen: list[str] = []
    listen = lambda *args: seen.append(args[2])  # noqa: E731
    event.listen(engine, "before_cursor_execute", listen)
    try:
        phone.press("1")
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    assert len(seen) <= 5, seen


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no keys": ({"keys": {}}, "voice.keys", "at least 1"),
    "no such key": ({"keys": {"A": SPANISH}}, "voice.keys.A", "not valid"),
    "no greeting": ({"say": None}, "voice", "exactly one of say and recording"),
    "a word for no key": ({"speech": {"help": "9"}}, "voice", "“help”"),
    "our own number": (
        {"keys": {"1": {"handler": "call_forward", "to": "OURS"}}, "speech": {}},
        "voice.keys.1.to", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "words"), WRONG.values(), ids=WRONG)
def test_a_faulty_menu_is_refused_at_its_place(
    changes: dict[str, Any], field: str, words: str, api: Caller, ours: Department
) -> None:
    body = {"voice": {**MENU, **changes}}
    written = json.loads(json.dumps(body).replace("OURS", ours.number.address))
    answer = api.put(f"numbers/{ours.number.address}/routes", written)
    assert answer.status_code == 422
    found = {one["field"]: one["message"] for one in answer.get_json()["errors"]}
    assert field in found, found
    assert words in found[field]


def test_six_routes_inside_each_other_are_refused_with_their_path(
    api: Caller, ours: Department
) -> None:
    deep: dict[str, Any] = {"handler": "play_message", "say": "Here."}
    for _ in range(5):
        deep = {"handler": "menu", "say": "Press 1.", "keys": {"1": deep}}
    answer = api.put(f"numbers/{ours.number.address}/routes", {"voice": deep})
    assert answer.status_code == 422
    path = "voice" + ".keys.1" * 5
    assert answer.get_json()["errors"][0]["field"].startswith(path)
