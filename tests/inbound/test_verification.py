"""Only Twilio is believed, and only about numbers of the account that signed."""

from __future__ import annotations

import hashlib
import json

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from app.models.credential import Credential
from app.models.incoming import Incoming
from app.models.message import Message
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.inbound import Department
from tests.support.rows import Rows
from tests.support.twilio import (
    AUTH_TOKEN,
    Twilio,
    call_parameters,
    signature,
    signed,
    sms_parameters,
)

OTHER_ACCOUNT = "AC" + "f" * 32
OTHER_TOKEN = "another-token-another-token-anot"
PATHS = {"/inbound/sms": sms_parameters, "/inbound/voice": call_parameters}
each_path = pytest.mark.parametrize("path", PATHS, ids=["text", "call"])


def nothing_stored(rows: Rows) -> bool:
    return rows.count(Incoming) == 0 and rows.count(Message) == 0


@each_path
def test_without_a_signature_nothing_is_stored(path: str, rows: Rows, client: FlaskClient) -> None:
    Department(rows).auto_reply()
    answer = client.post(path, data=PATHS[path]())
    assert answer.status_code == 403
    assert answer.content_type == "application/problem+json"
    assert "X-Twilio-Signature" in answer.json["detail"]
    assert nothing_stored(rows)


@each_path
@pytest.mark.parametrize(
    "given",
    ["", "x", "kvajT1Ptam85bY51eRf/AJRuM3w=", "é", "a" * 5000],
    ids=["blank", "one letter", "of another request", "not ASCII", "long"],
)
def test_a_wrong_signature_is_refused(
    path: str, given: str, rows: Rows, client: FlaskClient
) -> None:
    Department(rows).auto_reply()
    headers = {"X-Twilio-Signature": given.encode().decode("latin-1")}
    answer = client.post(path, data=PATHS[path](), headers=headers)
    assert answer.status_code == 403
    assert nothing_stored(rows)


