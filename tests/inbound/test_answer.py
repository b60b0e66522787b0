"""Calls of ours: what is said to whom, and what is kept and told of how they went."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.domain.sending import calls
from app.models.delivery import Delivery
from app.models.message import Message, MessageReport, MessageState
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.house import House, text
from tests.support.our_calls import (
    FOR_ALL,
    SID,
    TEMPLATE,
    answer,
    call,
    listening,
    parameters,
    status,
    told,
)
from tests.support.relay import AS_RECORDED
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, Twilio

FOR_HUMANS = "<Response><Say>Hello Ann.</Say><Say>How are you?</Say></Response>"
FOR_MACHINES = "<Response><Say>Hello Ann.</Say><Say>Please call back.</Say></Response>"
HANGUP = "<Response><Hangup /></Response>"


@pytest.fixture
def house(rows: Rows) -> House:
    return listening(rows)


def same(served: str, expected: str) -> bool:
    return ElementTree.canonicalize(served) == ElementTree.canonicalize(expected)


MACHINES = ("machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax")
PEOPLE = ("human", "unknown")
CELLS = [
    # The requirements: Continue goes on with the TwiML, Hang up hangs up on machines, Off does not
    # detect. Twilio's documentation: who it cannot tell is "unknown"; that may be a person.
    *(("continue", who, FOR_HUMANS) for who in PEOPLE),
    *(("continue", who, FOR_MACHINES) for who in MACHINES),
    *(("hang_up", who, FOR_HUMANS) for who in PEOPLE),
    *(("hang_up", who, HANGUP) for who in MACHINES),
    *(("wait_for_beep", who, FOR_HUMANS) for who in PEOPLE),
    *(("wait_for_beep", who, FOR_MACHINES) for who in MACHINES),
    # Without detection Twilio sends no AnsweredBy at all, whoever answers.
    *(("off", "", FOR_ALL) for _ in (None,)),
]


@pytest.mark.parametrize(("detection", "who", "expected"), CELLS)
def test_who_answers_decides_what_is_said_and_what_is_told(
    detection: str, who: str, expected: str, rows: Rows, house: House, twilio: Twilio
) -> None:
    options = {} if detection == "off" else {"machineDetection": detection}
    message = call(rows, house, options=options)
    found = {"AnsweredBy": who, "MachineDetectionDuration": "3200"} if who else {}
    served = answer(twilio, message, **found)
    assert served.status_code == 200
    assert served.mimetype == "text/xml"
    assert same(served.text, expected)
    status(twilio, message, "completed", 3, CallDuration="8", **found)
    heard = [(one["status"], one.get("AnsweredBy"), one.get("CallDuration")) for one in told(rows)]
    raw = who or None
    assert heard == [("in-progress", raw, None), ("completed", raw, 8)]
    assert all(("AnsweredBy" in one) is bool(who) for one in told(rows))


def test_a_repeat_gets_the_same_and_causes_nothing(
    rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house, options={"machineDetection": "continue"})
    first = answer(twilio, message, AnsweredBy="human")
    second = answer(twilio, message, AnsweredBy="machine_start")
    assert first.text == second.text
    assert rows.one(Message).answer_twiml == first.text
    assert [one["status"] for one in told(rows)] == ["in-progress"]


def test_who_hangs_up_before_we_are_asked_has_the_length_told_all_the_same(
    rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house, options={"machineDetection": "continue"})
    answer(twilio, message, AnsweredBy="human", CallStatus="completed")
    assert told(rows) == []  # the end is the status callback's to tell
    status(twilio, message, "completed", 3, CallDuration="4", AnsweredBy="human")
    [ended] = told(rows)
    assert (ended["status"], ended["CallDuration"]) == ("completed", 4)


@pytest.mark.parametrize(
    "state", [MessageState.CLAIMED, MessageState.UNKNOWN, MessageState.FAILED], ids=str
)
def test_the_answer_request_settles_a_call_of_unknown_fate(
    state: MessageState, rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house, state=state, sid=None, status=None)
    assert same(answer(twilio, message).text, FOR_ALL)
    stored = rows.one(Message)
    assert (stored.state, stored.sid, stored.status) == (MessageState.ACCEPTED, SID, "in-progress")
    assert [one["status"] for one in told(rows)] == ["queued", "in-progress"]


@pytest.mark.parametrize(
    "changes",
    [
        {"AccountSid": "AC" + "9" * 32},
        {"To": "+13195550151"},
        {"From": "+13195550101"},
        {"CallSid": "CA" + "9" * 32},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.parametrize("route", ["answer", "gathered", "recorded", "status"])
def test_a_request_about_another_call_is_refused(
    route: str, changes: dict[str, str], rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house)
    refused = twilio.post(f"/inbound/voice/{route}/{message.id}", parameters(**changes))
    assert refused.status_code == 403
    assert rows.count(MessageReport) == 0


@pytest.mark.parametrize("route", ["answer", "gathered", "recorded", "status"])
def test_an_unsigned_request_is_refused(
    route: str, rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house)
    path = f"/inbound/voice/{route}/{message.id}"
    assert twilio.post(path, parameters(), token="another").status_code == 403
    assert rows.count(MessageReport) == 0


@pytest.mark.parametrize(
    ("route", "status"), [("answer", 200), ("gathered", 200), ("recorded", 200), ("status", 204)]
)
def test_a_text_is_no_call(
    route: str, status: int, rows: Rows, house: House, twilio: Twilio
) -> None:
    message = text(house)
    rows.add(message)
    given = twilio.post(f"/inbound/voice/{route}/{message.id}", parameters())
    assert (given.status_code, "sorry" in given.text) == (status, status == 200)
    assert rows.count(MessageReport) == 0


def test_a_failure_of_ours_is_heard_as_a_sentence(
    rows: Rows, house: House, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = call(rows, house)

    def fail(*_: object) -> str:
        raise OperationalError("SELECT", {}, Exception("the database went away"))

    monkeypatch.setattr(calls, "answer", fail)
    served = answer(twilio, message)
    assert served.status_code == 200
    [said] = ElementTree.fromstring(served.text).findall("Say")
    assert said.text is not None
    assert "sorry" in said.text


def test_a_template_that_fails_now_is_heard_as_a_sentence(
    rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house, "<Response><Say>{{ gone }}</Say></Response>")
    served = answer(twilio, message)
    assert "sorry" in served.text
    assert rows.one(Message).sid == SID


@pytest.mark.parametrize(
    ("code", "url", "again"),
    [
        ("11200", "{ours}", True),
        ("11205", "{ours}", True),
        ("12100", "{ours}", False),
        ("13520", "{ours}", False),
        ("11200", "https://sis.example.edu/keys", False),
    ],
)
def test_the_fallback_tells_again_only_what_was_never_heard(
    code: str, url: str, again: bool, rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house)
    ours = f"{PUBLIC_BASE_URL}/inbound/voice/answer/{message.id}"
    served = answer(twilio, message, ErrorCode=code, ErrorUrl=url.format(ours=ours))
    assert same(served.text, FOR_ALL) is again
    assert ("sorry" in served.text) is not again


def test_a_batchs_call_is_rendered_from_its_pinned_version(
    app: Flask, rows: Rows, house: House, twilio: Twilio
) -> None:
    from app.domain.content import catalog
    from app.extensions import unit_of_work
    from app.models.client import Client
    from app.models.template import TemplateKind, TemplateVersion

    def save(body: str) -> str:
        with app.app_context(), unit_of_work() as session:
            client = session.get_one(Client, house.client.id)
            template, _ = catalog.save_template(
                session, client, "closing", TemplateKind.VOICE, body, [], "test"
            )
            return catalog.current_version(session, template).id

    pinned = save(TEMPLATE)
    save("<Response><Say>Changed since.</Say></Response>")
    assert rows.count(TemplateVersion) == 2
    message = call(rows, house, twiml_source=None, template_version_id=pinned)
    assert same(answer(twilio, message, AnsweredBy="human").text, FOR_HUMANS)


GATHER = "<Response><Gather numDigits='1'><Say>Press 1.</Say></Gather></Response>"
RECORD = "<Response><Say>Speak.</Say><Record maxLength='30'/></Response>"


def test_gathered_keys_come_to_us_and_are_told(rows: Rows, house: House, twilio: Twilio) -> None:
    message = call(rows, house, GATHER)
    served = ElementTree.fromstring(answer(twilio, message).text)
    path = f"/inbound/voice/gathered/{message.id}"
    [gather] = served.findall("Gather")
    assert gather.get("action") == PUBLIC_BASE_URL + path
    ended = twilio.post(path, parameters(Digits="1"))
    assert [one.tag for one in ElementTree.fromstring(ended.text)] == ["Say", "Hangup"]
    status(twilio, message, "completed", 3, CallDuration="8")
    assert rows.one(Message).digits == "1"
    assert told(rows)[-1]["Digits"] == "1"


def test_keys_that_come_with_the_end_of_the_call_are_told(
    rows: Rows, house: House, twilio: Twilio
) -> None:
    # Who presses a key and hangs up has both reported at once, in either order.
    message = call(rows, house, GATHER)
    answer(twilio, message)
    status(twilio, message, "completed", 3, CallDuration="8")
    twilio.post(
        f"/inbound/voice/gathered/{message.id}", parameters(Digits="1", CallStatus="completed")
    )
    ended = told(rows)[-1]
    assert (ended["status"], ended["CallDuration"], ended["Digits"]) == ("completed", 8, "1")
    last = rows.all(select(Delivery).order_by(*AS_RECORDED))[-1]
    assert last.next_attempt_at is not None
    assert (last.next_attempt_at - last.occurred_at).total_seconds() < 20  # it waits no longer


def test_what_was_said_comes_to_us_and_is_told(rows: Rows, house: House, twilio: Twilio) -> None:
    message = call(rows, house, GATHER)
    answer(twilio, message)
    path = f"/inbound/voice/gathered/{message.id}"
    twilio.post(path, parameters(SpeechResult="Yes, please.", Confidence="0.9"))
    status(twilio, message, "completed", 3)
    assert told(rows)[-1]["SpeechResult"] == "Yes, please."


def test_the_clients_own_actions_are_left_alone(rows: Rows, house: House, twilio: Twilio) -> None:
    own = (
        '<Response><Gather action="https://sis.example.edu/keys"><Say>Press.</Say></Gather>'
        "</Response>"
    )
    message = call(rows, house, own)
    assert same(answer(twilio, message).text, own)


RECORDING = "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1"


def test_a_recording_is_waited_for_and_told_with_completed(
    rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house, RECORD)
    served = ElementTree.fromstring(answer(twilio, message).text)
    path = f"/inbound/voice/recorded/{message.id}"
    [record] = served.findall("Record")
    assert record.get("action") == record.get("recordingStatusCallback") == PUBLIC_BASE_URL + path
    status(twilio, message, "completed", 3, CallDuration="8")
    waiting = rows.all(select(Delivery).order_by(*AS_RECORDED))[-1]
    assert waiting.next_attempt_at is not None
    assert (waiting.next_attempt_at - waiting.occurred_at).total_seconds() == pytest.approx(60)
    # Twilio's report of a recording names neither From nor To.
    report = {
        "AccountSid": ACCOUNT_SID, "CallSid": SID, "RecordingSid": "RE1", "RecordingDuration": "5",
        "RecordingUrl": RECORDING, "RecordingStatus": "completed", "RecordingChannels": "1",
    }  # fmt: skip
    assert twilio.post(path, report).status_code == 204
    ended = told(rows)[-1]
    assert (ended["status"], ended["RecordingUrl"], ended["CallDuration"]) == (
        "completed", RECORDING, 8,
    )  # fmt: skip
    sent = rows.all(select(Delivery).order_by(*AS_RECORDED))[-1]
    assert sent.next_attempt_at is not None
    assert sent.next_attempt_at < waiting.next_attempt_at


def test_a_recording_that_is_there_first_needs_no_waiting(
    rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house, RECORD)
    answer(twilio, message)
    ended = twilio.post(
        f"/inbound/voice/recorded/{message.id}",
        # The person has hung up: that is how most recordings end.
        parameters(RecordingUrl=RECORDING, RecordingDuration="5", Digits="hangup",
                   CallStatus="completed"),
    )  # fmt: skip
    assert [one.tag for one in ElementTree.fromstring(ended.text)] == ["Say", "Hangup"]
    assert [one["status"] for one in told(rows)] == ["in-progress"]
    status(twilio, message, "completed", 3, CallDuration="8")
    assert told(rows)[-1]["RecordingUrl"] == RECORDING
    last = rows.all(select(Delivery).order_by(*AS_RECORDED))[-1]
    assert last.next_attempt_at is not None
    assert (last.next_attempt_at - last.occurred_at).total_seconds() < 20  # it waits no longer
    assert "Digits" not in told(rows)[-1]
