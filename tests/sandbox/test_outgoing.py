"""Calls out: who answers, machine detection, the events and their order."""

from __future__ import annotations

from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from tests.support.sandbox import DEMO, PERSON, Running, Stub, eventually

EVENTS = ["initiated", "ringing", "answered", "completed"]


def place(running: Running, stub: Stub, **more: Any) -> Any:
    values: dict[str, Any] = {
        "to": PERSON,
        "from_": DEMO,
        "url": stub.url + "/answer",
        "status_callback": stub.url + "/events",
        "status_callback_event": EVENTS,
    }
    return running.client().calls.create(**(values | more))


def events(stub: Stub, last: str) -> list[Any]:
    def complete() -> Any:
        rows = [r.params for r in stub.at("/events")]
        return any(r["CallStatus"] == last for r in rows) and rows

    rows = eventually(complete, seconds=20)
    return sorted(rows, key=lambda r: int(r["SequenceNumber"]))


def test_a_person_answers(running: Running, stub: Stub) -> None:
    stub.on("/answer", "<Response><Say>Hello Ana</Say></Response>")
    sent = place(running, stub)
    assert (sent.status, sent.direction, sent.price_unit) == ("queued", "outbound-api", "USD")
    rows = events(stub, "completed")
    assert [r["CallStatus"] for r in rows] == ["initiated", "ringing", "in-progress", "completed"]
    assert [r["SequenceNumber"] for r in rows] == ["0", "1", "2", "3"]
    assert int(rows[-1]["CallDuration"]) > 0
    assert "CallDuration" not in rows[0]
    request = stub.at("/answer")[0].params
    assert (request["CallStatus"], request["Direction"]) == ("in-progress", "outbound-api")
    assert "AnsweredBy" not in request
    fetched = running.client().calls(sent.sid).fetch()
    assert (fetched.status, fetched.to, fetched.answered_by) == ("completed", PERSON, None)


@pytest.mark.parametrize(
    ("answers", "ends", "mode", "expected"),
    [
        ("person", "beep", "Enable", "human"),
        ("machine", "beep", "Enable", "machine_start"),
        ("fax", "beep", "Enable", "fax"),
        ("unknown", "beep", "Enable", "unknown"),
        ("person", "beep", "DetectMessageEnd", "human"),
        ("machine", "beep", "DetectMessageEnd", "machine_end_beep"),
        ("machine", "silence", "DetectMessageEnd", "machine_end_silence"),
        ("machine", "other", "DetectMessageEnd", "machine_end_other"),
        ("fax", "beep", "DetectMessageEnd", "fax"),
        ("unknown", "beep", "DetectMessageEnd", "unknown"),
    ],
)
def test_machine_detection(
    running: Running, stub: Stub, answers: str, ends: str, mode: str, expected: str
) -> None:
    running.put(f"phones/{PERSON}", {"answers": answers, "machine_ends": ends})
    sent = place(running, stub, machine_detection=mode)
    assert events(stub, "completed")[-1]["AnsweredBy"] == expected
    request = stub.at("/answer")[0].params
    assert request["AnsweredBy"] == expected
    assert int(request["MachineDetectionDuration"]) > 0
    assert running.client().calls(sent.sid).fetch().answered_by == expected


def test_asynchronous_detection(running: Running, stub: Stub) -> None:
    running.put(f"phones/{PERSON}", {"answers": "machine"})
    stub.on("/answer", "<Response><Pause length='20'/></Response>")
    place(
        running, stub, machine_detection="Enable", async_amd="true",
        async_amd_status_callback=stub.url + "/amd",
    )  # fmt: skip
    verdict = eventually(lambda: stub.at("/amd"))[0].params
    assert verdict["AnsweredBy"] == "machine_start"
    assert "AnsweredBy" not in stub.at("/answer")[0].params


@pytest.mark.parametrize(
    ("answers", "status", "sip"), [("busy", "busy", "486"), ("no-answer", "no-answer", "480"),
                                   ("failed", "failed", "404")],
)  # fmt: skip
def test_nobody_answers(running: Running, stub: Stub, answers: str, status: str, sip: str) -> None:
    running.put(f"phones/{PERSON}", {"answers": answers})
    place(running, stub, timeout=10)
    rows = events(stub, status)
    assert [r["CallStatus"] for r in rows] == ["initiated", "ringing", status]
    assert (rows[-1]["SipResponseCode"], rows[-1]["CallDuration"]) == (sip, "0")
    assert not stub.at("/answer")


