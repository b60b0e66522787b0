"""Calls of ours: what is said to whom, and what is kept and told of how they went."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any
from xml.etree import ElementTree

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from app.domain.sending import calls
from app.models.base import new_id
from app.models.communication import Callback, CallbackEvent
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Channel
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.house import House, furnish, text
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, Twilio

SID = "CA" + "0123456789abcdef" * 2
TEMPLATE = (
    "<Response><Say>Hello {{ toName }}.</Say>"
    "{% if AnsweredBy == 'machine' %}<Say>Please call back.</Say>{% endif %}"
    "{% if AnsweredBy == 'human' %}<Say>How are you?</Say>{% endif %}</Response>"
)
FOR_ALL = "<Response><Say>Hello Ann.</Say></Response>"
FOR_HUMANS = "<Response><Say>Hello Ann.</Say><Say>How are you?</Say></Response>"
FOR_MACHINES = "<Response><Say>Hello Ann.</Say><Say>Please call back.</Say></Response>"
HANGUP = "<Response><Hangup /></Response>"


@pytest.fixture
def house(rows: Rows) -> House:
    made = furnish(rows)
    endpoint = Endpoint(
        client_id=made.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    rows.add(
        Callback(
            client_id=made.client.id, event=CallbackEvent.MESSAGE_STATUS, endpoint_id=endpoint.id
        )
    )
    return made


def call(rows: Rows, house: House, source: str = TEMPLATE, **columns: Any) -> Message:
    """Add a call that Twilio has taken, unless told otherwise."""
    values = {
        "state": MessageState.ACCEPTED, "sid": SID, "status": "queued", "options": {},
        "member": {"toName": "Ann"}, "twiml_source": source, **columns,
    }  # fmt: skip
    message = text(
        house, id=new_id(), destination=Channel.VOICE, body=FOR_ALL, segments=0,
        lane_key=f"voice:{ACCOUNT_SID}", **values,
    )  # fmt: skip
    rows.add(message)
    return message


def parameters(**changes: str) -> dict[str, str]:
    """What Twilio sends about an outgoing call ("TwiML voice: Twilio's request parameters")."""
    return {
        "CallSid": SID,
        "AccountSid": ACCOUNT_SID,
        "From": "+13195550100",
        "To": "+13195550150",
        "Caller": "+13195550100",
        "Called": "+13195550150",
        "CallStatus": "in-progress",
        "Direction": "outbound-api",
        "ApiVersion": "2010-04-01",
        **changes,
    }


def answer(twilio: Twilio, message: Message, **changes: str) -> Any:
    return twilio.post(f"/inbound/voice/answer/{message.id}", parameters(**changes))


def status(twilio: Twilio, message: Message, word: str, number: int, **changes: str) -> Any:
    form = parameters(
        CallStatus=word, SequenceNumber=str(number), CallbackSource="call-progress-events",
        Timestamp="Sat, 21 Nov 2026 12:00:00 +0000", **changes,
    )  # fmt: skip
    return twilio.post(f"/inbound/voice/status/{message.id}", form)


def told(rows: Rows) -> list[dict[str, Any]]:
    deliveries = rows.all(select(Delivery).order_by(Delivery.sequence))
    return [json.loads(one.body)["data"] for one in deliveries]


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


@pytest.mark.parametrize("route", ["answer", "gathered", "recorded", "status"])
def test_an_unknown_call_is_204(route: str, house: House, twilio: Twilio) -> None:
    assert twilio.post(f"/inbound/voice/{route}/{new_id()}", parameters()).status_code == 204


@pytest.mark.parametrize("route", ["answer", "gathered", "recorded", "status"])
def test_a_text_is_no_call(route: str, rows: Rows, house: House, twilio: Twilio) -> None:
    message = text(house)
    rows.add(message)
    path = f"/inbound/voice/{route}/{message.id}"
    assert twilio.post(path, parameters()).status_code == 204


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
    last = rows.all(select(Delivery).order_by(Delivery.sequence))[-1]
    assert last.next_attempt_at is not None
    assert (last.next_attempt_at - last.occurred_at).total_seconds() < 2  # it waits no longer


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
    waiting = rows.all(select(Delivery).order_by(Delivery.sequence))[-1]
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
    sent = rows.all(select(Delivery).order_by(Delivery.sequence))[-1]
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
    last = rows.all(select(Delivery).order_by(Delivery.sequence))[-1]
    assert last.next_attempt_at is not None
    assert (last.next_attempt_at - last.occurred_at).total_seconds() < 1
    assert "Digits" not in told(rows)[-1]


STATUSES = [
    ("initiated", 0, {}),
    ("ringing", 1, {}),
    ("in-progress", 2, {"AnsweredBy": "human"}),
    ("completed", 3, {"AnsweredBy": "human", "CallDuration": "12"}),
]
RANK = {"queued": 0, "initiated": 1, "ringing": 2, "in-progress": 3, "completed": 4}


ORDERS = list(itertools.permutations(range(4)))


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.database("sqlite")
def test_whatever_the_order_of_reports_a_call_ends_right(
    order: tuple[int, ...], rows: Rows, house: House, twilio: Twilio
) -> None:
    ends_right_after(order, rows, house, twilio)


@pytest.mark.parametrize("order", [ORDERS[0], ORDERS[9], ORDERS[-1]], ids=str)
@pytest.mark.database("postgresql")
def test_so_it_does_on_postgresql(
    order: tuple[int, ...], rows: Rows, house: House, twilio: Twilio
) -> None:
    ends_right_after(order, rows, house, twilio)


def ends_right_after(order: tuple[int, ...], rows: Rows, house: House, twilio: Twilio) -> None:
    """Report a call in this order, and everything once more in another."""
    message = call(rows, house, state=MessageState.CLAIMED, sid=None, status=None)
    twice = [*order, *random.Random(str(order)).sample(order, 4)]
    for number in twice:
        word, sequence, more = STATUSES[number]
        assert status(twilio, message, word, sequence, **more).status_code == 204
    stored = rows.one(Message)
    assert (stored.status, stored.status_sequence) == ("completed", 3)
    assert (stored.call_duration, stored.answered_by) == (12, "human")
    assert rows.count(MessageReport) == 8  # every report is kept
    heard = [one["status"] for one in told(rows)]
    assert heard[0] == "queued"
    assert heard[-1] == "completed"
    assert len(set(heard)) == len(heard)  # each once
    assert [RANK[word] for word in heard] == sorted(RANK[word] for word in heard)


def test_reports_in_their_order_are_all_told(rows: Rows, house: House, twilio: Twilio) -> None:
    message = call(rows, house, state=MessageState.CLAIMED, sid=None, status=None)
    for word, sequence, more in STATUSES:
        status(twilio, message, word, sequence, **more)
    assert [one["status"] for one in told(rows)] == [
        "queued", "initiated", "ringing", "in-progress", "completed",
    ]  # fmt: skip
    assert [one.get("CallDuration") for one in told(rows)] == [None, None, None, None, 12]


@pytest.mark.parametrize("word", ["busy", "no-answer", "failed", "canceled"])
def test_other_ends_have_no_duration(word: str, rows: Rows, house: House, twilio: Twilio) -> None:
    message = call(rows, house, status="ringing", status_sequence=1)
    status(twilio, message, word, 2, CallDuration="0", SipResponseCode="486")
    status(twilio, message, "in-progress", 3)
    assert rows.one(Message).status == word
    assert [one["status"] for one in told(rows)] == [word]
    assert "CallDuration" not in told(rows)[0]


def test_a_word_that_we_do_not_know_is_kept_and_harmless(
    rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house, status="ringing")
    assert status(twilio, message, "levitating", 2).status_code == 204
    assert rows.one(Message).status == "ringing"
    assert rows.one(MessageReport).status == "levitating"


def test_a_status_without_a_word_is_400(rows: Rows, house: House, twilio: Twilio) -> None:
    message = call(rows, house)
    assert status(twilio, message, "", 1).status_code == 400


def test_without_the_database_a_status_is_asked_for_again(
    rows: Rows, house: House, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.domain.sending import statuses

    message = call(rows, house)

    def fail(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("the database went away"))

    monkeypatch.setattr(statuses, "record_report", fail)
    assert status(twilio, message, "ringing", 1).status_code == 503
    monkeypatch.undo()
    rows.change(update(Message).values(status="queued"))
    assert status(twilio, message, "ringing", 1).status_code == 204
