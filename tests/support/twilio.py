"""Requests as Twilio sends them, signed by Twilio's own library and never by our code."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

from flask.testing import FlaskClient
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from tests.support.environment import PUBLIC_BASE_URL

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "12345678901234567890123456789012"

Parameters = Mapping[str, str] | Iterable[tuple[str, str]]


def signature(url: str, parameters: Parameters = (), token: str = AUTH_TOKEN) -> str:
    """Return X-Twilio-Signature for a form POST to the full `url`, query string included."""
    return str(RequestValidator(token).compute_signature(url, MultiDict(parameters)))


def signed(url: str, parameters: Parameters = (), token: str = AUTH_TOKEN) -> dict[str, str]:
    """Return the headers with which Twilio posts the form `parameters` to the full `url`."""
    return {
        "X-Twilio-Signature": signature(url, parameters, token),
        "User-Agent": "TwilioProxy/1.1",
        "I-Twilio-Idempotency-Token": secrets.token_hex(16),
    }


def sid(prefix: str) -> str:
    """Return a new SID: `SM`, `CA`, … and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


class Twilio:
    """Posts to the application under test as Twilio does."""

    def __init__(self, client: FlaskClient, base_url: str = PUBLIC_BASE_URL) -> None:
        self._client = client
        self._base_url = base_url

    def post(
        self, path: str, parameters: Parameters = (), token: str = AUTH_TOKEN, **headers: str
    ) -> TestResponse:
        """Post a signed form to `path`, which may carry a query string."""
        return self._client.post(
            path,
            data=MultiDict(parameters),
            headers={**signed(self._base_url + path, parameters, token), **headers},
        )

    def sms(self, **changes: str) -> TestResponse:
        """Post an incoming text; `changes` replace or add parameters."""
        return self.post("/inbound/sms", sms_parameters(**changes))

    def call(self, **changes: str) -> TestResponse:
        """Post an incoming call; `changes` replace or add parameters."""
        return self.post("/inbound/voice", call_parameters(**changes))


def sms_parameters(**changes: str) -> dict[str, str]:
    """Return the parameters of an incoming text as Twilio documents them ("Twilio's request")."""
    message = changes.get("MessageSid") or sid("SM")
    return {
        "MessageSid": message,
        "SmsSid": message,
        "SmsMessageSid": message,
        "AccountSid": ACCOUNT_SID,
        "From": "+13195550150",
        "To": "+13195550100",
        "Body": "Hello",
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
        "FromCity": "IOWA CITY",
        "FromState": "IA",
        "FromZip": "",
        "FromCountry": "US",
        **changes,
    }


def call_parameters(**changes: str) -> dict[str, str]:
    """Return the parameters of an incoming call as Twilio documents them ("Twilio's request")."""
    caller = changes.get("From", "+13195550150")
    called = changes.get("To", "+13195550100")
    return {
        "CallSid": sid("CA"),
        "AccountSid": ACCOUNT_SID,
        "From": caller,
        "To": called,
        "Caller": caller,
        "Called": called,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "ApiVersion": "2010-04-01",
        "CallerCountry": "US",
        **changes,
    }
