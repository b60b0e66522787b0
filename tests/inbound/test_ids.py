"""Routes that carry one of our ids: an id that is not ours is let be, whatever it looks like."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain import metrics
from app.models.base import new_id
from app.models.incoming import Incoming
from app.models.number import Verification, VerificationState
from app.models.voicemail import Voicemail
from app.twiml import voice
from tests.support.inbound import Department
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, AUTH_TOKEN, Twilio, call_parameters, sid

REPORTS = (
    "sms/status/{}", "voice/status/{}", "voice/verification/{}",
    "voice/step/{}/recording", "voice/step/{}/transcription",
)  # fmt: skip
STEPS = ("voice/dialed/{}", "voice/step/{}?at=&step=chosen&turn=0", "voice/step/{}/recorded")
"""Where Twilio wants TwiML for somebody who called us."""
OURS = ("voice/answer/{}", "voice/gathered/{}", "voice/recorded/{}")
"""Where it wants TwiML for somebody whom we called."""

UNKNOWN = (
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "1",
    "A" * 3000,
    "01ARZ3NDEKTSV4RRFFQ69G5F%00",  # NUL, which PostgreSQL refuses
    "%F0%9F%98%80",
)


@pytest.mark.parametrize("route", REPORTS)
def test_a_report_of_an_unknown_id_is_let_be_and_counted(route: str, twilio: Twilio) -> None:
    for written in UNKNOWN:
        before = _counted()
        answer = twilio.post(f"/inbound/{route.format(written)}", {"AccountSid": ACCOUNT_SID})
        assert (answer.status_code, answer.data) == (204, b"")
        assert _counted() == before + 1


@pytest.mark.parametrize(
    ("route", "document"),
    [*((one, voice.apology()) for one in STEPS), *((one, voice.sorry()) for one in OURS)],
    ids=[*STEPS, *OURS],
)
def test_who_is_on_the_line_of_an_unknown_id_hears_an_apology(
    route: str, document: str, twilio: Twilio
) -> None:
    """Not 204: without a document Twilio says “application error” (errors 11200 and 12100)."""
    for written in UNKNOWN:
        before = _counted()
        answer = twilio.post(f"/inbound/{route.format(written)}", {"AccountSid": ACCOUNT_SID})
        assert (answer.status_code, answer.text) == (200, document)
        assert answer.content_type == "text/xml; charset=utf-8"
        assert _counted() == before + 1


def test_a_report_of_a_recording_of_an_unknown_id_is_let_be(twilio: Twilio) -> None:
    form = {"AccountSid": ACCOUNT_SID, "RecordingStatus": "completed"}
    answer = twilio.post(f"/inbound/voice/recorded/{UNKNOWN[0]}", form)
    assert (answer.status_code, answer.data) == (204, b"")


def test_each_address_at_which_a_call_goes_on_stands_here(app: Flask) -> None:
    with_id = {
        re.sub("<[^>]+>", "{}", rule.rule).removeprefix("/inbound/")
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/inbound/") and rule.arguments
    }
    assert with_id == {one.partition("?")[0] for one in (*REPORTS, *STEPS, *OURS)}


@pytest.mark.parametrize("route", STEPS)
@pytest.mark.parametrize(
    ("changes", "token"),
    [
        pytest.param({"CallSid": sid("CA")}, AUTH_TOKEN, id="another call"),
        pytest.param({"AccountSid": "AC" + "f" * 32}, AUTH_TOKEN, id="another account"),
        pytest.param({}, "another", id="another token"),
    ],
)
def test_another_call_than_the_ids_is_refused(
    changes: dict[str, str], token: str, route: str, rows: Rows, twilio: Twilio
) -> None:
    Department(rows).number()
    call = call_parameters()
    twilio.post("/inbound/voice", call)
    path = f"/inbound/{route.format(rows.one(Incoming).id)}"
    form = {**call, "DialCallStatus": "no-answer", "RecordingSid": sid("RE"), **changes}
    assert twilio.post(path, form, token).status_code == 403
    assert rows.one(select(Incoming.dial_status)) is None
    assert rows.one(select(Incoming.steps)) is None
    assert rows.count(Voicemail) == 0


@pytest.mark.parametrize("route", STEPS)
def test_a_call_that_is_over_is_answered_by_a_document(
    route: str, rows: Rows, twilio: Twilio
) -> None:
    """Twilio's last question may be on its way while it tells of the end."""
    Department(rows).number()
    call = call_parameters()
    twilio.post("/inbound/voice", call)
    twilio.post("/inbound/voice/status", {**call, "CallStatus": "completed", "CallDuration": "4"})
    answer = twilio.post(f"/inbound/{route.format(rows.one(Incoming).id)}", call)
    assert answer.status_code == 200
    assert ElementTree.fromstring(answer.text).tag == "Response"


def _counted() -> float:
    samples = (sample for family in metrics.unknown_ids.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))


class TestCallerIds:
    """Twilio tells what became of a verification (Twilio, OutgoingCallerIds)."""

    PHONE = "+13193350000"
    CALL = sid("CA")

    @pytest.fixture
    def verification(self, rows: Rows) -> Verification:
        department = Department(rows)
        made = Verification(
            id=new_id(),
            client_id=department.client.id,
            credential_id=department.credential.id,
            phone=self.PHONE,
            code="123456",
            call_sid=self.CALL,
            state=VerificationState.PENDING,
            started_by="support@example.edu",
        )
        rows.add(made)
        return made

    def report(self, twilio: Twilio, verification: Verification, **changes: str) -> int:
        parameters = {
            "AccountSid": ACCOUNT_SID,
            "CallSid": self.CALL,
            "To": self.PHONE,
            "Called": self.PHONE,
            "VerificationStatus": "success",
            "OutgoingCallerIdSid": sid("PN"),
            **changes,
        }
        kept = {name: value for name, value in parameters.items() if value}
        return twilio.post(f"/inbound/voice/verification/{verification.id}", kept).status_code

    def test_success_is_noted(self, verification: Verification, rows: Rows, twilio: Twilio) -> None:
        assert self.report(twilio, verification) == 204
        assert rows.one(Verification).state is VerificationState.SUCCESS

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"CallSid": sid("CA")}, id="another call"),
            pytest.param({"CallSid": ""}, id="no call"),
            pytest.param({"To": "+13193350001", "Called": "+13193350001"}, id="another phone"),
            pytest.param({"To": "", "Called": ""}, id="no phone"),
            pytest.param({"AccountSid": "AC" + "f" * 32}, id="another account"),
        ],
    )
    def test_what_is_not_about_this_one_is_refused(
        self, changes: dict[str, str], verification: Verification, rows: Rows, twilio: Twilio
    ) -> None:
        assert self.report(twilio, verification, **changes) == 403
        assert rows.one(Verification).state is VerificationState.PENDING
