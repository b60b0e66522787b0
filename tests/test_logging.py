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
    rows.change(db.text("ALTER TABLE incoming RENAME COLUMN call_status TO was_call_status"))
    assert twilio.sms(Body="my test was positive").status_code == 503
    logged = capsys.readouterr().err + caplog.text
    assert "INSERT INTO incoming" in logged
    assert "positive" not in logged
