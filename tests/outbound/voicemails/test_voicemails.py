"""A voice message, from the tone to the people who are told of it, whatever Twilio tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.domain.conversations import entries
from app.domain.relaying import events
from app.domain.voicemails import steps
from app.extensions import db
from app.maintenance import retention
from app.models.audience import Member, Population
from app.models.base import new_id
from app.models.conversation import Conversation, ConversationState, EntryKind
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret
from app.models.incoming import Incoming, Outcome
from app.models.media import Media
from app.models.route import Destination, Handler
from app.models.sender import Sender
from app.models.voicemail import Voicemail, VoicemailState
from app.outbound.voicemails import drain
from tests.support import relay
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.hostile import answering, resetting
from tests.support.inbound import PHONE, Department
from tests.support.mailbox import Mailbox, mailbox
from tests.support.recordings import SOUND, Recordings, recordings
from tests.support.relay import Receiver, receiving
from tests.support.rows import Rows
from tests.support.twilio import Twilio, call_parameters, sid

SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


@pytest.fixture
def at_twilio() -> Iterator[Recordings]:
    with recordings() as made:
        yield made


@pytest.fixture
def engine() -> Iterator[Receiver]:
    """The operator's engine, where a test sets one up."""
    with receiving() as made:
        yield made


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as made:
        yield made


@pytest.fixture
def environ(
    environ: dict[str, str], at_twilio: Recordings, engine: Receiver, box: Mailbox
) -> dict[str, str]:
    own = {"TRANSCRIBE_URL": engine.url("/listen").replace("//", "//dispatch:p%40ss@")}
    return {
        **environ,
        "TWILIO_API_BASE_URL": at_twilio.url,
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "SMTP_URL": f"smtp://127.0.0.1:{box.port}",
        **(own if "TRANSCRIBE_URL" in environ else {}),
    }


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@dataclass
class Office:
    """A number that takes messages, with a system and a mailbox that are told of them."""

    app: Flask
    rows: Rows
    twilio: Twilio
    clock: time_machine.Traveller
    receiver: Receiver
    box: Mailbox
    form: dict[str, str] = field(default_factory=call_parameters)
    recording: str = field(default_factory=lambda: sid("RE"))

    def call(self) -> ElementTree.Element:
        """Have somebody call; return the document that they hear."""
        answer = self.twilio.post("/inbound/voice", self.form)
        assert answer.status_code == 200, answer.text
        return ElementTree.fromstring(answer.text)

    def path(self, what: str) -> str:
        return f"/inbound/voice/step/{self.rows.one(Incoming).id}/{what}"

    def action(self, **changes: str) -> Any:
        """Twilio asks what comes after the recording (Twilio, <Record action>)."""
        url = f"https://api.twilio.com/2010-04-01/Accounts/AC/Recordings/{self.recording}"
        more = {
            "RecordingSid": self.recording, "RecordingUrl": url, "RecordingDuration": "7",
            "Digits": "#", "CallStatus": "in-progress",
        }  # fmt: skip
        return self.twilio.post(self.path("recorded"), {**self.form, **more, **changes})

    def report(self, status: str = "completed", **changes: str) -> Any:
        """Twilio tells that it has the recording (Twilio, recordingStatusCallback)."""
        more = {
            "AccountSid": self.form["AccountSid"], "CallSid": self.form["CallSid"],
            "RecordingSid": self.recording, "RecordingStatus": status, "RecordingDuration": "7",
            "RecordingChannels": "1", "RecordingSource": "RecordVerb",
        }  # fmt: skip
        return self.twilio.post(self.path("recording"), {**more, **changes})

    def words(self, text: str = "Please call me.", status: str = "completed") -> Any:
        """Twilio tells what was said (Twilio, transcribeCallback)."""
        more = {
            "RecordingSid": self.recording, "TranscriptionSid": sid("TR"),
            "TranscriptionStatus": status, "TranscriptionText": text,
        }  # fmt: skip
        return self.twilio.post(self.path("transcription"), {**self.form, **more})

    def work(self, **later: float) -> None:
        """Let all be done that is due, after some time."""
        if later:
            self.clock.shift(timedelta(**later))
        with self.app.app_context():
            drain.drain()
            drain.drain_engine()
            drain.drain()

    def deliver(self) -> list[Any]:
        """Deliver what is due; return what the system has been told so far, in its order.

        Two connections may overtake each other; ``data.sequence`` is what a system sorts by.
        """
        self.clock.shift(timedelta(seconds=1))
        relay.run(self.app)
        told = [one.event for one in self.receiver.received]
        return sorted(told, key=lambda event: event["data"]["sequence"])

    @property
    def voicemail(self) -> Voicemail:
        return self.rows.one(Voicemail)


