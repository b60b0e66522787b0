"""Calls in: what a caller hears, verb by verb, and what the application is told."""

from __future__ import annotations

import wave
from io import BytesIO
from typing import Any

import pytest
import requests
from twilio.request_validator import RequestValidator

from tests.support.sandbox import DEMO, PERSON, Running, Stub, eventually

VOICE = "/inbound/voice"
STATUS = "/inbound/voice/status"
CALLEE = "+13195550111"


def call(running: Running, **more: Any) -> str:
    return str(running.post("calls", {"from": PERSON, "to": DEMO, **more})["sid"])


def ended(running: Running, sid: str) -> dict[str, Any]:
    return dict(
        eventually(lambda: (c := running.get(f"calls/{sid}")) and not c["live"] and c, seconds=20)
    )


def heard(result: dict[str, Any], kind: str = "say") -> list[str]:
    return [step["text"] for step in result["heard"] if step["kind"] == kind]


def test_the_request_and_the_end_of_a_call(running: Running, stub: Stub) -> None:
    stub.on(VOICE, "<Response><Say voice='alice'>We are closed.</Say></Response>")
    sid = call(running)
    result = ended(running, sid)
    assert heard(result) == ["We are closed."]
    assert result["history"] == ["ringing", "in-progress", "completed"]
    request = stub.at(VOICE)[0]
    for name, value in {
        "CallSid": sid, "From": PERSON, "Caller": PERSON, "To": DEMO, "Called": DEMO,
        "CallStatus": "ringing", "Direction": "inbound", "ApiVersion": "2010-04-01",
    }.items():  # fmt: skip
        assert request.params[name] == value
    assert {f"{a}{b}" for a in ("From", "To", "Caller", "Called") for b in ("City", "Zip")} <= set(
        request.params
    )
    validator = RequestValidator(running.box.settings.auth_token)
    signature = request.headers["X-Twilio-Signature"]
    assert validator.validate(stub.url + VOICE, request.params, signature)
    final = eventually(lambda: stub.at(STATUS))[0].params
    assert (final["CallStatus"], final["SequenceNumber"]) == ("completed", "0")
    assert final["CallbackSource"] == "call-progress-events"
    assert final["Timestamp"].endswith("+0000")
    assert int(final["CallDuration"]) >= 1
    assert final["Duration"] == "1"


@pytest.mark.parametrize(
    "inside",
    [
        "<Dial><Sip><Uri priority='1' username='u'>sip:desk@example.edu</Uri><Headers>"
        "<Header name='X-A' value='1'/></Headers></Sip></Dial>",
        "<Queue url='/whisper'>desk</Queue>",
        "<Dial><Conference waitUrl='' statusCallbackEvent='join'>lobby</Conference></Dial>",
        "<Say voice='Polly.Joanna'>A <amazon:effect name='whispered'>secret</amazon:effect></Say>",
        "<Say><lang xml:lang='es-ES'>Hola</lang></Say>",
    ],
    ids=["SIP by Uri and Headers", "Queue", "no music", "whispering", "another language"],
)
def test_what_twilio_takes_without_a_word(running: Running, stub: Stub, inside: str) -> None:
    stub.on(VOICE, f"<Response>{inside}<Say>The end.</Say></Response>")
    assert heard(ended(running, call(running)))[-1] == "The end."
    assert running.get("alerts")["items"] == []


@pytest.mark.parametrize(
    ("twiml", "status", "says"),
    [
        pytest.param("<Reject reason='busy'/>", "busy", [], id="reject-busy"),
        pytest.param("<Reject/>", "no-answer", [], id="reject"),
        pytest.param("<Hangup/><Say>never</Say>", "no-answer", [], id="hangup-first"),
        pytest.param("<Say>a</Say><Hangup/><Say>b</Say>", "completed", ["a"], id="hangup"),
        pytest.param("<Say loop='2'>a</Say>", "completed", ["a", "a"], id="loop"),
        pytest.param("<Pause length='2'/><Say>a</Say>", "completed", ["a"], id="pause"),
        pytest.param("<Redirect>/more</Redirect>", "completed", ["more"], id="redirect"),
        pytest.param("<Gather><Say>press</Say></Gather><Say>b</Say>", "completed",
                     ["press", "b"], id="gather-without-input-falls-through"),
        pytest.param("<Enqueue action='/more'>desk</Enqueue>", "completed", ["more"], id="enqueue"),
        pytest.param("", "completed", [], id="empty"),
    ],
)  # fmt: skip
def test_verbs(running: Running, stub: Stub, twiml: str, status: str, says: list[str]) -> None:
    stub.on(VOICE, f"<Response>{twiml}</Response>")
    stub.on("/more", "<Response><Say>more</Say></Response>")
    result = ended(running, call(running))
    assert (result["status"], heard(result)) == (status, says)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param((500, "text/html", ""), 11200, id="500"),
        pytest.param((200, "application/json", "{}"), 12300, id="json"),
        pytest.param((200, "text/xml", "<Response>"), 12100, id="broken"),
    ],
)
def test_a_failure_is_heard_as_an_application_error(
    running: Running, stub: Stub, answer: tuple[int, str, str], code: int
) -> None:
    number = running.box.store.numbers[DEMO]
    number.voice_url, number.voice_fallback_url = stub.on(VOICE, answer), ""
    result = ended(running, call(running))
    assert heard(result, "error") == ["We are sorry, an application error has occurred. Goodbye."]
    assert running.get("alerts")["items"][0]["code"] == code
    number.voice_fallback_url = stub.on("/fallback", "<Response><Say>Sorry.</Say></Response>")
    assert heard(ended(running, call(running))) == ["Sorry."]
    assert stub.at("/fallback")[0].params["ErrorCode"] == str(code)


