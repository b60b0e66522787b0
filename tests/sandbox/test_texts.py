"""A person texts a number: the request, the reply, keywords, fallbacks."""

from __future__ import annotations

import base64

import pytest
import requests
from twilio.request_validator import RequestValidator

from tests.support.sandbox import DEMO, PERSON, Running, Stub, eventually

SMS = "/inbound/sms"
HELLO = "<Response><Message>Hello</Message></Response>"

# Names by Twilio's documentation of the incoming message webhook.
ALWAYS = {
    "MessageSid", "SmsSid", "SmsMessageSid", "AccountSid", "From", "To", "Body", "NumMedia",
    "NumSegments", "SmsStatus", "ApiVersion", "FromCity", "FromState", "FromZip", "FromCountry",
    "ToCity", "ToState", "ToZip", "ToCountry",
}  # fmt: skip


def test_the_request_is_as_twilio_sends_it(running: Running, stub: Stub) -> None:
    sid = running.text("Hi")
    request = stub.at(SMS)[0]
    assert set(request.params) == ALWAYS
    assert request.params["MessageSid"] == request.params["SmsSid"] == sid
    assert (request.params["From"], request.params["To"]) == (PERSON, DEMO)
    assert request.params["NumMedia"] == "0"
    assert request.params["NumSegments"] == "1"
    assert request.headers["User-Agent"] == "TwilioProxy/1.1"
    assert len(request.headers["I-Twilio-Idempotency-Token"]) == 32
    validator = RequestValidator(running.box.settings.auth_token)
    signature = request.headers["X-Twilio-Signature"]
    assert validator.validate(stub.url + SMS, request.params, signature)


def test_the_reply_reaches_the_person_with_statuses(running: Running, stub: Stub) -> None:
    stub.on("/map.png", (200, "image/png", "picture"))
    stub.on(
        SMS,
        '<Response><Message action="/status/7"><Body>Hello &amp; bye</Body>'
        "<Media>/map.png</Media></Message></Response>",
    )
    running.text("Hi")
    bubble = running.bubbles()[-1]
    assert (bubble["body"], bubble["mine"]) == ("Hello & bye", False)
    assert bubble["media"][0]["url"] == stub.url + "/map.png"
    seen = eventually(lambda: len(stub.at("/status/7")) == 2 and stub.at("/status/7"))
    assert [r.params["MessageStatus"] for r in seen] == ["sent", "delivered"]
    assert seen[0].params["MessageSid"].startswith("MM")
    assert "ErrorCode" not in seen[0].params


@pytest.mark.parametrize(
    ("answer", "replies", "code"),
    [
        pytest.param((200, "text/xml", HELLO), ["Hello"], None, id="xml"),
        pytest.param((200, "text/html; charset=utf-8", HELLO), ["Hello"], None, id="flask-default"),
        pytest.param((200, "text/plain", "OK"), ["OK"], None, id="plain-text-is-sent"),
        pytest.param((200, "text/xml", "<Response/>"), [], None, id="empty"),
        pytest.param((204, "", ""), [], None, id="no-content"),
        pytest.param((200, "application/json", "{}"), [], 12300, id="json"),
        pytest.param((200, "", HELLO), [], 12300, id="no-type"),
        pytest.param(
            (200, "text/xml", "\n<?xml version='1.0'?><Response/>"), [], 12100, id="blank-first"
        ),
        pytest.param((200, "text/xml", "<Response><Message></Response>"), [], 12100, id="broken"),
        pytest.param((200, "text/xml", "<Reply/>"), [], 12102, id="root"),
        pytest.param(
            (200, "text/xml", f"<Response><message/>{HELLO[10:]}"), ["Hello"], 12200, id="case"
        ),
        pytest.param((200, "text/xml", "<Response><Message/></Response>"), [], 14103, id="no-body"),
        pytest.param(
            (200, "text/xml", f"<Response><Message>{'a' * 1601}</Message></Response>"), [], 14103,
            id="long",
        ),
        pytest.param((200, "text/xml", " " * 65537), [], 11750, id="too-large"),
        pytest.param((500, "text/html", "oops"), [], 11200, id="server-error"),
    ],
)  # fmt: skip
def test_answers(
    running: Running, stub: Stub, answer: object, replies: list[str], code: int
) -> None:
    running.box.store.numbers[DEMO].sms_fallback_url = ""
    running.box.store.numbers[DEMO].sms_url = stub.on(SMS, answer)  # type: ignore[arg-type]
    running.text("Hi")
    assert [b["body"] for b in running.bubbles() if not b["mine"]] == replies
    codes = [a["code"] for a in running.get("alerts")["items"]]
    assert codes == ([code] if code else [])


def test_the_fallback_hears_what_failed(running: Running, stub: Stub) -> None:
    number = running.box.store.numbers[DEMO]
    number.sms_url = stub.on("/first", (503, "text/html", "down")) + "#rc=2&rp=5xx"
    number.sms_fallback_url = stub.on("/second", HELLO)
    sid = running.text("Hi")
    assert [r.params["MessageSid"] for r in stub.at("/first")] == [sid] * 3
    tokens = {r.headers["I-Twilio-Idempotency-Token"] for r in stub.at("/first")}
    assert len(tokens) == 1
    second = stub.at("/second")[0]
    assert second.params["ErrorCode"] == "11200"
    assert second.params["ErrorUrl"] == stub.url + "/first"
    assert running.bubbles()[-1]["body"] == "Hello"


