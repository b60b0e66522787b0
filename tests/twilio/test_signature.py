"""The check of X-Twilio-Signature: Twilio's published vectors, and its library as an oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator, get_signature_algorithm
from werkzeug.datastructures import MultiDict

from app.twilio import signature

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
HTTP_URL = "http://mycompany.com/myapp.php?foo=1&bar=2"
CALL = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
REPEATED = [
    ("Sid", "CA123"),
    ("SidAccount", "AC123"),
    ("Digits", "5678"),
    ("Digits", "1234"),
    ("Digits", "1234"),
]
JSON_BODY = b'{"property": "value", "boolean": true}'
JSON_URL = URL + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
SMS_URL = "https://example.com/sms"
WITH_PORT_1234 = "https://mycompany.com:1234/myapp.php?foo=1&bar=2"
HTTP_PORT_1234 = "http://mycompany.com:1234/myapp.php?foo=1&bar=2"

VECTORS = [
    pytest.param(URL, CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", id="https"),
    pytest.param(
        WITH_PORT_1234, CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", id="https, server sees port"
    ),
    pytest.param(URL, CALL, "kvajT1Ptam85bY51eRf/AJRuM3w=", id="https, signed with :443"),
    pytest.param(HTTP_URL, CALL, "0ZXoZLH/DfblKGATFgpif+LLRf4=", id="http, signed with :80"),
    pytest.param(HTTP_PORT_1234, CALL, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", id="http with :1234"),
    pytest.param(HTTP_URL, CALL, "OyGYPqTF6ztdbRNCvuQO/oPvqQ4=", id="http"),
    pytest.param(URL, [], "zYQTYrRWXE7LtzbG4PfP7/bkkGo=", id="GET"),
    pytest.param(URL, REPEATED, "IK+Dwps556ElfBT0I3Rgjkr1wJU=", id="repeated names and values"),
    pytest.param(URL, [*CALL, ("Body", "")], "6oT2GOm5KeUqfXDwvhq5UcH5LF0=", id="blank value"),
    pytest.param(
        SMS_URL,
        [("Body", "Grüße 👍"), ("From", "+13195550100")],
        "5Ey2msg3I3T0/ia9Th9rYkmspUA=",
        id="unicode",
    ),
    pytest.param(SMS_URL, [("Body", " STOP ")], "sOJjsUlrQQPm4PsU483iKnZpa1Q=", id="spaces kept"),
    pytest.param(SMS_URL, [("Body", "STOP")], "X9DjF5wjJrbUi/Rtei376/r43b8=", id="no spaces"),
]


def _library(url: str, pairs: list[tuple[str, str]], token: str = TOKEN) -> str:
    return str(RequestValidator(token).compute_signature(url, MultiDict(pairs)))


@pytest.mark.parametrize(("url", "params", "expected"), VECTORS)
def test_published_vectors_verify(url: str, params: list[tuple[str, str]], expected: str) -> None:
    assert signature.verify(url, params, expected, [TOKEN])


@pytest.mark.parametrize(("url", "params", "expected"), VECTORS)
def test_no_vector_verifies_with_anything_changed(
    url: str, params: list[tuple[str, str]], expected: str
) -> None:
    assert not signature.verify(url, params, expected, ["54321"])
    assert not signature.verify(url, [*params, ("Extra", "1")], expected, [TOKEN])
    assert not signature.verify(url + "/", params, expected, [TOKEN])
    assert not signature.verify(url, params, "B" + expected, [TOKEN])


def test_repeated_values_flattened_to_one_do_not_verify() -> None:
    wrong = "lwmwedXvBwAQyglWrAQmllAWLTQ="  # what a dictionary with single values computes
    assert not signature.verify(URL, REPEATED, wrong, [TOKEN])


class TestJsonBody:
    good = "a9nBmqA0ju/hNViExpshrM61xv4="

    def test_verifies_with_the_hash_in_the_url(self) -> None:
        assert signature.verify(JSON_URL, [], self.good, [TOKEN], JSON_BODY)

    def test_another_body_is_refused(self) -> None:
        assert not signature.verify(JSON_URL, [], self.good, [TOKEN], b'{"property": "other"}')

    def test_a_body_without_a_hash_is_refused(self) -> None:
        signed = _library(URL, [])
        assert signature.verify(URL, [], signed, [TOKEN])
        assert not signature.verify(URL, [], signed, [TOKEN], b"{}")

    def test_a_body_that_is_not_text_is_refused_quietly(self) -> None:
        assert not signature.verify(JSON_URL, [], self.good, [TOKEN], b"\xff\xfe\x00")


class TestTokens:
    def test_the_next_token_counts_during_a_rotation(self) -> None:
        signed = _library(URL, CALL, "next")
        assert signature.verify(URL, CALL, signed, [TOKEN, "next"])

    @pytest.mark.parametrize("tokens", [[], [""], ["", ""]], ids=["none", "blank", "two blanks"])
    def test_without_a_token_nothing_verifies(self, tokens: list[str]) -> None:
        signed_with_nothing = _library(URL, CALL, "")
        assert not signature.verify(URL, CALL, signed_with_nothing, tokens)


HOSTILE = [
    pytest.param(None, id="missing"),
    pytest.param("", id="empty"),
    pytest.param("é👍", id="not ASCII"),
    pytest.param("\udcff\udc80", id="undecodable bytes"),
    pytest.param("A" * 100_000, id="enormous"),
    pytest.param("\x00", id="NUL"),
]


@pytest.mark.parametrize("given_signature", HOSTILE)
def test_hostile_signatures_are_refused(given_signature: str | None) -> None:
    assert signature.verify(URL, CALL, given_signature, [TOKEN]) is False


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "https://",
        "https://[::1",
        "https://host:notaport/x",
        "https://h:99999/",
        "://",
    ],
)
def test_hostile_addresses_are_refused(url: str) -> None:
    assert signature.verify(url, CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", [TOKEN]) is False


@pytest.mark.parametrize(
    ("seen", "signed"),
    [
        ("https://u:p@host:8443/x", "https://u:p@host/x"),
        ("https://u:p@host/x", "https://u:p@host:443/x"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]/x"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]:443/x"),
        ("https://host/x?", "https://host/x?"),
        ("https://host/x?", "https://host/x"),
        ("https://host/x%2Fy?q=%c3%a9", "https://host/x%2Fy?q=%c3%a9"),
        ("https://host/x#rc=2&rp=all", "https://host/x"),
    ],
    ids=["credentials and port", "credentials", "IPv6 and port", "IPv6", "bare ?", "bare ? dropped",
         "query verbatim", "no fragment"],
)  # fmt: skip
def test_addresses_where_the_library_fails(seen: str, signed: str) -> None:
    assert signature.verify(seen, CALL, _library(signed, CALL), [TOKEN])


@pytest.mark.parametrize(
    ("base", "target", "expected"),
    [
        ("https://d.example.edu", "/inbound/sms?a=%2F", "https://d.example.edu/inbound/sms?a=%2F"),
        ("https://d.example.edu/", "/inbound/sms?", "https://d.example.edu/inbound/sms?"),
        (
            "https://d.example.edu",
            "http://evil.test/inbound/sms",
            "https://d.example.edu/inbound/sms",
        ),
        ("https://d.example.edu", "http://evil.test", "https://d.example.edu/"),
        ("https://d.example.edu", "/a?b=http://x/", "https://d.example.edu/a?b=http://x/"),
    ],
    ids=["verbatim", "bare ? kept", "absolute form", "absolute form without path", "URL in query"],
)
def test_the_signed_address_is_ours_and_undecoded(base: str, target: str, expected: str) -> None:
    assert signature.signed_url(base, target) == expected


names = st.text(st.characters(codec="utf-8"), max_size=12)
pairs = st.lists(st.tuples(names, names), max_size=8)
urls = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["example.com", "a.b.example.edu", "localhost"]),
    st.sampled_from(["", ":80", ":443", ":8080"]),
    st.sampled_from(["/", "/x", "/x?a=1&b=%20", "/x/?q=é", "/a%2Fb"]),
)


@given(urls, pairs, st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_agrees_with_twilios_library(url: str, params: list[tuple[str, str]], token: str) -> None:
    signed = _library(url, params, token)
    assert signature.compute(url, params, token) == signed
    assert signature.verify(url, params, signed, [token])
    assert RequestValidator(token).validate(
        url, MultiDict(params), signature.compute(url, params, token)
    )


@given(urls, pairs, pairs)
def test_refuses_what_twilios_library_refuses(
    url: str, signed_params: list[tuple[str, str]], sent: list[tuple[str, str]]
) -> None:
    signed = _library(url, signed_params)
    ours = signature.verify(url, sent, signed, [TOKEN])
    assert ours == RequestValidator(TOKEN).validate(url, MultiDict(sent), signed)


@given(st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=4), st.text(), st.binary())
def test_never_raises(url: str, params: list[tuple[str, str]], given_: str, body: bytes) -> None:
    assert signature.verify(url, params, given_, [TOKEN], body) is False


class TestSharedKeys:
    """Twilio's library since 9.13 is the oracle: the same string, the key's secret, SHA-256."""

    settings = "key=webhooks_sharedkey_01abc,algorithm=HMAC_SHA256"

    @staticmethod
    def signed(url: str, pairs: list[tuple[str, str]], secret: str = "shared") -> str:
        validator = RequestValidator(secret)
        return str(validator.compute_signature(url, MultiDict(pairs), "HMAC_SHA256"))

    @given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5), st.text())
    def test_as_twilios_library_signs(self, pairs: list[tuple[str, str]], secret: str) -> None:
        given = self.signed(URL, pairs, secret)
        assert signature.compute(URL, pairs, secret, self.settings) == given
        assert signature.verify(URL, pairs, given, [secret], settings=self.settings) is bool(secret)

    def test_of_json_too(self) -> None:
        given = self.signed(JSON_URL, [])
        verify = signature.verify
        assert verify(JSON_URL, [], given, ["shared"], JSON_BODY, self.settings)
        assert not verify(JSON_URL, [], given, ["shared"], b"{}", self.settings)

    @pytest.mark.parametrize(
        "settings",
        [None, "", "key=webhooks_sharedkey_01abc", "algorithm=HMAC_SHA1", "algorithm=HMAC_MD5",
         "algorithm=NONE", "algorithm=HMAC_SHA256x", "=HMAC_SHA256", ",,,=", "é" * 9999],
    )  # fmt: skip
    def test_another_algorithm_is_not_taken_for_it(self, settings: str | None) -> None:
        given = self.signed(URL, CALL)
        assert not signature.verify(URL, CALL, given, ["shared"], settings=settings)

    @pytest.mark.parametrize(
        "settings", ["algorithm=hmac_sha256,key=k", " key = k , algorithm = HMAC_SHA256 "]
    )
    def test_its_settings_are_read_as_the_library_reads_them(self, settings: str) -> None:
        assert get_signature_algorithm(settings).upper() == "HMAC_SHA256"
        given = self.signed(URL, CALL)
        assert signature.verify(URL, CALL, given, ["shared"], settings=settings)