@pytest.fixture
def office(
    request: pytest.FixtureRequest,
    app: Flask,
    rows: Rows,
    twilio: Twilio,
    clock: time_machine.Traveller,
    box: Mailbox,
) -> Iterator[Office]:
    options = getattr(request, "param", {})
    with receiving() as receiver:
        department = Department(rows)
        people = Population(client_id=department.client.id, name="desk")
        endpoint = Endpoint(
            id=new_id(), client_id=department.client.id, kind=EndpointKind.WEBHOOK, name="sis",
            url=receiver.url("/hooks"),
        )  # fmt: skip
        rows.add(people, endpoint)
        rows.add(
            EndpointSecret(endpoint_id=endpoint.id, secret=SECRET),
            Member(
                roll=people.id,
                attributes={"toName": "Help", "toAddress": "help@example.edu"},
            ),
        )  # fmt: skip
        department.route(
            department.number(), Handler.VOICEMAIL, Destination.VOICE, options=options,
            population_id=people.id, endpoint_id=endpoint.id,
        )  # fmt: skip
        yield Office(app, rows, twilio, clock, receiver, box)


TRANSCRIBING = pytest.mark.parametrize("office", [{"transcribe": True}], indirect=True, ids=[""])


# --- what the caller hears -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "office", [{"say": "Speak.", "voice": "Polly.Amy", "max_seconds": 60}], indirect=True, ids=[""]
)
def test_a_caller_is_asked_to_speak(office: Office) -> None:
    say, record, sorry, end = office.call()
    base = f"{PUBLIC_BASE_URL}/inbound/voice/step/{office.rows.one(Incoming).id}"
    assert (say.tag, say.text, say.get("voice")) == ("Say", "Speak.", "Polly.Amy")
    assert (record.tag, record.get("maxLength"), record.get("playBeep")) == ("Record", "60", "true")
    assert record.get("action") == f"{base}/recorded"
    assert record.get("recordingStatusCallback") == f"{base}/recording"
    assert record.get("recordingStatusCallbackEvent") == "completed absent"
    assert (record.get("transcribe"), record.get("transcribeCallback")) == (None, None)
    assert (sorry.tag, end.tag) == ("Say", "Hangup")  # an empty recording goes on here
    assert office.rows.one(Incoming).outcome is Outcome.PLAYED
    assert office.voicemail.state is VoicemailState.EXPECTED


@TRANSCRIBING
def test_twilio_writes_down_where_there_is_no_engine(office: Office) -> None:
    record = office.call().find("Record")
    assert record is not None
    assert record.get("transcribe") == "true"
    assert (record.get("transcribeCallback") or "").endswith("/transcription")


def test_who_is_still_there_is_told_goodbye_and_a_repeat_hears_the_same(office: Office) -> None:
    office.call()
    first, second = office.action(), office.action()
    assert (first.status_code, first.text) == (200, second.text)
    assert "Thank you" in first.text