def test_only_completed_by_default(running: Running, stub: Stub) -> None:
    place(running, stub, status_callback_event=[])
    rows = events(stub, "completed")
    assert [(r["CallStatus"], r["SequenceNumber"]) for r in rows] == [("completed", "0")]


def test_a_recorded_call(running: Running, stub: Stub) -> None:
    stub.on("/answer", "<Response><Pause length='5'/></Response>")
    place(running, stub, record=True, recording_status_callback=stub.url + "/recording")
    final = events(stub, "completed")[-1]
    ready = eventually(lambda: stub.at("/recording"))[0].params
    assert final["RecordingUrl"] == ready["RecordingUrl"]
    assert ready["RecordingSource"] == "OutboundAPI"


def test_twiml_given_directly_and_replaced_while_it_runs(running: Running, stub: Stub) -> None:
    client = running.client()
    sent = place(running, stub, url=None, twiml="<Response><Pause length='300'/></Response>")
    eventually(lambda: client.calls(sent.sid).fetch().status == "in-progress")
    client.calls(sent.sid).update(twiml="<Response><Say>Changed</Say></Response>")
    events(stub, "completed")
    says = [h["text"] for h in running.get(f"calls/{sent.sid}")["heard"] if h["kind"] == "say"]
    assert says == ["Changed"]
    with pytest.raises(TwilioRestException) as caught:
        client.calls(sent.sid).update(status="completed")
    assert caught.value.code == 21220


def test_hang_up_and_cancel_by_the_api(running: Running, stub: Stub) -> None:
    client = running.client()
    stub.on("/answer", "<Response><Pause length='300'/></Response>")
    sent = place(running, stub)
    eventually(lambda: client.calls(sent.sid).fetch().status == "in-progress")
    client.calls(sent.sid).update(status="completed")
    assert events(stub, "completed")
    running.put(f"phones/{PERSON}", {"answers": "no-answer"})
    sent = place(running, stub, timeout=600)
    eventually(lambda: client.calls(sent.sid).fetch().status == "ringing")
    client.calls(sent.sid).update(status="canceled")
    assert events(stub, "canceled")


def test_one_call_a_second(running: Running, stub: Stub) -> None:
    running.put("time", {"speed": 2})
    first, second = place(running, stub), place(running, stub)
    assert second.status == "queued"
    eventually(lambda: running.box.store.calls[second.sid].status != "queued")
    account = running.box.account(running.box.settings.account_sid)
    assert account.next_call_at > 1
    started = [running.box.store.calls[s.sid].history for s in (first, second)]
    assert len(started[0]) >= len(started[1])


@pytest.mark.parametrize(
    ("values", "code"),
    [
        pytest.param({"to": ""}, 21201, id="no-to"),
        pytest.param({"from_": ""}, 21213, id="no-from"),
        pytest.param({"from_": "+13195559999"}, 21210, id="from-unverified"),
        pytest.param({"from_": "31955"}, 21210, id="from-short-code"),
        pytest.param({"to": "+19005551234"}, 21202, id="premium"),
        pytest.param({"to": "12"}, 21217, id="invalid"),
        pytest.param({"url": "nowhere"}, 21205, id="url"),
        pytest.param({"url": None, "twiml": "x" * 4001}, 32018, id="twiml-too-long"),
        pytest.param({"machine_detection_timeout": 2}, 21234, id="detection"),
        pytest.param({"machine_detection_timeout": 60}, 21234, id="detection, too long"),
        pytest.param({"timeout": 0}, 21208, id="no time to ring"),
        pytest.param({"timeout": 601}, 21208, id="ringing too long"),
    ],
)
def test_what_twilio_refuses(
    running: Running, stub: Stub, values: dict[str, Any], code: int
) -> None:
    with pytest.raises(TwilioRestException) as caught:
        place(running, stub, **values)
    assert (caught.value.code, caught.value.status) == (code, 400)


