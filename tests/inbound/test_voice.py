"""Calls come in and are answered; whatever happens, the caller hears proper words."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from app.inbound import call_log, incoming_log, lookup
from app.models.incoming import Incoming, Outcome
from app.models.media import Media, MediaSource, Recording
from app.models.route import Destination, Handler, Route
from app.models.sender import SenderKind
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.inbound import NUMBER, PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio, call_parameters

DESK = "+13195550175"


def verbs(answer: TestResponse) -> list[ElementTree.Element]:
    assert answer.status_code == 200
    assert answer.mimetype == "text/xml"
    root = ElementTree.fromstring(answer.text)
    assert root.tag == "Response"
    return list(root)


def said(answer: TestResponse) -> str:
    return " ".join(verb.text or "" for verb in verbs(answer) if verb.tag == "Say")


def number_that(rows: Rows, handler: Handler, client: dict[str, Any] | None = None, **route: Any):
    department = Department(rows, **(client or {}))
    department.route(department.number(), handler, Destination.VOICE, **route)
    return department


class TestPlayMessage:
    def test_a_voice_says_it(self, rows: Rows, twilio: Twilio) -> None:
        options = {"say": "We are closed.", "voice": "Polly.Joanna", "language": "en-US", "loop": 2}
        number_that(rows, Handler.PLAY_MESSAGE, options=options)
        say = verbs(twilio.call())[0]
        assert (say.tag, say.text) == ("Say", "We are closed.")
        assert say.attrib == {"voice": "Polly.Joanna", "language": "en-US", "loop": "2"}
        call = rows.one(Incoming)
        assert (call.outcome, call.handler) == (Outcome.PLAYED, Handler.PLAY_MESSAGE)
        assert (call.from_, call.to, call.call_status) == (PHONE, NUMBER, "ringing")

    def test_a_recording_is_played(self, rows: Rows, twilio: Twilio, client: FlaskClient) -> None:
        department = Department(rows)
        media = Media(
            client_id=department.client.id,
            source=MediaSource.STORED,
            content_type="audio/mpeg",
            content=b"ID3 sound",
            size=9,
        )
        rows.add(media)
        recording = Recording(
            client_id=department.client.id, name="closed", media_code=media.code, sha256="0" * 64
        )
        rows.add(recording)
        department.route(
            department.number(), Handler.PLAY_MESSAGE, Destination.VOICE, recording_id=recording.id
        )
        play = verbs(twilio.call())[0]
        assert (play.tag, play.text) == ("Play", f"{PUBLIC_BASE_URL}/media/{media.code}")
        assert client.get(f"/media/{media.code}").data == b"ID3 sound"

    def test_a_file_elsewhere_is_played(self, rows: Rows, twilio: Twilio) -> None:
        url = "https://www.example.edu/closed.mp3"
        number_that(rows, Handler.PLAY_MESSAGE, options={"audio_url": url, "loop": 0})
        play = verbs(twilio.call())[0]
        assert (play.tag, play.text, play.get("loop")) == ("Play", url, "0")


class TestCallForward:
    def test_the_desk_rings(self, rows: Rows, twilio: Twilio) -> None:
        number_that(rows, Handler.CALL_FORWARD, options={"to": DESK, "timeout": 20})
        dial = verbs(twilio.call())[0]
        assert dial.tag == "Dial"
        assert dial.findtext("Number") == DESK
        assert dial.get("timeout") == "20"
        assert dial.get("callerId") is None  # Twilio shows the caller's own
        call = rows.one(Incoming)
        assert dial.get("action") == f"{PUBLIC_BASE_URL}/inbound/voice/dialed/{call.id}"
        assert call.outcome is Outcome.FORWARDED

    def test_the_number_may_be_shown(self, rows: Rows, twilio: Twilio) -> None:
        number_that(rows, Handler.CALL_FORWARD, options={"to": DESK, "caller_id": "number"})
        assert verbs(twilio.call())[0].get("callerId") == NUMBER

    @pytest.mark.parametrize(
        "caller",
        ["+266696687", "+7378742833", "+2562533", "+8656696", "anonymous", "", "sip:a@example.org"],
    )
    def test_who_hides_is_shown_as_the_number(
        self, caller: str, rows: Rows, twilio: Twilio
    ) -> None:
        number_that(rows, Handler.CALL_FORWARD, options={"to": DESK})
        assert verbs(twilio.call(From=caller))[0].get("callerId") == NUMBER

    @pytest.mark.parametrize(
        "to", ["911", "112", "+19005550100", "+442079460018", "+18765550100", "+13195550101", ""]
    )
    def test_what_may_not_be_called_is_refused_again(
        self, to: str, rows: Rows, twilio: Twilio
    ) -> None:
        department = number_that(rows, Handler.CALL_FORWARD, options={"to": to})
        department.number("+13195550101")
        answer = twilio.call()
        assert [verb.tag for verb in verbs(answer)] == ["Say", "Hangup"]
        call = rows.one(Incoming)
        assert (call.outcome, call.flagged) == (Outcome.FAILED, True)
        assert "not forwarded" in (call.error or "")

    def test_a_client_may_forward_abroad(self, rows: Rows, twilio: Twilio) -> None:
        number_that(
            rows,
            Handler.CALL_FORWARD,
            {"international": True},
            options={"to": "+442079460018"},
        )
        assert verbs(twilio.call())[0].tag == "Dial"

    def test_a_desk_that_the_institution_owns_may_be_called(
        self, rows: Rows, twilio: Twilio
    ) -> None:
        department = number_that(rows, Handler.CALL_FORWARD, options={"to": DESK})
        department._sender(DESK, SenderKind.VERIFIED)
        assert verbs(twilio.call())[0].tag == "Dial"


class TestDialed:
    """What Twilio asks when the forwarded call is over (Twilio, <Dial> action)."""

    @pytest.fixture
    def call(self, rows: Rows, twilio: Twilio) -> dict[str, str]:
        number_that(
            rows,
            Handler.CALL_FORWARD,
            options={"to": DESK, "no_answer_say": "Please write to us.", "voice": "alice"},
        )
        form = call_parameters()
        twilio.post("/inbound/voice", form)
        return form

    def path(self, rows: Rows) -> str:
        return f"/inbound/voice/dialed/{rows.one(Incoming).id}"

    @pytest.mark.parametrize("status", ["no-answer", "busy", "failed", "canceled"])
    def test_nobody_took_it(
        self, status: str, call: dict[str, str], rows: Rows, twilio: Twilio
    ) -> None:
        form = {**call, "DialCallStatus": status}
        answer = twilio.post(self.path(rows), form)
        assert said(answer) == "Please write to us."
        assert rows.one(Incoming).dial_status == status
        assert twilio.post(self.path(rows), form).text == answer.text

    def test_somebody_took_it(self, call: dict[str, str], rows: Rows, twilio: Twilio) -> None:
        answer = twilio.post(self.path(rows), {**call, "DialCallStatus": "completed"})
        assert [verb.tag for verb in verbs(answer)] == ["Hangup"]
        assert rows.one(Incoming).dial_status == "completed"

    def test_words_of_our_own_when_staff_chose_none(self, rows: Rows, twilio: Twilio) -> None:
        number_that(rows, Handler.CALL_FORWARD, options={"to": DESK})
        form = call_parameters()
        twilio.post("/inbound/voice", form)
        answer = twilio.post(self.path(rows), {**form, "DialCallStatus": "busy"})
        assert "Nobody can take your call" in said(answer)

    def test_what_was_chosen_when_the_call_came_holds_to_its_end(
        self, call: dict[str, str], rows: Rows, twilio: Twilio
    ) -> None:
        rows.change(delete(Route))
        answer = twilio.post(self.path(rows), {**call, "DialCallStatus": "busy"})
        assert said(answer) == "Please write to us."

    @pytest.mark.parametrize(
        "change",
        [
            {"AccountSid": "AC" + "e" * 32},
            {"CallSid": "CA" + "e" * 32},
            {"From": "+13195550199"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_it_has_to_be_about_this_call(
        self, change: dict[str, str], call: dict[str, str], rows: Rows, twilio: Twilio
    ) -> None:
        form = {**call, "DialCallStatus": "completed", **change}
        assert twilio.post(self.path(rows), form).status_code == 403
        assert rows.one(Incoming).dial_status is None

    def test_signed_by_its_account(self, call: dict[str, str], rows: Rows, twilio: Twilio) -> None:
        form = {**call, "DialCallStatus": "completed"}
        assert twilio.post(self.path(rows), form, token="another").status_code == 403


def test_handle_yourself_sends_twilio_on(rows: Rows, twilio: Twilio) -> None:
    url = "https://ivr.example.edu/answer?x=1&y=2"
    number_that(rows, Handler.HANDLE_YOURSELF, url=url)
    redirect = verbs(twilio.call())[0]
    assert (redirect.tag, redirect.text) == ("Redirect", url)


@pytest.mark.parametrize(
    ("enabled", "outcome"), [(True, Outcome.NO_ROUTE), (False, Outcome.NOT_ENABLED)]
)
def test_what_is_not_set_up_says_a_neutral_sentence(
    enabled: bool, outcome: Outcome, rows: Rows, twilio: Twilio
) -> None:
    Department(rows, twilio_enabled=enabled).number()
    assert "does not take calls" in said(twilio.call())
    assert rows.one(Incoming).outcome is outcome


def test_a_repeat_gets_the_same_answer(rows: Rows, twilio: Twilio) -> None:
    number_that(rows, Handler.CALL_FORWARD, options={"to": DESK})
    form = call_parameters()
    first = twilio.post("/inbound/voice", form)
    assert twilio.post("/inbound/voice", form).text == first.text
    assert rows.count(Incoming) == 1


@pytest.mark.parametrize(
    ("code", "url", "same"),
    [
        ("11200", f"{PUBLIC_BASE_URL}/inbound/voice", True),
        ("11200", "https://ivr.example.edu/answer", False),
        ("12100", f"{PUBLIC_BASE_URL}/inbound/voice", False),
        ("13520", f"{PUBLIC_BASE_URL}/inbound/voice", False),
    ],
    ids=["it never came", "the client's URL failed", "unreadable", "it could not be said"],
)
def test_the_fallback_url_does_not_fail_in_the_same_way(
    code: str, url: str, same: bool, rows: Rows, twilio: Twilio
) -> None:
    number_that(rows, Handler.PLAY_MESSAGE, options={"say": "We are closed."})
    form = call_parameters()
    first = twilio.post("/inbound/voice", form)
    again = twilio.post("/inbound/voice", {**form, "ErrorCode": code, "ErrorUrl": url})
    assert (again.text == first.text) is same
    assert same or "We are sorry" in said(again)


@pytest.mark.parametrize(
    "caller",
    [
        "",
        "anonymous",
        "+266696687",
        "sip:" + "x" * 300 + "@example.org",
        "client:joe",
        "9" * 70,
        "Ünï<&>",
        "\x07",
    ],
)
def test_odd_callers_break_nothing(caller: str, rows: Rows, twilio: Twilio) -> None:
    number_that(rows, Handler.PLAY_MESSAGE, options={"say": "Hello."})
    assert said(twilio.call(From=caller)) == "Hello."
    assert rows.one(Incoming).from_ == caller.strip()[:64]


def test_a_caller_without_any_from(rows: Rows, twilio: Twilio) -> None:
    number_that(rows, Handler.PLAY_MESSAGE, options={"say": "Hello."})
    form = call_parameters()
    del form["From"], form["Caller"]
    assert said(twilio.post("/inbound/voice", form)) == "Hello."


@pytest.mark.parametrize("what", ["database", "bug"])
@pytest.mark.parametrize(
    "where", [(lookup, "for_call"), (incoming_log, "store")], ids=["find", "store"]
)
def test_any_failure_of_ours_speaks_an_apology(
    what: str,
    where: tuple[Any, str],
    rows: Rows,
    twilio: Twilio,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number_that(rows, Handler.PLAY_MESSAGE, options={"say": "Hello."})
    error = RuntimeError if what == "bug" else lambda: OperationalError("", {}, Exception("gone"))

    def fail(*_: object, **__: object) -> None:
        raise error()

    monkeypatch.setattr(*where, fail)
    assert "We are sorry" in said(twilio.call())


def test_a_route_that_lost_its_words_says_a_neutral_sentence(rows: Rows, twilio: Twilio) -> None:
    number_that(rows, Handler.PLAY_MESSAGE, options={})
    assert "does not take calls" in said(twilio.call())
    assert rows.one(Incoming).flagged


class TestStatus:
    """The number's status callback: how a call went on (Twilio, call status)."""

    @pytest.fixture
    def call(self, rows: Rows, twilio: Twilio) -> dict[str, str]:
        number_that(rows, Handler.PLAY_MESSAGE, options={"say": "Hello."})
        form = call_parameters()
        twilio.post("/inbound/voice", form)
        return form

    def report(self, twilio: Twilio, call: dict[str, str], **changes: str) -> TestResponse:
        return twilio.post("/inbound/voice/status", {**call, **changes})

    @pytest.mark.parametrize("status", ["completed", "busy", "no-answer", "failed", "canceled"])
    def test_its_end_is_logged(
        self, status: str, call: dict[str, str], rows: Rows, twilio: Twilio
    ) -> None:
        answer = self.report(twilio, call, CallStatus=status, CallDuration="17", Duration="1")
        assert (answer.status_code, answer.data) == (204, b"")
        logged = rows.one(Incoming)
        assert (logged.call_status, logged.call_duration) == (status, 17)
        assert logged.ended_at is not None

    def test_an_end_is_final(self, call: dict[str, str], rows: Rows, twilio: Twilio) -> None:
        self.report(twilio, call, CallStatus="in-progress")
        assert rows.one(Incoming).call_status == "in-progress"
        self.report(twilio, call, CallStatus="completed", CallDuration="17")
        self.report(twilio, call, CallStatus="in-progress")
        self.report(twilio, call, CallStatus="failed", CallDuration="0")
        logged = rows.one(Incoming)
        assert (logged.call_status, logged.call_duration) == ("completed", 17)

    @pytest.mark.parametrize("duration", ["", "x", "-1", "9" * 30])
    def test_an_odd_duration_is_left_out(
        self, duration: str, call: dict[str, str], rows: Rows, twilio: Twilio
    ) -> None:
        self.report(twilio, call, CallStatus="completed", CallDuration=duration)
        assert rows.one(Incoming).call_duration is None

    def test_of_a_call_that_we_do_not_know(self, call: dict[str, str], twilio: Twilio) -> None:
        assert self.report(twilio, call, CallSid="CA" + "e" * 32).status_code == 204

    def test_only_twilio_is_believed(
        self, call: dict[str, str], rows: Rows, twilio: Twilio
    ) -> None:
        form = {**call, "CallStatus": "completed"}
        for changes, token in (({}, "wrong"), ({"From": "+13195550199"}, None)):
            more = {"token": token} if token else {}
            answer = twilio.post("/inbound/voice/status", {**form, **changes}, **more)
            assert answer.status_code == 403
        assert rows.one(Incoming).ended_at is None

    def test_without_the_database_twilio_is_asked_to_come_again(
        self, call: dict[str, str], twilio: Twilio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OperationalError("", {}, Exception("gone"))

        monkeypatch.setattr(call_log, "logged_call", fail)
        assert self.report(twilio, call, CallStatus="completed").status_code == 503
