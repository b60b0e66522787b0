"""Signatures of Standard Webhooks 1.0.0: ``v1``, HMAC-SHA256 over ``id.timestamp.body``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64


def new_secret() -> str:
    """Make a secret: ``whsec_`` and base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> None:
    """Check a secret that a client brings along.

    :raises ValueError: with a sentence, unless it is ``whsec_`` and base64 of 24 to 64 bytes.
    """
    try:
        key = _key(secret)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(
            f"A secret is {PREFIX} followed by base64 of {MIN_BYTES} to {MAX_BYTES} random bytes;"
            " leave it out to have one made."
        )


def sign(keys: Iterable[str], event_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``: one signature per secret, newest first.

    :param keys: the secrets; several while one replaces another.
    :param timestamp: when this try is made, in seconds since 1970.
    :param body: the exact bytes that are sent.
    """
    signed = f"{event_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(_key(key), signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
