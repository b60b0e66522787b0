"""Anything at all: never a traceback, never text/plain, and only Twilio's requests are stored."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.models.incoming import Incoming
from app.models.route import Destination, Handler
from app.twiml import voice
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.inbound import Department
from tests.support.rows import Rows
from tests.support.twilio import call_parameters, signed, sms_parameters

PATHS = [
    "/inbound/sms",
    "/inbound/voice",
    "/inbound/voice/status",
    "/inbound/voice/dialed/" + "0" * 26,
    "/inbound/voice/step/" + "0" * 26,
    "/inbound/sms/status/" + "0" * 26,
]
NAMES = sorted(
    {*sms_parameters(), *call_parameters()}
    | {"OptOutType", "MessagingServiceSid", "MediaUrl0", "MediaContentType0"}
    | {"CallDuration", "DialCallStatus", "ErrorCode", "ErrorUrl"}
)
TRACE = re.compile(r"Traceback|File \"|sqlalchemy|psycopg|Error:")

anything = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def is_proper(status: int, content_type: str | None, text: str) -> None:
    assert status in (200, 204, 400, 403, 404, 405, 413), text
    assert status == 204 or content_type in ("text/xml; charset=utf-8", "application/problem+json")
    assert not TRACE.search(text)


@pytest.fixture
def department(rows: Rows) -> Department:
    made = Department(rows)
    number = made.auto_reply("{{ From }} {{ Body }} {{ FromCity|default('') }}")
    made.route(number, Handler.CALL_FORWARD, Destination.VOICE, options={"to": "+13195550175"})
    return made


@anything
@given(
    path=st.sampled_from(PATHS),
    body=st.binary(max_size=400),
    kind=st.sampled_from(
        ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""]
    ),
    signature=st.none() | st.text(max_size=40),
)
def test_unsigned_bytes(
    path: str,
    body: bytes,
    kind: str,
    signature: str | None,
    department: Department,
    rows: Rows,
    client: FlaskClient,
) -> None:
    given_signature = (signature or "").encode().decode("latin-1")
    headers = (
        {} if signature is None else {"X-Twilio-Signature": re.sub(r"[\r\n]", "", given_signature)}
    )
    answer = client.post(path, data=body, content_type=kind, headers=headers)
    is_proper(answer.status_code, answer.content_type, answer.text)
    assert answer.status_code != 200 or answer.text == voice.apology()  # of an id that is not ours
    assert rows.count(Incoming) == 0


@anything
@given(
    path=st.sampled_from(PATHS),
    changes=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=20), st.text(max_size=200)),
    dropped=st.sets(st.sampled_from(NAMES), max_size=3),
)
def test_well_signed_nonsense(
    path: str,
    changes: dict[str, str],
    dropped: set[str],
    department: Department,
    client: FlaskClient,
) -> None:
    base = call_parameters() if "voice" in path else sms_parameters()
    form = {name: value for name, value in {**base, **changes}.items() if name not in dropped}
    headers = signed(PUBLIC_BASE_URL + path, form)
    answer = client.post(path, data=form, headers=headers)
    is_proper(answer.status_code, answer.content_type, answer.text)
    if not changes and not dropped:
        assert answer.status_code in (200, 204)


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "options", "head"])
@pytest.mark.parametrize("path", PATHS[:2])
def test_other_methods(method: str, path: str, client: FlaskClient) -> None:
    answer = getattr(client, method)(path)
    assert answer.mimetype != "text/plain"
    assert answer.status_code in (200 if method == "options" else 405,)
