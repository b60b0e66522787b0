"""Fetching the files of an incoming message.

Twilio answers a media URL with a redirect to a storage host. Whoever knows an account's auth token
can sign a message that names any address as its file, one inside our own network too; so only
Twilio's own hosts are asked, they alone see the account's credentials, and only they may redirect.
Everything is bounded: size, time, redirects.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urljoin, urlsplit

if TYPE_CHECKING:
    from requests import Response

MAX_REDIRECTS: Final = 5
CHUNK: Final = 64 * 1024
TIMEOUT: Final = (5, 10)
"""Seconds to connect, and to wait between two packets."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class MediaUnavailable(Exception):
    """The file cannot be had; the message is a sentence. `gone`: trying again is no use."""

    def __init__(self, message: str, gone: bool) -> None:
        super().__init__(message)
        self.gone = gone


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file and its type as the server named it, in lower case and without parameters."""

    content: bytes
    content_type: str


def fetch_media(
    url: str,
    username: str,
    password: str,
    *,
    base_url: str | None = None,
    max_bytes: int = 5 * 1024 * 1024,
    deadline_seconds: float = 30,
) -> Fetched:
    """Return the file at `url`.

    `username` and `password` are shown to Twilio's hosts over https, and to `base_url` where that
    stands for Twilio, and to nobody else. Raises MediaUnavailable for a `url` that is not there,
    a file larger than `max_bytes`, one that takes longer than `deadline_seconds` in all, and every
    other failure.
    """
    if not is_twilio_url(url, base_url):
        raise MediaUnavailable("This file is not at Twilio, so it is not fetched.", gone=True)
    import requests
    from urllib3.exceptions import HTTPError

    from app.twilio.transport import transport

    sender = transport(base_url, TIMEOUT)
    deadline = time.monotonic() + deadline_seconds
    try:
        for _ in range(MAX_REDIRECTS + 1):
            parts = _checked(url)
            headers = {"Accept-Encoding": "identity"}
            if base_url and _is_twilio(parts):
                url, extra = sender.rebase(url)
                headers |= extra
                parts = urlsplit(url)
            trusted = _is_trusted(parts, base_url)
            left = _left(deadline)
            with sender.session.get(
                url,
                headers=headers,
                auth=(username, password) if trusted else None,
                timeout=(min(TIMEOUT[0], left), min(TIMEOUT[1], left)),
                stream=True,
                allow_redirects=False,
                proxies=sender.proxies_for(url),
            ) as answer:
                if answer.status_code not in _REDIRECTS:
                    return _read(answer, max_bytes, deadline)
                url = urljoin(url, answer.headers.get("Location", ""))
    except (requests.RequestException, HTTPError) as error:
        raise MediaUnavailable(f"The file could not be fetched: {error}.", gone=False) from error
    raise MediaUnavailable(f"The file's address redirects more than {MAX_REDIRECTS} times.", True)


def is_twilio_url(url: str, base_url: str | None = None) -> bool:
    """Tell whether `url` is at Twilio, or at `base_url` where that stands for Twilio."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return _is_twilio(parts) or (base_url is not None and _is_trusted(parts, base_url))


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise MediaUnavailable("The file's address is not valid.", gone=True) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise MediaUnavailable("The file's address does not begin with http.", gone=True)
    return parts


def _is_twilio(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return parts.scheme == "https" and (host == "twilio.com" or host.endswith(".twilio.com"))


def _is_trusted(parts: SplitResult, base_url: str | None) -> bool:
    """Tell whether the host may see the credentials; with a base address, only that one may."""
    if base_url is None:
        return _is_twilio(parts)
    base = urlsplit(base_url)
    return (parts.scheme, parts.netloc.rpartition("@")[2]) == (base.scheme, base.netloc)


def _left(deadline: float) -> float:
    """Return the seconds that are left; raise MediaUnavailable when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise MediaUnavailable("The file took too long to fetch.", gone=False)
    return left


def _read(answer: "Response", max_bytes: int, deadline: float) -> Fetched:
    status = answer.status_code
    if status != 200:
        gone = status in (400, 403, 404, 410)
        raise MediaUnavailable(f"The file could not be fetched: HTTP status {status}.", gone)
    content = bytearray()
    # read1 returns what has come; waiting for a full chunk would let a dripping server outlast us.
    while chunk := answer.raw.read1(CHUNK):
        content += chunk
        if len(content) > max_bytes:
            raise MediaUnavailable(f"The file is larger than {max_bytes:,} bytes.", gone=True)
        _left(deadline)
    content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Fetched(bytes(content), content_type or "application/octet-stream")
