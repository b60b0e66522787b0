"""What the logs say, and what they never say."""

from __future__ import annotations

import pytest

from app.extensions import db
from tests.support.inbound import Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio


def test_a_failing_statement_is_logged_without_the_words_of_the_text(
    rows: Rows, twilio: Twilio, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    Department(rows).auto_reply("You said: {{ Body }}")
    rename = "ALTER TABLE incoming RENAME COLUMN {} TO {}"
    rows.change(db.text(rename.format("call_status", "was_call_status")))
    try:
        assert twilio.sms(Body="my test was positive").status_code == 503
    finally:  # other tests of this process have the same tables
        rows.change(db.text(rename.format("was_call_status", "call_status")))
    logged = capsys.readouterr().err + caplog.text
    assert "INSERT INTO incoming" in logged
    assert "positive" not in logged