@pytest.mark.parametrize(
    ("attributes", "keys", "digits", "finished"),
    [
        pytest.param("numDigits='1'", "12", "1", "", id="num-digits"),
        pytest.param("", "123#4", "123", "#", id="finish-key"),
        pytest.param("finishOnKey='*'", "1#*", "1#", "*", id="other-key"),
        pytest.param("timeout='2'", "77", "77", "", id="time-out"),
    ],
)
def test_gather(
    running: Running, stub: Stub, attributes: str, keys: str, digits: str, finished: str
) -> None:
    running.put(f"phones/{PERSON}", {"digits": keys})
    stub.on(VOICE, f"<Response><Gather action='/keys' {attributes}><Say>Press</Say></Gather>"
                   "</Response>")  # fmt: skip
    ended(running, call(running))
    params = stub.at("/keys")[0].params
    assert (params["Digits"], params["FinishedOnKey"]) == (digits, finished)
    assert params["CallStatus"] == "in-progress"


def test_gather_speech_and_keys_while_it_speaks(running: Running, stub: Stub) -> None:
    running.put("time", {"speed": 5})
    running.put(f"phones/{PERSON}", {"speech": "sales please"})
    stub.on(VOICE, "<Response><Gather input='speech' action='/said'/></Response>")
    ended(running, call(running))
    assert stub.at("/said")[0].params["SpeechResult"] == "sales please"
    stub.on(VOICE, f"<Response><Gather action='/keys'><Say>{'long ' * 200}</Say></Gather>"
                   "</Response>")  # fmt: skip
    sid = call(running, attended=True)
    eventually(lambda: running.get(f"calls/{sid}")["waitingFor"] == "digits")
    running.post(f"calls/{sid}/digits", {"digits": "5#"})
    ended(running, sid)
    assert stub.at("/keys")[0].params["Digits"] == "5"


def test_record(running: Running, stub: Stub) -> None:
    running.put(f"phones/{PERSON}", {"record_seconds": 3})
    stub.on(VOICE, "<Response><Record action='/done' recordingStatusCallback='/ready'/></Response>")
    ended(running, call(running))
    done = stub.at("/done")[0].params
    assert done["RecordingDuration"] == "3"
    ready = eventually(lambda: stub.at("/ready"))[0].params
    assert ready["RecordingUrl"] == done["RecordingUrl"]
    assert (ready["RecordingStatus"], ready["RecordingSource"]) == ("completed", "RecordVerb")
    sound = requests.get(done["RecordingUrl"], timeout=5)
    assert sound.headers["Content-Type"] == "audio/wav"
    with wave.open(BytesIO(sound.content)) as opened:
        assert opened.getnframes() / opened.getframerate() == 3
    recording = running.client().recordings(done["RecordingSid"]).fetch()
    assert (recording.duration, recording.call_sid) == ("3", done["CallSid"])


def test_a_recording_as_mp3_and_written_down(running: Running, stub: Stub) -> None:
    running.put(f"phones/{PERSON}", {"record_seconds": 4, "speech": "Please call back."})
    record = "<Record action='/done' transcribe='true' transcribeCallback='/words'/>"
    stub.on(VOICE, f"<Response>{record}</Response>")
    ended(running, call(running))
    said = eventually(lambda: stub.at("/words"))[0].params
    assert (said["TranscriptionText"], said["TranscriptionStatus"]) == (
        "Please call back.", "completed",
    )  # fmt: skip
    sound = requests.get(said["RecordingUrl"] + ".mp3", timeout=5)
    assert sound.headers["Content-Type"] == "audio/mpeg"
    frames = sound.content.count(b"\xff\xf3")  # MPEG 2, layer III: 576 samples at 16 kHz each
    assert frames * 576 / 16_000 == pytest.approx(4, abs=0.5)
    (written,) = running.client().recordings(said["RecordingSid"]).transcriptions.list()
    assert written.transcription_text == "Please call back."


def test_who_says_nothing_has_left_nothing(running: Running, stub: Stub) -> None:
    running.put(f"phones/{PERSON}", {"record_seconds": 0})
    events = "recordingStatusCallback='/ready' recordingStatusCallbackEvent='completed absent'"
    stub.on(VOICE, f"<Response><Record action='/done' {events}/></Response>")
    ended(running, call(running))
    assert eventually(lambda: stub.at("/ready"))[0].params["RecordingStatus"] == "absent"


