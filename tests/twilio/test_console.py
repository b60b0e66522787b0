"""Where people find Twilio's own word on a text or a call."""

from __future__ import annotations

import pytest

from app.twilio.console import log_url


@pytest.mark.parametrize(
    ("sid", "address"),
    [
        ("SM" + "a" * 32, "https://www.twilio.com/console/sms/logs/SM" + "a" * 32),
        ("MM" + "a" * 32, "https://www.twilio.com/console/sms/logs/MM" + "a" * 32),
        ("CA" + "a" * 32, "https://www.twilio.com/console/voice/calls/logs/CA" + "a" * 32),
        ("PN" + "a" * 32, None),
        ("SM/../../", None),
        ("", None),
        (None, None),
    ],
)
def test_a_sid_leads_to_its_log(sid: str | None, address: str | None) -> None:
    assert log_url(sid) == address