def test_an_unknown_call_hears_the_apology(twilio: Twilio) -> None:
    answer = twilio.post(f"/inbound/voice/step/{new_id()}/recorded", call_parameters())
    assert (answer.status_code, answer.mimetype) == (200, "text/xml")
    assert "sorry" in answer.text.lower()
    assert twilio.post(f"/inbound/voice/step/{new_id()}/recording", {}).status_code == 204


@pytest.mark.parametrize(
    "change",
    [{"AccountSid": "AC" + "e" * 32}, {"CallSid": "CA" + "e" * 32}, {"From": "+13195550199"}],
    ids=lambda change: next(iter(change)),
)
def test_it_has_to_be_about_this_call(office: Office, change: dict[str, str]) -> None:
    office.call()
    assert office.action(**change).status_code == 403
    assert office.report(**change).status_code == 403
    assert office.voicemail.state is VoicemailState.EXPECTED


# --- from Twilio to those who are told -----------------------------------------------------------


def test_a_message_is_fetched_told_mailed_and_heard(
    office: Office, at_twilio: Recordings, client: FlaskClient
) -> None:
    office.call()
    at_twilio.add(office.form["CallSid"], office.recording)
    office.action()
    office.work()
    (event,) = office.deliver()
    kept, call = office.voicemail, office.rows.one(Incoming)
    assert (kept.state, kept.check_at) == (VoicemailState.KEPT, None)
    assert (event["type"], event["timestamp"]) == ("voicemail.received", "2026-11-23T15:00:00.000Z")
    assert event["data"] == {
        "id": kept.id, "client": "registrar", "callSid": call.sid, "from": PHONE, "to": call.to,
        "member": None, "url": f"{PUBLIC_BASE_URL}/media/{kept.media_code}", "durationSeconds": 7,
        "receivedAt": "2026-11-23T15:00:00.000Z", "path": [], "sequence": 1,
    }  # fmt: skip
    heard = client.get(f"/media/{kept.media_code}")
    assert (heard.data, heard.mimetype) == (SOUND, "audio/mpeg")
    (mail,) = office.box.mails
    assert mail["Subject"] == f"Voice message from {PHONE} to {call.to}"
    (sound,) = mail.iter_attachments()
    assert (sound.get_content_type(), sound.get_content()) == ("audio/mpeg", SOUND)
    assert "Long: 7 s" in mail.get_body().get_content()  # type: ignore[union-attr]
    assert at_twilio.deleted == []


