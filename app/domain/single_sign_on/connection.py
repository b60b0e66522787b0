"""HTTP to a provider: short deadlines, small answers, no redirects, and a rest after a failure."""

from __future__ import annotations

import json
import time
from typing import Any

import requests
from authlib.integrations.requests_client import OAuth2Session

from app.domain.single_sign_on.failures import ProviderAway
from app.version import NAMED
from config import OidcProvider

CONNECT, READ, TOTAL = 3.0, 5.0, 8.0
"""Seconds to connect, to wait for anything at all, and for the whole answer."""
LARGEST = 1024 * 1024
"""Bytes of an answer: documents and keys of providers have some kilobytes."""
_PIECE = 64 * 1024


class Connection(OAuth2Session):  # type: ignore[misc]
    """A session of Authlib's that never waits long, and trusts nobody's redirect."""

    def __init__(self, provider: OidcProvider, **options: Any) -> None:
        super().__init__(
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            scope="openid email profile",
            code_challenge_method="S256",
            default_timeout=(CONNECT, READ),
            **options,
        )
        self.headers["User-Agent"] = NAMED
        self.headers["Accept"] = "application/json"
        self.headers["Accept-Encoding"] = "identity"

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Make a request; what it answers has been read when this returns.

        :raises requests.RequestException: when it cannot be made, or takes too long.
        """
        ends = time.monotonic() + TOTAL
        options |= {"allow_redirects": False, "stream": True}
        answer: requests.Response = super().request(method, url, **options)
        with answer:
            answer._content = _read(answer, ends)
        return answer


def _read(answer: requests.Response, ends: float) -> bytes:
    read = b""
    while piece := answer.raw.read1(_PIECE, decode_content=True):
        read += piece
        if len(read) > LARGEST:
            raise requests.exceptions.ContentDecodingError("the answer is too large")
        if time.monotonic() > ends:
            raise requests.exceptions.ReadTimeout("the answer comes too slowly")
    return read


def get_object(connection: Connection, provider: OidcProvider, url: str) -> dict[str, Any]:
    """Fetch a JSON object; where the session has a token, it is sent along.

    :raises ProviderAway: when there is none.
    """
    from urllib3.exceptions import HTTPError

    try:
        answer = connection.request("GET", url, withhold_token=not connection.token)
        if answer.status_code != requests.codes.ok:
            raise ProviderAway(provider.name, f"{url} answers with status {answer.status_code}")
        found = json.loads(answer.content)
    except (requests.RequestException, HTTPError, ValueError) as error:
        raise ProviderAway(provider.name, f"{url}: {error}") from error
    if not isinstance(found, dict):
        raise ProviderAway(provider.name, f"{url} answers with JSON that is no object")
    return found
