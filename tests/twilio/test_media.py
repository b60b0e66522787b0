"""Files of incoming messages: who sees the credentials, and what is bounded."""

import time
from collections.abc import Iterator

import pytest

from app.twilio import media
from app.twilio.media import MediaUnavailable, fetch_media
from tests.twilio.fake_twilio import Server, serving

PATH = "/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1"


@pytest.fixture
def twilio() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    with serving() as one:
        one.answers(200, b"picture", Content_Type="image/PNG; charset=x")
        yield one


def fetch(url: str, twilio: Server, **more: float) -> media.Fetched:
    return fetch_media(url, "AC1", "token", base_url=twilio.url, **more)  # type: ignore[arg-type]


def test_credentials_stay_with_twilio_when_it_redirects(twilio: Server, elsewhere: Server) -> None:
    twilio.answers(307, b"", Location=f"{elsewhere.url}/store/1")
    fetched = fetch(f"{twilio.url}{PATH}", twilio)
    assert (fetched.content, fetched.content_type) == (b"picture", "image/png")
    assert "Authorization" in twilio.asked[0].headers
    assert "Authorization" not in elsewhere.asked[0].headers


def test_another_host_is_not_even_asked(twilio: Server, elsewhere: Server) -> None:
    with pytest.raises(MediaUnavailable, match="not at Twilio") as failed:
        fetch(f"{elsewhere.url}/latest/meta-data", twilio)
    assert failed.value.gone
    assert elsewhere.asked == []


def test_twilios_own_address_goes_to_the_base_address(twilio: Server) -> None:
    twilio.answers(200, b"x", Content_Type="text/vcard")
    fetch(f"https://api.twilio.com{PATH}", twilio)
    assert twilio.asked[0].path == PATH
    assert twilio.asked[0].headers["X-Original-Host"] == "api.twilio.com"


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://api.twilio.com/x", True),
        ("https://mms.twilio.com/x", True),
        ("http://api.twilio.com/x", False),
        ("https://twilio.com.evil.test/x", False),
        ("https://eviltwilio.com/x", False),
        ("https://api.twilio.com@evil.test/x", False),
        ("https://evil.test/https://api.twilio.com", False),
    ],
)
def test_who_is_twilio(url: str, trusted: bool) -> None:
    assert media._is_trusted(media._checked(url), None) is trusted


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "file:///etc/passwd", "nonsense", "http://", "http://[x"]
)
def test_an_address_that_is_none(url: str, twilio: Server) -> None:
    with pytest.raises(MediaUnavailable) as failed:
        fetch(url, twilio)
    assert failed.value.gone


def test_a_redirect_may_not_leave_http(twilio: Server) -> None:
    twilio.answers(302, b"", Location="file:///etc/passwd")
    with pytest.raises(MediaUnavailable):
        fetch(f"{twilio.url}/a", twilio)


def test_redirects_end(twilio: Server) -> None:
    twilio.answers(302, b"", Location="/again")
    with pytest.raises(MediaUnavailable, match="redirects more than 5 times"):
        fetch(f"{twilio.url}/a", twilio)
    assert len(twilio.asked) == 6


def test_size_is_bounded(twilio: Server) -> None:
    twilio.answers(200, b"x" * 1001)
    assert len(fetch(f"{twilio.url}/a", twilio, max_bytes=1001).content) == 1001
    with pytest.raises(MediaUnavailable, match="larger than 1,000 bytes"):
        fetch(f"{twilio.url}/a", twilio, max_bytes=1000)


@pytest.mark.parametrize(("status", "gone"), [(404, True), (410, True), (500, False), (503, False)])
def test_statuses(twilio: Server, status: int, gone: bool) -> None:
    twilio.answers(status, b"")
    with pytest.raises(MediaUnavailable) as failed:
        fetch(f"{twilio.url}/a", twilio)
    assert failed.value.gone is gone


def test_a_broken_answer_may_be_tried_again(twilio: Server) -> None:
    twilio.answers(200, b"x", Content_Length="10", Connection="close")
    with pytest.raises(MediaUnavailable) as failed:
        fetch(f"{twilio.url}/a", twilio)
    assert not failed.value.gone


def test_a_dripping_server_does_not_outlast_the_deadline(twilio: Server) -> None:
    twilio.drip = 0.05  # seconds between two bytes: 50 in all, were it waited for
    twilio.answers(200, b"x" * 1000)
    started = time.perf_counter()
    with pytest.raises(MediaUnavailable, match="too long") as failed:
        fetch(f"{twilio.url}/a", twilio, deadline_seconds=0.2)
    assert not failed.value.gone
    assert time.perf_counter() - started < 5


def test_nor_do_redirects_and_silence(twilio: Server) -> None:
    def slowly(_: object) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.3)
        return 302, {"Location": "/again"}, b""

    twilio.respond = slowly
    started = time.perf_counter()
    with pytest.raises(MediaUnavailable) as failed:
        fetch(f"{twilio.url}/a", twilio, deadline_seconds=0.5)
    assert not failed.value.gone
    assert time.perf_counter() - started < 3
    assert len(twilio.asked) == 2
