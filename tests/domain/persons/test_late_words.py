"""What Twilio tells of somebody who was erased costs what it costs, and says nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from app.domain.persons import erasing
from app.models.base import utcnow
from app.models.conversation import Conversation
from app.models.delivery import Delivery
from app.models.incoming import Incoming
from app.models.last_contact import LastContact
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.said import Said
from app.models.voicemail import Transcriber, TranscriptionState, Voicemail, VoicemailState
from app.outbound.voicemails import drain
from tests.domain.persons.test_persons import PHONE, SECRET, came, everything
from tests.support.clients import Department, department
from tests.support.reports import apply_reports
from tests.support.rows import Rows
from tests.support.twilio import Twilio, call_parameters, sid, sms_parameters

RECORDING = "RE" + "1" * 32
LISTENED_TO = f"https://api.twilio.com/{SECRET}"


@pytest.fixture
def of(rows: Rows) -> Department:
    made = department(rows)
    made.endpoint()
    return made


def our_text(of: Department, twilio: Twilio) -> Callable[[], None]:
    text = of.text(PHONE, body=SECRET, sid=sid("SM"), status="queued", state=MessageState.ACCEPTED)

    def told() -> None:
        said = sms_parameters(
            MessageSid=text.sid or "", MessageStatus="undelivered", ErrorCode="30003",
            ErrorMessage=f"{PHONE} {SECRET}", To=PHONE, From=of.number.address,
        )  # fmt: skip
        assert twilio.post(f"/inbound/sms/status/{text.id}", said).status_code == 204
        apply_reports(of.rows.app)
        assert of.rows.one(Message).status == "undelivered"

    return told


def our_call(of: Department, twilio: Twilio) -> Callable[[], None]:
    call = Message(
        client_id=of.client.id, credential_id=of.credential.id, sender_id=of.number.id, to=PHONE,
        from_=of.number.address, destination=Destination.VOICE, sid=sid("CA"), status="in-progress",
        state=MessageState.ACCEPTED, twiml_source=f"<Response><Say>{SECRET}</Say></Response>",
    )  # fmt: skip
    of.rows.add(call)

    def told() -> None:
        said = call_parameters(
            CallSid=call.sid or "", To=PHONE, From=of.number.address, CallStatus="in-progress",
            Digits="4711", SpeechResult=SECRET, RecordingUrl=LISTENED_TO, RecordingSid=RECORDING,
        )  # fmt: skip
        for step in ("gathered", "recorded", "answer"):
            answer = twilio.post(f"/inbound/voice/{step}/{call.id}", said)
            assert answer.status_code == 200
            assert SECRET not in answer.text
        said |= {"CallStatus": "completed", "CallDuration": "33"}
        assert twilio.post(f"/inbound/voice/status/{call.id}", said).status_code == 204
        apply_reports(of.rows.app)
        ended = of.rows.one(Message)
        assert (ended.status, ended.call_duration) == ("completed", 33)

    return told


def voice_message(of: Department, twilio: Twilio) -> Callable[[], None]:
    call = came(of, PHONE, destination=Destination.VOICE, body=None, sid=sid("CA"))
    of.rows.add(
        Voicemail(
            client_id=of.client.id, incoming_id=call.id, state=VoicemailState.EXPECTED,
            transcriber=Transcriber.TWILIO, transcription_state=TranscriptionState.WANTED,
            check_at=utcnow(),
        )
    )  # fmt: skip

    def told() -> None:
        said = call_parameters(
            CallSid=call.sid, From=PHONE, To=of.number.address, RecordingSid=RECORDING,
            RecordingStatus="completed", RecordingDuration="7", TranscriptionStatus="completed",
            TranscriptionText=SECRET, RecordingUrl=LISTENED_TO,
        )  # fmt: skip
        at = f"/inbound/voice/step/{call.id}"
        assert twilio.post(f"{at}/recorded", said).status_code == 200
        assert twilio.post(f"{at}/recording", said).status_code == 204
        assert twilio.post(f"{at}/transcription", said).status_code == 204
        pressed = twilio.post(f"{at}?at=&what=key&turn=0", {**said, "Digits": "4711"})
        assert "<Say" in pressed.text
        with of.rows.app.app_context():
            drain.drain()
        assert of.rows.one(Voicemail).state is VoicemailState.ABSENT

    return told


def their_call(of: Department, twilio: Twilio) -> Callable[[], None]:
    call = came(of, PHONE, destination=Destination.VOICE, body=None, sid=sid("CA"))

    def told() -> None:
        said = call_parameters(
            CallSid=call.sid, From=PHONE, To=of.number.address, CallStatus="completed",
            CallDuration="20", DialCallStatus="no-answer",
        )  # fmt: skip
        assert twilio.post(f"/inbound/voice/dialed/{call.id}", said).status_code == 200
        assert twilio.post("/inbound/voice/status", said).status_code == 204
        ended = of.rows.one(Incoming)
        assert (ended.call_status, ended.call_duration) == ("completed", 20)

    return told


TOLD = [our_text, our_call, voice_message, their_call]


@pytest.mark.parametrize("prepare", TOLD, ids=[one.__name__ for one in TOLD])
def test_late_words_bring_nothing_of_them_back(
    prepare: Callable[[Department, Twilio], Callable[[], None]],
    app: Flask,
    of: Department,
    twilio: Twilio,
    rows: Rows,
) -> None:
    told = prepare(of, twilio)
    with app.app_context():
        assert erasing.erase(of.client.id, PHONE, "pat")
    told()
    left = "\n".join(row for kept in everything(app).values() for row in kept)
    for word in (PHONE, SECRET, "4711", RECORDING):
        assert word not in left
    for model in (Conversation, LastContact, Delivery, Said):
        assert rows.count(model) == 0
