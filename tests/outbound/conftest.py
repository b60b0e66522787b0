from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_twilio import FakeTwilio


@pytest.fixture
def fake(twilio_port: int) -> Iterator[FakeTwilio]:
    with FakeTwilio(port=twilio_port) as twilio:
        yield twilio


@pytest.fixture
def environ(environ: dict[str, str], fake: FakeTwilio) -> dict[str, str]:
    """The application speaks to our Twilio instead of nowhere."""
    return {**environ, "TWILIO_API_BASE_URL": fake.url}