def test_hanging_up_ends_a_recording_and_still_reports_it(running: Running, stub: Stub) -> None:
    stub.on(VOICE, "<Response><Record action='/done'/></Response>")
    sid = call(running, attended=True)
    eventually(lambda: running.get(f"calls/{sid}")["waitingFor"] == "recording")
    running.box.scheduler.after(3, lambda: running.box.inboxes[sid].put(("hangup", "caller")))
    assert ended(running, sid)["status"] == "completed"
    assert eventually(lambda: stub.at("/done"))[0].params["Digits"] == "hangup"


def test_an_empty_recording_goes_on_with_the_next_verb(running: Running, stub: Stub) -> None:
    running.put(f"phones/{PERSON}", {"record_seconds": 0})
    stub.on(VOICE, "<Response><Record action='/done'/><Say>Nothing heard.</Say></Response>")
    assert heard(ended(running, call(running))) == ["Nothing heard."]
    assert not stub.at("/done")


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        pytest.param("person", "completed", id="answered"),
        pytest.param("machine", "completed", id="machine"),
        pytest.param("busy", "busy", id="busy"),
        pytest.param("no-answer", "no-answer", id="no-answer"),
        pytest.param("failed", "failed", id="failed"),
    ],
)
def test_dial(running: Running, stub: Stub, answers: str, status: str) -> None:
    running.put(f"phones/{CALLEE}", {"answers": answers, "talks": 3})
    stub.on(VOICE, f"<Response><Dial timeout='5' action='/dialed' callerId='{DEMO}'>"
                   f"<Number statusCallback='/leg' statusCallbackEvent='initiated completed'>"
                   f"{CALLEE}</Number></Dial></Response>")  # fmt: skip
    stub.on("/dialed", "<Response><Say>Bye</Say></Response>")
    sid = call(running)
    assert heard(ended(running, sid)) == ["Bye"]
    params = stub.at("/dialed")[0].params
    assert params["DialCallStatus"] == status
    assert ("DialCallDuration" in params) == (status == "completed")
    final = eventually(
        lambda: [r.params for r in stub.at("/leg") if r.params["CallStatus"] == status]
    )[0]
    assert (final["ParentCallSid"], final["Direction"]) == (sid, "outbound-dial")
    assert (final["From"], final["To"]) == (DEMO, CALLEE)


def test_the_first_phone_that_answers_is_connected(running: Running, stub: Stub) -> None:
    running.put(f"phones/{CALLEE}", {"answers": "busy"})
    stub.on(VOICE, f"<Response><Dial action='/dialed'><Number>{CALLEE}</Number>"
                   "<Number>+13195550112</Number></Dial></Response>")  # fmt: skip
    ended(running, call(running))
    assert stub.at("/dialed")[0].params["DialCallStatus"] == "completed"


def test_a_whisper_may_decline(running: Running, stub: Stub) -> None:
    stub.on(VOICE, f"<Response><Dial action='/dialed'><Number url='/whisper'>{CALLEE}</Number>"
                   "</Dial></Response>")  # fmt: skip
    stub.on("/whisper", "<Response><Say>A call from the office</Say><Hangup/></Response>")
    sid = call(running)
    ended(running, sid)
    assert stub.at("/whisper")[0].params["ParentCallSid"] == sid
    assert stub.at("/dialed")[0].params["DialCallStatus"] == "no-answer"


@pytest.mark.parametrize(
    ("dial", "code"),
    [
        pytest.param("<Dial callerId='+15551234567'>+13195550111</Dial>", 13214, id="caller-id"),
        pytest.param("<Dial>nobody</Dial>", 13223, id="number"),
    ],
)
def test_a_wrong_dial(running: Running, stub: Stub, dial: str, code: int) -> None:
    stub.on(VOICE, f"<Response>{dial}</Response>")
    ended(running, call(running))
    assert running.get("alerts")["items"][0]["code"] == code


def test_the_caller_hangs_up_while_it_rings(running: Running, stub: Stub) -> None:
    running.put(f"phones/{CALLEE}", {"answers": "no-answer"})
    stub.on(VOICE, f"<Response><Dial action='/dialed'>{CALLEE}</Dial></Response>")
    sid = call(running, attended=True)
    eventually(lambda: heard(running.get(f"calls/{sid}"), "dial"))
    running.post(f"calls/{sid}/hangup", {})
    ended(running, sid)
    assert eventually(lambda: stub.at("/dialed"))[0].params["DialCallStatus"] == "canceled"
    assert {c.status for c in running.box.store.calls.values()} == {"completed", "canceled"}


def test_play_asks_for_the_sound_without_parameters(running: Running, stub: Stub) -> None:
    stub.on("/closed.mp3", (200, "audio/mpeg", "sound"))
    stub.on(VOICE, "<Response><Play>/closed.mp3</Play><Play>/closed.txt</Play></Response>")
    stub.on("/closed.txt", (200, "text/plain", "sound"))
    result = ended(running, call(running))
    assert heard(result, "play") == [stub.url + "/closed.mp3"]
    assert not stub.at("/closed.mp3")[0].params
    assert running.get("alerts")["items"][0]["code"] == 12300
