"""Routes that carry one of our ids: an id that is not ours is let be, whatever it looks like."""

from __future__ import annotations

import pytest

from app.domain import metrics
from app.models.base import new_id
from app.models.number import Verification, VerificationState
from tests.support.inbound import Department
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, Twilio, sid

ROUTES = (
    "sms/status", "voice/status", "voice/answer", "voice/dialed", "voice/gathered",
    "voice/recorded", "voice/verification",
)  # fmt: skip


UNKNOWN = (
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "1",
    "A" * 3000,
    "01ARZ3NDEKTSV4RRFFQ69G5F%00",  # NUL, which PostgreSQL refuses
    "%F0%9F%98%80",
)


@pytest.mark.parametrize("route", ROUTES)
def test_an_unknown_id_is_let_be_and_counted(route: str, twilio: Twilio) -> None:
    for written in UNKNOWN:
        before = _counted()
        answer = twilio.post(f"/inbound/{route}/{written}", {"AccountSid": ACCOUNT_SID})
        assert (answer.status_code, answer.data) == (204, b"")
        assert _counted() == before + 1


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
