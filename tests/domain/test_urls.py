"""Which web addresses a client may write down: https, and for what we call ourselves, public."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from app.domain import urls

ALWAYS = {
    "https": "https://sis.example.edu/hooks?a=1#part",
    "https on its port": "https://sis.example.edu:443/",
    "a public address": "https://93.184.215.14/",
}
NEVER = {
    "http": ("http://sis.example.edu/", "must begin with https://"),
    "another scheme": ("ftp://sis.example.edu/", "must begin with https://"),
    "no scheme": ("sis.example.edu", "must begin with https://"),
    "no host": ("https:///hooks", "name a host"),
    "a log-in": ("https://user:secret@sis.example.edu/", "saved credential"),
    "a space": ("https://sis.example.edu/a b", "encoded"),
    "a new line": ("https://sis.example.edu/\nHost: x", "encoded"),
    "a backslash": ("https://sis.example.edu\\@evil.example.com/", "encoded"),
    "no port": ("https://sis.example.edu:port/", "cannot be read"),
    "half an address": ("https://[::1/", "cannot be read"),
    "too long": ("https://sis.example.edu/" + "x" * 2048, "too long"),
}
OURS = {
    "another port": ("https://sis.example.edu:8443/", "port 8443"),
    "loopback": ("https://127.0.0.1/", "private network"),
    "loopback by name": ("https://localhost/", "private network"),
    "loopback, IPv6": ("https://[::1]/", "private network"),
    "a campus": ("https://10.1.2.3/", "private network"),
    "cloud metadata": ("https://169.254.169.254/latest/", "private network"),
}


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Sis.Example.edu/x?y#z", "https://sis.example.edu"),
        ("HTTPS://sis.example.edu:443/", "https://sis.example.edu"),
        ("http://sis.example.edu:80", "http://sis.example.edu"),
        ("https://sis.example.edu:8443/", "https://sis.example.edu:8443"),
        ("https://user:pw@sis.example.edu/", "https://sis.example.edu"),
        ("https://[2001:DB8::1]/", "https://[2001:db8::1]"),
        ("https://straße.de/", "https://xn--strae-oqa.de"),
        ("https://sis.example.edu./", "https://sis.example.edu."),
        ("https://sis.example.edu/{{ batchId }}", "https://sis.example.edu"),
    ],
)
def test_an_origin_is_written_one_way(url: str, origin: str) -> None:
    assert urls.origin(url) == origin


@pytest.mark.parametrize("url", ["", "sis.example.edu", "ftp://x", "https://", "https://[::1"])
def test_what_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        urls.origin(url)


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


pytestmark = [pytest.mark.database("sqlite"), pytest.mark.usefixtures("context")]


@pytest.mark.parametrize("url", ALWAYS.values(), ids=ALWAYS)
def test_a_public_https_address_is_fine(url: str) -> None:
    assert urls.refusal(url) is None
    assert urls.refusal(url, called_by_us=True) is None


@pytest.mark.parametrize(("url", "words"), NEVER.values(), ids=NEVER)
def test_what_nobody_may_call(url: str, words: str) -> None:
    reason = urls.refusal(url) or ""
    assert words in reason
    assert "secret" not in reason


@pytest.mark.parametrize(("url", "words"), OURS.values(), ids=OURS)
def test_what_we_do_not_call_ourselves(url: str, words: str) -> None:
    assert words in (urls.refusal(url, called_by_us=True) or "")


@pytest.mark.settings(WEBHOOK_ALLOWED_NETWORKS="10.1.0.0/16,fd00::/8")
@pytest.mark.parametrize(
    "url",
    ["http://10.1.2.3:8080/", "https://10.1.2.3:8443/", "http://[fd00::1]:8080/",
     "http://sis.campus.example.edu:8080/"],
)  # fmt: skip
def test_allowed_networks_are_exempt_and_names_are_looked_up_when_called(url: str) -> None:
    assert urls.refusal(url, called_by_us=True) is None


@pytest.mark.settings(WEBHOOK_ALLOWED_NETWORKS="10.1.0.0/16")
@pytest.mark.parametrize("url", ["http://10.2.0.1/", "http://127.0.0.1/", "https://192.168.0.1/"])
def test_other_networks_are_not(url: str) -> None:
    assert urls.refusal(url, called_by_us=True)


@pytest.mark.settings(ENVIRONMENT="development")
def test_on_a_developers_machine_loopback_is_fine() -> None:
    assert urls.refusal("http://127.0.0.1:5001/hooks", called_by_us=True) is None
    assert urls.refusal("http://localhost:5001/hooks", called_by_us=True) is None
    assert urls.refusal("http://sis.example.edu/")
