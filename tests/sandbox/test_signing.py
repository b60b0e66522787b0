"""Signatures: vectors from the SDK's own tests and validator, and the SDK as an oracle."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from sandbox.signing import signature, signed_url

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        pytest.param(URL, PARAMS, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", id="documented"),
        pytest.param(
            URL.replace(".com", ".com:443"), PARAMS, "kvajT1Ptam85bY51eRf/AJRuM3w=", id="443"
        ),
        pytest.param(
            URL.replace("https", "http").replace(".com", ".com:80"),
            PARAMS,
            "0ZXoZLH/DfblKGATFgpif+LLRf4=",
            id="http-80",
        ),
        pytest.param(
            URL.replace("https", "http").replace(".com", ".com:1234"),
            PARAMS,
            "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
            id="http-1234",
        ),
        pytest.param(URL, [], "zYQTYrRWXE7LtzbG4PfP7/bkkGo=", id="get"),
        pytest.param(
            URL,
            [
                ("Sid", "CA123"),
                ("SidAccount", "AC123"),
                ("Digits", "5678"),
                ("Digits", "1234"),
                ("Digits", "1234"),
            ],
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            id="repeated-keys",
        ),
        pytest.param(URL, [*PARAMS, ("Body", "")], "6oT2GOm5KeUqfXDwvhq5UcH5LF0=", id="blank"),
        pytest.param(
            "https://example.com/sms",
            [("Body", "Grüße 👍"), ("From", "+13195550100")],
            "5Ey2msg3I3T0/ia9Th9rYkmspUA=",
            id="unicode",
        ),
    ],
)
def test_vectors(url: str, params: list[tuple[str, str]], expected: str) -> None:
    assert signature("12345", url, params) == expected


def test_https_is_signed_without_its_port_and_never_with_a_fragment() -> None:
    assert signed_url("https://h.example:8443/a?b=c#rc=2") == "https://h.example/a?b=c"
    assert signed_url("http://h.example:8080/a?b=c#rc=2") == "http://h.example:8080/a?b=c"
    assert signed_url("https://u:p@h.example:8443/a") == "https://u:p@h.example/a"


NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAMES, st.text(max_size=20)), max_size=8), st.text(max_size=12))
def test_the_sdk_accepts_every_signature(pairs: list[tuple[str, str]], token: str) -> None:
    url = "https://app.example.edu/inbound/sms?a=%20b"
    validator = RequestValidator(token)
    assert validator.validate(url, MultiDict(pairs), signature(token, url, pairs))