@each_path
def test_a_foreign_signature_is_refused(path: str, rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    Department(rows, "library", OTHER_ACCOUNT, OTHER_TOKEN).auto_reply(address="+13195550101")
    assert twilio.post(path, PATHS[path](), token=OTHER_TOKEN).status_code == 403
    assert nothing_stored(rows)


@each_path
def test_one_clients_account_cannot_speak_of_anothers_number(
    path: str, rows: Rows, twilio: Twilio
) -> None:
    Department(rows).auto_reply()
    Department(rows, "library", OTHER_ACCOUNT, OTHER_TOKEN).auto_reply(address="+13195550101")
    forged = PATHS[path](AccountSid=OTHER_ACCOUNT)
    assert twilio.post(path, forged, token=OTHER_TOKEN).status_code == 403
    assert twilio.post(path, forged, token=AUTH_TOKEN).status_code == 403
    assert nothing_stored(rows)


@each_path
def test_the_next_token_is_accepted_during_a_rotation(
    path: str, rows: Rows, twilio: Twilio
) -> None:
    Department(rows, next_auth_token=OTHER_TOKEN).auto_reply()
    assert twilio.post(path, PATHS[path](), token=AUTH_TOKEN).status_code == 200
    assert twilio.post(path, PATHS[path](), token=OTHER_TOKEN).status_code == 200
    assert rows.count(Incoming) == 2


@each_path
@pytest.mark.parametrize(
    "target",
    ["?a=1&b=2", "?next=%2Fpath%3Fx%3D1", "?q=a%20b+c", "?a=2&a=1", "?", "?%zz", "?ü".encode()],
    ids=["query", "encoded", "spaces", "repeated", "bare", "malformed", "raw bytes"],
)
def test_the_query_string_is_signed_as_it_was_sent(
    path: str, target: str | bytes, rows: Rows, client: FlaskClient
) -> None:
    Department(rows).auto_reply()
    query = target.decode("latin-1") if isinstance(target, bytes) else target
    form = PATHS[path]()
    headers = signed(f"{PUBLIC_BASE_URL}{path}{query}", form)
    answer = client.post(
        path, data=form, headers=headers, environ_overrides={"RAW_URI": path + query}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("port", ["", ":443"])
def test_twilio_may_sign_with_or_without_the_port(
    port: str, rows: Rows, client: FlaskClient
) -> None:
    Department(rows).auto_reply()
    form = sms_parameters()
    headers = signed(f"{PUBLIC_BASE_URL}{port}/inbound/sms", form)
    assert client.post("/inbound/sms", data=form, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"Host": "evil.example.com"},
        {"X-Forwarded-Host": "evil.example.com"},
        {"X-Forwarded-Proto": "http"},
        {"X-Forwarded-Prefix": "/elsewhere"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_who_writes_the_host_header_changes_nothing(
    header: dict[str, str], rows: Rows, client: FlaskClient
) -> None:
    Department(rows).auto_reply()
    form = sms_parameters()
    headers = {**signed(f"{PUBLIC_BASE_URL}/inbound/sms", form), **header}
    assert client.post("/inbound/sms", data=form, headers=headers).status_code == 200


@pytest.mark.settings(PUBLIC_BASE_URL="https://dispatch.example.edu:8443/dispatch")
def test_the_public_address_may_have_a_port_and_a_path(rows: Rows, client: FlaskClient) -> None:
    Department(rows).auto_reply()
    form = sms_parameters()
    headers = signed("https://dispatch.example.edu:8443/dispatch/inbound/sms", form)
    assert client.post("/inbound/sms", data=form, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "more",
    [
        [("Extra", "1")],
        [("Body", "again")],
        [("Blank", "")],
        [("Ümlaut", "größe 👍")],
        [("Spaces", "  two  ")],
        [("Lines", "one\r\ntwo")],
        [("X", "b"), ("X", "a"), ("X", "b")],
    ],
    ids=["unknown", "repeated", "blank", "not ASCII", "spaces", "lines", "many"],
)
def test_what_twilio_adds_is_part_of_the_signature(
    more: list[tuple[str, str]], rows: Rows, client: FlaskClient
) -> None:
    Department(rows).auto_reply()
    form = MultiDict([*sms_parameters().items(), *more])
    url = f"{PUBLIC_BASE_URL}/inbound/sms"
    oracle = RequestValidator(AUTH_TOKEN).compute_signature(url, form)
    answer = client.post("/inbound/sms", data=form, headers={"X-Twilio-Signature": oracle})
    assert answer.status_code == 200
    changed = MultiDict([*form.items(multi=True), ("Forged", "1")])
    answer = client.post("/inbound/sms", data=changed, headers={"X-Twilio-Signature": oracle})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("/inbound/sms", "MessageSid"),
        ("/inbound/sms", "AccountSid"),
        ("/inbound/sms", "From"),
        ("/inbound/sms", "To"),
        ("/inbound/voice", "CallSid"),
        ("/inbound/voice", "AccountSid"),
        ("/inbound/voice", "To"),
    ],
)
@pytest.mark.parametrize("blank", [False, True], ids=["absent", "blank"])
def test_a_missing_field_is_named(
    path: str, missing: str, blank: bool, rows: Rows, twilio: Twilio
) -> None:
    Department(rows).auto_reply()
    form = {name: value for name, value in PATHS[path]().items() if name != missing}
    if blank:
        form[missing] = ""
    answer = twilio.post(path, form)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert f"{missing} is missing" in answer.json["detail"]
    assert nothing_stored(rows)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MessageSid", "SM123"),
        ("MessageSid", "CA" + "0" * 32),
        ("MessageSid", "SM" + "g" * 32),
        ("MessageSid", "SM" + "0" * 32 + "\n"),
        ("AccountSid", "SK" + "0" * 32),
        ("From", "+1" * 40),
        ("From", "+1319\x00555"),
        ("NumMedia", "many"),
        ("NumMedia", "-1"),
        ("NumMedia", "1e9"),
    ],
)
def test_a_malformed_field_is_named(name: str, value: str, rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    form = {**sms_parameters(), name: value}
    answer = twilio.post("/inbound/sms", form)
    if name == "From" and "\x00" in value:  # NUL is dropped: no database stores it
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    assert name in answer.json["detail"]
    assert nothing_stored(rows)


def test_everything_that_is_wrong_is_said_at_once(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    form = sms_parameters(MessageSid="1", From="", NumMedia="x")
    detail = twilio.post("/inbound/sms", form).json["detail"]
    for name in ("MessageSid", "From", "NumMedia"):
        assert name in detail


def test_what_is_neither_form_nor_json_is_refused(rows: Rows, client: FlaskClient) -> None:
    Department(rows).auto_reply()
    answer = client.post(
        "/inbound/sms", data="<To/>", content_type="text/xml", headers={"X-Twilio-Signature": "x"}
    )
    assert answer.status_code == 400
    assert "application/x-www-form-urlencoded" in answer.json["detail"]


def test_only_post_is_answered(client: FlaskClient) -> None:
    answer = client.get("/inbound/sms", query_string=sms_parameters())
    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")


def test_a_huge_request_is_refused(rows: Rows, client: FlaskClient) -> None:
    Department(rows).auto_reply()
    form = sms_parameters(Body="x" * 300_000)
    headers = signed(f"{PUBLIC_BASE_URL}/inbound/sms", form)
    answer = client.post("/inbound/sms", data=form, headers=headers)
    assert (answer.status_code, answer.content_type) == (413, "application/problem+json")
    assert nothing_stored(rows)


def test_a_number_that_we_do_not_have_gets_an_empty_answer(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    answer = twilio.sms(To="+13195550177")
    assert answer.status_code == 200
    assert answer.content_type == "text/xml; charset=utf-8"
    assert answer.text.endswith("<Response />")
    assert nothing_stored(rows)


def test_a_caller_of_such_a_number_hears_an_apology(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    answer = twilio.call(To="+13195550177")
    assert answer.status_code == 200
    assert "We are sorry" in answer.text


def test_a_number_of_nobody_needs_a_signature_all_the_same(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    form = sms_parameters(To="+13195550177")
    assert twilio.post("/inbound/sms", form, token=OTHER_TOKEN).status_code == 403


def test_the_oracle_and_the_harness_agree() -> None:
    form = sms_parameters()
    url = f"{PUBLIC_BASE_URL}/inbound/sms"
    assert RequestValidator(AUTH_TOKEN).validate(url, form, signature(url, form))


@pytest.mark.parametrize(
    "form",
    [
        {"ApiVersion": "2010-04-01BodySTOP", "Body": None},
        {"ApiVersion": "2010-04-01BodySTOP", "Body": None, "NumMedia": None},
        {"Body": None, "NumMedia": None},
        {"NumMedi": "a0", "NumMedia": None},
        {"NumMedia": None},
    ],
    ids=[
        "the word is cut away",
        "and the media",
        "neither was ever there",
        "the media are",
        "there never were any",
    ],
)
def test_a_text_without_its_words_is_malformed_however_well_signed(
    form: dict[str, str | None], rows: Rows, twilio: Twilio
) -> None:
    """Names and values are signed without delimiters by Twilio: a form cut anew verifies."""
    Department(rows).auto_reply()
    sent = {
        name: value for name, value in {**sms_parameters(), **form}.items() if value is not None
    }
    answer = twilio.post("/inbound/sms", sent)
    assert answer.status_code == 400
    gone = {"Body", "NumMedia"} - sent.keys()
    assert all(f"{name} is missing." in answer.json["detail"] for name in gone)
    assert nothing_stored(rows)


SHARED = {"X-Twilio-Webhooks-Signature-Settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}


def json_request(path: str, body: bytes, token: str = AUTH_TOKEN) -> tuple[str, dict[str, str]]:
    """Where Twilio posts JSON, with the hash of its body in the URL, and the headers."""
    target = f"{path}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    given = RequestValidator(token).compute_signature(PUBLIC_BASE_URL + target, {})
    return target, {"X-Twilio-Signature": given, "Content-Type": "application/json"}


@each_path
def test_json_is_understood_like_a_form(path: str, rows: Rows, client: FlaskClient) -> None:
    """Of a number, true and null too: a form would say them in words, or not at all."""
    Department(rows).auto_reply()
    said = {**PATHS[path](), "NumMedia": 0, "Flag": True, "Nothing": None, "More": {"a": [1]}}
    body = json.dumps(said).encode()
    target, headers = json_request(path, body)
    answer = client.post(target, data=body, headers=headers)
    assert answer.status_code == 200
    assert answer.mimetype == "text/xml"
    assert rows.one(Incoming).from_ == said["From"]


@each_path
@pytest.mark.parametrize("change", ["another body", "another signature", "no hash", "another hash"])
def test_json_that_was_changed_is_refused(
    path: str, change: str, rows: Rows, client: FlaskClient
) -> None:
    Department(rows).auto_reply()
    body = json.dumps(PATHS[path]()).encode()
    target, headers = json_request(path, body)
    if change == "another body":
        body = body.replace(b"+13195550150", b"+13195550151")
    elif change == "another signature":
        _, headers = json_request(path, body, OTHER_TOKEN)
    elif change == "no hash":
        target = path
        headers["X-Twilio-Signature"] = signature(PUBLIC_BASE_URL + path)
    else:
        target, headers = json_request(path, b"{}")
    assert client.post(target, data=body, headers=headers).status_code == 403
    assert nothing_stored(rows)


@each_path
@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b'"a"', b"\xff", b"[" * 100_000, b'{"To": "\\ud800"}'],
    ids=["no JSON", "a list", "null", "a text", "no UTF-8", "deep", "half a pair"],
)  # fmt: skip
def test_json_that_says_nothing_is_refused_in_words(
    path: str, body: bytes, rows: Rows, client: FlaskClient
) -> None:
    target, headers = json_request(path, body)
    answer = client.post(target, data=body, headers=headers)
    assert answer.status_code in (400, 403)
    assert answer.content_type == "application/problem+json"
    assert nothing_stored(rows)


@each_path
@pytest.mark.parametrize("key", ["webhook_key", "next_webhook_key"])
def test_a_shared_key_signs_for_the_numbers_of_its_credential(
    path: str, key: str, rows: Rows, twilio: Twilio, client: FlaskClient
) -> None:
    department = Department(rows)
    department.auto_reply()
    rows.change(update(Credential).values({key: "shared-key"}))
    form = PATHS[path]()
    given = RequestValidator("shared-key").compute_signature(
        PUBLIC_BASE_URL + path, form, "HMAC_SHA256"
    )
    answer = client.post(path, data=form, headers={"X-Twilio-Signature": given, **SHARED})
    assert answer.status_code == 200
    for header in ({}, {name: value.replace("256", "512") for name, value in SHARED.items()}):
        assert client.post(
            path, data=form, headers={"X-Twilio-Signature": given, **header}
        ).status_code == 403  # fmt: skip
    assert twilio.post(path, PATHS[path]()).status_code == 200  # the auth token still does
    foreign = PATHS[path](To="+13195550177")
    given = RequestValidator("shared-key").compute_signature(
        PUBLIC_BASE_URL + path, foreign, "HMAC_SHA256"
    )
    answer = client.post(path, data=foreign, headers={"X-Twilio-Signature": given, **SHARED})
    assert (
        answer.status_code == 403
    )  # nobody has proved the key: not for other numbers of the account