def test_a_caller_id_is_verified_by_a_call(running: Running, stub: Stub) -> None:
    client, phone = running.client(), "+13193350001"
    running.put(f"phones/{phone}", {"answers": "person"})
    request = client.validation_requests.create(
        phone_number=phone, friendly_name="Office", status_callback=stub.url + "/verified"
    )
    assert request.validation_code.isdigit()
    verdict = eventually(lambda: stub.at("/verified"))[0].params
    assert verdict["VerificationStatus"] == "success"
    assert (
        verdict["OutgoingCallerIdSid"] == client.outgoing_caller_ids.list(phone_number=phone)[0].sid
    )
    assert place(running, stub, from_=phone).sid
    with pytest.raises(TwilioRestException) as caught:
        client.validation_requests.create(phone_number=phone)
    assert caught.value.code == 21450


def test_a_wrong_code_fails(running: Running, stub: Stub) -> None:
    phone = "+13193350001"
    running.put(f"phones/{phone}", {"answers": "person", "digits": "000000x"[:6]})
    request = running.client().validation_requests.create(
        phone_number=phone, status_callback=stub.url + "/verified"
    )
    verdict = eventually(lambda: stub.at("/verified"))[0].params
    expected = "success" if request.validation_code == "000000" else "failed"
    assert verdict["VerificationStatus"] == expected


def test_events_may_come_shuffled(running: Running, stub: Stub) -> None:
    running.put("faults", {"webhooks": {"shuffle_callbacks": 1, "duplicate": 1}})
    place(running, stub)
    rows = eventually(lambda: len(stub.at("/events")) == 8 and stub.at("/events"), seconds=15)
    assert sorted(r.params["SequenceNumber"] for r in rows) == sorted("00112233")


def test_the_page_takes_a_ringing_call(running: Running, stub: Stub) -> None:
    stub.on("/answer", "<Response><Say>Hello</Say><Pause length='2'/></Response>")
    running.bubbles(PERSON)
    sent = place(running, stub, machine_detection="Enable")
    eventually(lambda: running.get(f"calls/{sent.sid}")["ringingFor"] == PERSON)
    running.post(f"calls/{sent.sid}/answer", {"as": "machine"})
    assert events(stub, "completed")[-1]["AnsweredBy"] == "machine_start"


def test_a_create_error_so_many_times(running: Running, stub: Stub) -> None:
    running.put(f"phones/{PERSON}", {"create_error": 21215, "times": 1})
    with pytest.raises(TwilioRestException) as caught:
        place(running, stub)
    assert caught.value.code == 21215
    assert place(running, stub).status == "queued"


def test_it_rings_some_moments_after_it_was_begun(running: Running, stub: Stub) -> None:
    """Else both reports are on their way at once, and the later one may come first."""
    running.put("time", {"speed": 1})
    sids = [place(running, stub).sid for _ in range(5)]

    def told(sid: str) -> list[str]:
        rows = [request.params for request in stub.at("/events")]
        return [row["CallStatus"] for row in rows if row["CallSid"] == sid]

    eventually(lambda: all(len(told(sid)) >= 2 for sid in sids), seconds=20)
    assert {tuple(told(sid)[:2]) for sid in sids} == {("initiated", "ringing")}


@pytest.mark.parametrize(
    ("mode", "missed"), [("Enable", True), ("DetectMessageEnd", None)], ids=["at once", "beep"]
)
def test_a_machines_greeting_goes_on_while_the_twiml_begins(
    running: Running, stub: Stub, mode: str, missed: bool | None
) -> None:
    """What is said into the greeting is on no recording: hence waiting for the beep."""
    stub.on("/answer", "<Response><Say>Hello.</Say><Pause length='9'/><Say>Bye.</Say></Response>")
    running.put(f"phones/{PERSON}", {"answers": "machine"})
    sent = place(running, stub, machine_detection=mode)
    events(stub, "completed")
    heard = {step["text"]: step for step in running.get(f"calls/{sent.sid}")["heard"]}
    assert heard["Hello."].get("missed") is missed
    assert heard["Bye."].get("missed") is None
    kinds = [step["kind"] for step in running.get(f"calls/{sent.sid}")["heard"]]
    assert kinds.index("machine") < kinds.index("tone")
    assert (kinds.index("tone") < kinds.index("say")) is (mode == "DetectMessageEnd")