def test_only_connection_failures_are_retried_by_default(running: Running, stub: Stub) -> None:
    running.box.store.numbers[DEMO].sms_url = stub.on("/first", (503, "text/html", "down"))
    running.text("Hi")
    assert len(stub.at("/first")) == 1
    running.box.store.numbers[DEMO].sms_url = "http://127.0.0.1:9/nobody"
    running.text("Hi")
    errors = [e["error"] for e in running.get("exchanges")["items"] if e["url"].endswith("nobody")]
    assert len(errors) == 2
    assert errors[0].startswith("11202")


def test_the_log_keeps_what_came_while_the_app_was_down(running: Running) -> None:
    running.box.store.numbers[DEMO].sms_url = "http://127.0.0.1:9/nobody"
    running.box.store.numbers[DEMO].sms_fallback_url = ""
    sid = running.text("Hi")
    message = running.client().messages(sid).fetch()
    assert (message.direction, message.status, message.body) == ("inbound", "received", "Hi")


@pytest.mark.parametrize(
    ("to", "word", "automatic", "blocked"),
    [
        pytest.param(DEMO, " stop ", "You have successfully been unsubscribed", True, id="stop"),
        pytest.param(DEMO, "OPTOUT", "You have successfully been unsubscribed", True, id="optout"),
        pytest.param(DEMO, "stop please", "", False, id="two-words"),
        pytest.param(DEMO, "Help", "Reply STOP to unsubscribe.", False, id="help"),
        pytest.param("+18885550104", "STOP", "NETWORK MSG: You replied", True, id="toll-free"),
        pytest.param("31955", "STOP", "", False, id="short-code"),
    ],
)
def test_keywords(
    running: Running, stub: Stub, to: str, word: str, automatic: str, blocked: bool
) -> None:
    running.text(word, to)
    request = stub.at(SMS)[0]
    assert request.params["Body"] == word
    assert "OptOutType" not in request.params
    automatics = [b["body"] for b in running.bubbles() if b["automatic"]]
    assert [text[: len(automatic)] for text in automatics] == ([automatic] if automatic else [])
    assert (to, PERSON) in running.box.store.opted_out or not blocked


def test_a_reply_to_stop_fails_and_start_opens_again(running: Running, stub: Stub) -> None:
    stub.on(SMS, HELLO)
    running.text("STOP")
    assert [b["body"] for b in running.bubbles() if not b["mine"] and not b["automatic"]] == []
    assert running.get("alerts")["items"][0]["code"] == 21610
    running.text("START")
    assert running.bubbles()[-1]["body"] == "Hello"


def test_opt_out_type_only_with_advanced_opt_out(running: Running, stub: Stub) -> None:
    settings = running.box.settings
    running.text("STOP", "+13195550102")
    running.put(f"services/{settings.service_sid}", {"advanced_opt_out": True})
    running.text("START", "+13195550102")
    stopped, started = stub.at(SMS)
    assert "OptOutType" not in stopped.params
    assert started.params["OptOutType"] == "START"
    assert started.params["MessagingServiceSid"] == settings.service_sid


def test_pictures_come_over_two_hops(running: Running, stub: Stub) -> None:
    data = base64.b64encode(b"picture").decode()
    running.text("Look", media=[{"contentType": "image/png", "data": data}])
    params = stub.at(SMS)[0].params
    assert params["NumMedia"] == "1"
    assert params["MediaContentType0"] == "image/png"
    assert params["MessageSid"].startswith("MM")
    url, settings = params["MediaUrl0"], running.box.settings
    assert requests.get(url, timeout=5).status_code == 401
    auth = (settings.account_sid, settings.auth_token)
    hop = requests.get(url, auth=auth, allow_redirects=False, timeout=5)
    assert hop.status_code == 307
    storage = hop.headers["Location"]
    assert requests.get(storage, auth=auth, timeout=5).status_code == 400
    assert requests.get(storage, timeout=5).content == b"picture"
    media = running.client().messages(params["MessageSid"]).media.list()
    assert [m.content_type for m in media] == ["image/png"]


def test_a_service_has_its_own_inbound_url(running: Running, stub: Stub) -> None:
    service = running.box.store.services[running.box.settings.service_sid]
    service.inbound_request_url = stub.on("/service", HELLO)
    running.text("Hi", "+13195550102")
    assert len(stub.at("/service")) == 1
    assert not stub.at(SMS)
    service.inbound_request_url = None
    assert running.text("Hi", "+13195550102") == "None"
    service.use_inbound_webhook_on_number = True
    running.text("Hi", "+13195550102")
    assert len(stub.at(SMS)) == 1


def test_redirects_are_followed_and_bounded(running: Running, stub: Stub) -> None:
    stub.on(SMS, "<Response><Redirect>/again</Redirect></Response>")
    stub.on("/again", HELLO)
    running.text("Hi")
    assert running.bubbles()[-1]["body"] == "Hello"
    stub.on("/again", "<Response><Redirect>/again</Redirect></Response>")
    running.text("Hi")
    assert running.get("alerts")["items"][0]["code"] == 14106


def test_duplicate_and_dropped_answers(running: Running, stub: Stub) -> None:
    stub.on(SMS, HELLO)
    running.put("faults", {"webhooks": {"duplicate": 1}})
    sid = running.text("Hi")
    assert [r.params["MessageSid"] for r in stub.at(SMS)] == [sid, sid]
    assert len({r.headers["I-Twilio-Idempotency-Token"] for r in stub.at(SMS)}) == 1
    running.put("faults", {"webhooks": {"drop_answer": 1}})
    before = len(running.bubbles())
    running.text("Hi")
    assert len(running.bubbles()) == before + 1
