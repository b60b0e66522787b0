"""What is asked of Twilio about numbers, by the names and types of Twilio's own specification.

The tables are Twilio's: AvailablePhoneNumbers, IncomingPhoneNumbers, OutgoingCallerIds (API
2010-04-01) and Services, PhoneNumbers (Messaging v1).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskCliRunner

from app.models.client import Client
from app.models.sender import Sender, SenderKind
from app.twilio.transport import Transport
from tests.support.rows import Rows
from tests.support.sandbox import Running

URL = re.compile(r"https?://[^\s/]+/\S*")
METHOD = re.compile("GET|POST")
PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
NAME = re.compile(r".{1,64}")
FLAG = re.compile("true|false", re.IGNORECASE)
WHOLE = re.compile("[0-9]+")

AVAILABLE = {
    "AreaCode": WHOLE, "Contains": re.compile(r"[0-9*%+$]{2,16}"), "InLocality": NAME,
    "InRegion": NAME, "SmsEnabled": FLAG, "MmsEnabled": FLAG, "VoiceEnabled": FLAG,
    "PageSize": WHOLE,
}  # fmt: skip
NUMBER = {
    "FriendlyName": NAME, "SmsUrl": URL, "SmsMethod": METHOD, "SmsFallbackUrl": URL,
    "SmsFallbackMethod": METHOD, "VoiceUrl": URL, "VoiceMethod": METHOD, "VoiceFallbackUrl": URL,
    "VoiceFallbackMethod": METHOD, "StatusCallback": URL, "StatusCallbackMethod": METHOD,
    "SmsApplicationSid": re.compile("|AP[0-9a-f]{32}"), "TrunkSid": re.compile("|TK[0-9a-f]{32}"),
    "VoiceApplicationSid": re.compile("|AP[0-9a-f]{32}"),
}  # fmt: skip
SERVICE = {
    "FriendlyName": NAME, "InboundRequestUrl": URL, "InboundMethod": METHOD, "FallbackUrl": URL,
    "FallbackMethod": METHOD, "StatusCallback": URL, "UseInboundWebhookOnNumber": FLAG,
}  # fmt: skip
CALLER_ID = {
    "PhoneNumber": PHONE, "FriendlyName": NAME, "CallDelay": WHOLE, "Extension": WHOLE,
    "StatusCallback": URL, "StatusCallbackMethod": METHOD,
}  # fmt: skip
PAGE = {"PageSize": WHOLE, "PhoneNumber": PHONE}

ACCOUNT = "/2010-04-01/Accounts/AC[0-9a-f]{32}"
REQUESTS: list[tuple[str, str, dict[str, re.Pattern[str]], set[str]]] = [
    ("GET", f"{ACCOUNT}/AvailablePhoneNumbers/US/(Local|TollFree)\\.json", AVAILABLE, set()),
    (
        "POST", f"{ACCOUNT}/IncomingPhoneNumbers\\.json", {**NUMBER, "PhoneNumber": PHONE},
        {"PhoneNumber", "SmsUrl", "SmsFallbackUrl", "VoiceUrl", "VoiceFallbackUrl",
         "StatusCallback"},
    ),
    ("GET", f"{ACCOUNT}/IncomingPhoneNumbers\\.json", PAGE, set()),
    ("POST", f"{ACCOUNT}/IncomingPhoneNumbers/PN[0-9a-f]{{32}}\\.json", NUMBER, {"SmsUrl"}),
    ("DELETE", f"{ACCOUNT}/IncomingPhoneNumbers/PN[0-9a-f]{{32}}\\.json", {}, set()),
    ("POST", f"{ACCOUNT}/OutgoingCallerIds\\.json", CALLER_ID, {"PhoneNumber", "StatusCallback"}),
    (
        "POST", "/v1/Services", SERVICE,
        {"FriendlyName", "InboundRequestUrl", "FallbackUrl", "UseInboundWebhookOnNumber"},
    ),
    ("GET", "/v1/Services", PAGE, set()),
    (
        "POST", "/v1/Services/MG[0-9a-f]{32}/PhoneNumbers",
        {"PhoneNumberSid": re.compile("PN[0-9a-f]{32}")}, {"PhoneNumberSid"},
    ),
    ("GET", "/v1/Services/MG[0-9a-f]{32}/PhoneNumbers", PAGE, set()),
]  # fmt: skip
"""Method, path, what may be given, and what we must give."""


def test_every_request_is_one_of_twilios(
    flask_command: FlaskCliRunner, registrar: Client, rows: Rows, box: Running, live: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: list[tuple[str, str, dict[str, Any]]] = []
    request = Transport.request

    def noting(self: Transport, method: str, url: str, **more: Any) -> Any:
        given = {**(more.get("params") or {}), **(more.get("data") or {})}
        seen.append((method.upper(), urlsplit(url).path, given))
        return request(self, method, url, **more)

    monkeypatch.setattr(Transport, "request", noting)

    def run(*arguments: str) -> str:
        return flask_command.invoke(args=["numbers", *arguments]).output

    phone = run("search", "registrar").split()[0]
    run("search", "registrar", "--toll-free", "--can", "mms")
    run("buy", "registrar", phone)
    run("service", "registrar", "outreach", "--add", phone)
    (number,) = [one for one in rows.all(Sender) if one.kind is SenderKind.TWILIO]
    assert number.twilio_sid is not None
    box.client().incoming_phone_numbers(number.twilio_sid).update(sms_url="", sms_fallback_url="")
    run("audit")
    run("repair")
    run("verify", "registrar", "+13193350123", "--name", "Front desk", "--wait", "0")
    run("release", "registrar", phone, "--confirm", phone)

    met = set()
    for method, path, given in seen:
        (place,) = [
            index
            for index, (verb, pattern, _, _) in enumerate(REQUESTS)
            if verb == method and re.fullmatch(pattern, path)
        ] or [None]
        assert place is not None, f"{method} {path} is no request of Twilio's that we need"
        met.add(place)
        _, _, may, must = REQUESTS[place]
        assert must <= given.keys() <= may.keys(), (method, path, given)
        for name, value in given.items():
            assert may[name].fullmatch(str(value)), (method, path, name, value)
    assert met == set(range(len(REQUESTS)))
