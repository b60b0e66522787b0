"""Signatures of webhook requests, by Twilio's documentation 'Webhooks security'.

Written from the description, not from the SDK, so that each can be checked against the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

Params = Iterable[tuple[str, str]]


def signed_url(url: str) -> str:
    """The URL as it enters the signature: no fragment, and no port when it is https."""
    parts = urlsplit(url)
    host = parts.netloc
    if parts.scheme == "https" and parts.port is not None:
        host = host[: host.rindex(":")]
    return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))


def signature(token: str, url: str, params: Params = ()) -> str:
    """base64(HMAC-SHA1(token, url + sorted names and their sorted distinct values))."""
    values: dict[str, set[str]] = {}
    for name, value in params:
        values.setdefault(name, set()).add(value)
    text = url + "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