ORDERS = {
    "action, then report": ("action", "report"),
    "report, then action": ("report", "action"),
    "each twice": ("report", "report", "action", "action"),
    "the report only": ("report",),
    "the action only": ("action",),
    "in progress first": ("in-progress", "action"),
    "said to be absent before": ("absent", "report"),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("worked_between", [False, True], ids=["at once", "late"])
def test_however_twilio_tells_it_is_one_message(
    office: Office, at_twilio: Recordings, order: tuple[str, ...], worked_between: bool
) -> None:
    office.call()
    at_twilio.add(office.form["CallSid"], office.recording)
    for what in order:
        if what in ("action", "report"):
            getattr(office, what)()
        else:
            assert office.report(what).status_code == 204
        if worked_between:
            office.work(hours=1)
    office.work()
    assert office.voicemail.state is VoicemailState.KEPT
    assert office.rows.count(Media) == 1
    assert [one["type"] for one in office.deliver()] == ["voicemail.received"]


def test_what_twilio_never_tells_it_is_asked(office: Office, at_twilio: Recordings) -> None:
    office.call()
    at_twilio.add(office.form["CallSid"], office.recording, seconds=9)
    office.work(minutes=3)
    assert at_twilio.asked == []  # the caller may still be speaking
    office.work(minutes=2)
    assert (office.voicemail.state, office.voicemail.duration) == (VoicemailState.KEPT, 9)


def test_who_hung_up_without_a_word_left_nothing(office: Office, at_twilio: Recordings) -> None:
    office.call()
    for _ in range(6):
        office.work(hours=3)
    assert (office.voicemail.state, office.voicemail.check_at) == (VoicemailState.ABSENT, None)
    assert office.deliver() == []
    at_twilio.add(office.form["CallSid"], office.recording)  # and if there was something after all
    office.report()
    office.work()
    assert office.voicemail.state is VoicemailState.KEPT


def test_a_twilio_that_cannot_be_asked_has_not_said_that_there_is_nothing(
    office: Office, at_twilio: Recordings
) -> None:
    office.call()
    at_twilio.add(office.form["CallSid"], office.recording)
    at_twilio.instead["GET .*Recordings.json"] = answering("503 Busy")
    for _ in range(12):
        office.work(hours=3)
    assert office.voicemail.state is VoicemailState.EXPECTED
    at_twilio.instead.clear()
    office.work(hours=1)
    assert office.voicemail.state is VoicemailState.KEPT


TROUBLE = {
    "not there yet": answering("404 Not Found"),
    "an error": answering("500 Oops"),
    "a page instead of a sound": answering(
        body=b"<html>log in</html>", headers={"Content-Type": "text/html"}
    ),
    "nothing": answering(headers={"Content-Type": "audio/mpeg"}),
    "broken off": resetting(),
    "too large": answering(
        body=b"ID3" + bytes(10 * 1024 * 1024), headers={"Content-Type": "audio/mpeg"}
    ),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_what_cannot_be_fetched_is_tried_again(
    office: Office, at_twilio: Recordings, trouble: str
) -> None:
    office.call()
    at_twilio.add(office.form["CallSid"], office.recording)
    at_twilio.instead[r"\.mp3"] = TROUBLE[trouble]
    office.report()
    office.work()
    assert office.voicemail.state is VoicemailState.RECORDED
    assert office.voicemail.error
    at_twilio.instead.clear()
    office.work(seconds=6)
    assert office.voicemail.state is VoicemailState.KEPT
    assert office.voicemail.error is None


def test_what_is_lost_is_told_all_the_same(office: Office) -> None:
    office.call()
    office.report()
    for _ in range(16):
        office.work(hours=13)
    assert (office.voicemail.state, office.voicemail.check_at) == (VoicemailState.LOST, None)
    (event,) = office.deliver()
    assert event["data"]["url"] is None
    (mail,) = office.box.mails
    assert "could not be had" in mail.get_content()


def test_only_the_account_s_own_address_is_asked_whatever_a_request_names(
    office: Office, at_twilio: Recordings
) -> None:
    office.call()
    office.action(RecordingUrl="http://169.254.169.254/latest")
    office.work()
    (asked,) = at_twilio.asked
    account = office.form["AccountSid"]
    assert asked.split()[1] == f"/2010-04-01/Accounts/{account}/Recordings/{office.recording}.mp3"


@pytest.mark.parametrize("office", [{"delete_at_twilio": True}], indirect=True, ids=[""])
def test_twilio_s_copy_goes_once_ours_is_there(office: Office, at_twilio: Recordings) -> None:
    office.call()
    at_twilio.add(office.form["CallSid"], office.recording)
    at_twilio.instead["DELETE"] = answering("500 Oops")
    office.report()
    office.work()
    assert (office.voicemail.state, at_twilio.deleted) == (VoicemailState.KEPT, [])
    at_twilio.instead.clear()
    office.work(minutes=2)
    assert at_twilio.deleted == [office.recording]
    office.work(days=1)
    assert at_twilio.deleted == [office.recording]
    assert office.voicemail.deleted_at is not None


def test_who_dies_between_fetch_and_commit_loses_and_doubles_nothing(
    office: Office, at_twilio: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.call()
    at_twilio.add(office.form["CallSid"], office.recording)
    office.report()

    class Killed(BaseException):
        """As a process ends: nothing of ours is done any more."""

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(events, "record_all", die)  # within the commit, with all written
        with pytest.raises(Killed):
            office.work()
    assert office.rows.count(Media) == 0
    assert office.voicemail.state is VoicemailState.RECORDED
    office.work(seconds=30)
    assert office.voicemail.state is VoicemailState.RECORDED  # it may still be at it
    office.work(seconds=steps.LEASE.total_seconds())
    assert office.voicemail.state is VoicemailState.KEPT
    assert office.rows.count(Media) == 1
    assert len(office.deliver()) == 1


# --- what was said -------------------------------------------------------------------------------


@TRANSCRIBING
class TestByTwilio:
    def heard(self, office: Office, at_twilio: Recordings) -> None:
        office.call()
        at_twilio.add(office.form["CallSid"], office.recording)
        office.report()

    def test_the_words_come_later_and_the_mail_waits_for_them(
        self, office: Office, at_twilio: Recordings
    ) -> None:
        self.heard(office, at_twilio)
        office.work()
        assert [one["type"] for one in office.deliver()] == ["voicemail.received"]
        assert office.box.mails == []
        office.words()
        office.words("Something else")
        received, transcribed = office.deliver()
        assert transcribed["type"] == "voicemail.transcribed"
        assert transcribed["data"] == {
            "id": received["data"]["id"], "text": "Please call me.", "language": "en-US",
            "sequence": 2,
        }  # fmt: skip
        (mail,) = office.box.mails
        assert "Please call me." in mail.get_body().get_content()  # type: ignore[union-attr]

    def test_words_may_come_before_everything_else(
        self, office: Office, at_twilio: Recordings
    ) -> None:
        office.call()
        at_twilio.add(office.form["CallSid"], office.recording)
        office.words()
        office.work()
        assert [one["type"] for one in office.deliver()] == [
            "voicemail.received", "voicemail.transcribed",
        ]  # fmt: skip
        assert len(office.box.mails) == 1

    def test_who_waits_too_long_gets_two_mails(self, office: Office, at_twilio: Recordings) -> None:
        self.heard(office, at_twilio)
        office.work()
        office.work(minutes=6)
        office.deliver()
        assert len(office.box.mails) == 1
        office.words()
        office.deliver()
        assert [mail["Subject"].partition(" from")[0] for mail in office.box.mails] == [
            "Voice message", "What was said: voice message",
        ]  # fmt: skip

    def test_what_twilio_never_sends_it_is_asked(
        self, office: Office, at_twilio: Recordings
    ) -> None:
        self.heard(office, at_twilio)
        office.work()
        written = {"sid": sid("TR"), "status": "completed", "transcription_text": "Hello."}
        at_twilio.words[office.recording] = [written]
        office.work(minutes=6)
        assert office.voicemail.transcription == "Hello."

    @pytest.mark.parametrize("how", ["failed", "never"])
    def test_without_words_the_mail_goes(
        self, office: Office, at_twilio: Recordings, how: str
    ) -> None:
        self.heard(office, at_twilio)
        office.work()
        if how == "failed":
            office.words("", "failed")
        for _ in range(5):
            office.work(hours=2)
        assert [one["type"] for one in office.deliver()] == ["voicemail.received"]
        assert len(office.box.mails) == 1
        assert office.voicemail.check_at is None


@pytest.mark.settings(TRANSCRIBE_URL="http://engine")
@TRANSCRIBING
class TestByTheEngine:
    @pytest.fixture(autouse=True)
    def heard(self, office: Office, at_twilio: Recordings) -> None:
        record = office.call().find("Record")
        assert record is not None
        assert record.get("transcribe") is None
        at_twilio.add(office.form["CallSid"], office.recording)
        office.report()

    def test_it_is_given_the_sound_and_answers_with_the_words(
        self, office: Office, engine: Receiver
    ) -> None:
        said = {"text": "Bitte um Rückruf.\0", "language": "de-AT"}
        engine.behave(answering(body=json.dumps(said).encode()))
        office.work()
        (asked,) = engine.received
        assert asked.line == "POST /listen HTTP/1.1"
        assert asked.headers["content-type"] == "audio/mpeg"
        assert asked.headers["idempotency-key"] == office.voicemail.id
        assert asked.headers["authorization"] == "Basic ZGlzcGF0Y2g6cEBzcw=="  # dispatch:p@ss
        assert asked.headers["content-length"] == str(len(SOUND))
        kept = office.voicemail
        assert (kept.transcription, kept.language) == ("Bitte um Rückruf.", "de-AT")
        assert [one["type"] for one in office.deliver()] == [
            "voicemail.received", "voicemail.transcribed",
        ]  # fmt: skip
        assert len(office.box.mails) == 1

    @pytest.mark.parametrize(
        "trouble",
        [
            answering("503 Busy"), answering(body=b"words"), answering(body=b'{"text": 5}'),
            answering(body=b"[" * 100_000), answering(body=b'"' + b"x" * 300_000 + b'"'),
            answering("302 Found", headers={"Location": "http://127.0.0.1:1/"}), resetting(),
        ],
        ids=["503", "no JSON", "no text", "deep", "long", "elsewhere", "reset"],
    )  # fmt: skip
    def test_it_is_asked_again_with_the_same_id(
        self, office: Office, engine: Receiver, trouble: Any
    ) -> None:
        engine.behave(trouble)
        office.work()
        assert office.voicemail.transcription is None
        engine.behave(answering(body=b'{"text": "Hello."}'))
        office.work(minutes=1)
        assert office.voicemail.transcription == "Hello."
        assert len({one.headers["idempotency-key"] for one in engine.received}) == 1

    def test_what_it_will_never_understand_is_mailed_without_words(
        self, office: Office, engine: Receiver
    ) -> None:
        engine.behave(answering("422 No"))
        office.work()
        assert [one["type"] for one in office.deliver()] == ["voicemail.received"]
        assert len(office.box.mails) == 1

    def test_nothing_to_hear_is_an_empty_text(self, office: Office, engine: Receiver) -> None:
        engine.behave(answering("204 No Content"))
        office.work()
        assert office.deliver()[1]["data"]["text"] == ""


# --- in the conversation -------------------------------------------------------------------------


def test_a_message_waits_for_an_answer_in_the_conversation(
    office: Office, at_twilio: Recordings
) -> None:
    office.call()
    assert office.rows.one(Conversation).state is ConversationState.CLOSED  # a call does not wait
    at_twilio.add(office.form["CallSid"], office.recording)
    office.clock.shift(timedelta(seconds=30))
    office.report()
    office.work()
    talk, number = office.rows.one(Conversation), office.rows.one(Sender)
    assert (talk.state, talk.unread) == (ConversationState.WAITING, 1)
    assert talk.last_kind is EntryKind.VOICEMAIL
    with office.app.app_context():
        said = entries.between(db.session(), number, PHONE, START, talk)
    assert [one.kind for one in said] == [EntryKind.CALL, EntryKind.VOICEMAIL]
    assert said[1].media == (
        entries.File(f"{PUBLIC_BASE_URL}/media/{office.voicemail.media_code}", "audio/mpeg"),
    )


# --- how long it is kept -------------------------------------------------------------------------


def test_the_sound_goes_with_the_call_after_retention(
    office: Office, at_twilio: Recordings, client: FlaskClient
) -> None:
    office.call()
    at_twilio.add(office.form["CallSid"], office.recording)
    office.report()
    office.work()
    office.deliver()
    code = office.voicemail.media_code
    office.clock.shift(timedelta(days=46))
    assert client.get(f"/media/{code}").status_code == 404
    with office.app.app_context():
        retention.run()
    for model in (Voicemail, Media, Incoming, Delivery):
        assert office.rows.count(model) == 0, model.__name__


def test_codes_are_unguessable(office: Office, at_twilio: Recordings) -> None:
    office.call()
    at_twilio.add(office.form["CallSid"], office.recording)
    office.report()
    office.work()
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", office.voicemail.media_code or "")  # 128 bits
