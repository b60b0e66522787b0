"""Checked against the published example, and against the independent library."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from app.domain.relaying import signing

# The example of Standard Webhooks' documentation of its signature scheme.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example() -> None:
    assert signing.sign([SECRET], EVENT_ID, TIMESTAMP, BODY) == SIGNATURE


@given(body=st.text(), event=st.uuids())
def test_the_independent_library_accepts_what_we_sign(body: str, event: object) -> None:
    secret = signing.new_secret()
    now = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": f"msg_{event}",
        "webhook-timestamp": str(now),
    }
    data = json.dumps({"text": body}, ensure_ascii=False)
    headers["webhook-signature"] = signing.sign([secret], f"msg_{event}", now, data.encode())
    assert Webhook(secret).verify(data, headers) == {"text": body}


def test_during_a_rotation_either_secret_verifies() -> None:
    old, new, other = (signing.new_secret() for _ in range(3))
    now = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": EVENT_ID,
        "webhook-timestamp": str(now),
        "webhook-signature": signing.sign([new, old], EVENT_ID, now, b"{}"),
    }
    for secret in (old, new):
        assert Webhook(secret).verify("{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify("{}", headers)


def test_a_new_secret_holds_32_random_bytes() -> None:
    one, other = signing.new_secret(), signing.new_secret()
    assert one != other
    assert one.startswith("whsec_")
    assert len(base64.b64decode(one.removeprefix("whsec_"))) == 32
    signing.check_secret(one)


@pytest.mark.parametrize("length", [24, 64])
def test_secrets_of_24_to_64_bytes_are_taken(length: int) -> None:
    signing.check_secret("whsec_" + base64.b64encode(b"k" * length).decode())


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_not base64!",
        "whsec_" + base64.b64encode(b"k" * 23).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
        base64.b64encode(b"k" * 32).decode(),
    ],
    ids=["empty", "no key", "not base64", "too short", "too long", "no prefix"],
)
def test_other_secrets_are_refused_with_a_sentence(secret: str) -> None:
    with pytest.raises(ValueError, match="A secret is whsec_"):
        signing.check_secret(secret)
