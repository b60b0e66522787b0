#!/usr/bin/env python3
"""Verify an event that Dispatch sends, by Standard Webhooks v1, without any package.

To try it with a request that arrived:

    WEBHOOK_SECRET=whsec_… python3 verify.py ID TIMESTAMP SIGNATURE < body
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time

TOLERANCE = 300  # seconds by which the sender's clock may differ


def verify(body, headers, secret, now=None):
    """Return the event, or raise ValueError. `headers` have lower-case names, `body` is bytes."""
    try:
        identifier = headers["webhook-id"]
        timestamp = headers["webhook-timestamp"]
        signatures = headers["webhook-signature"]
    except KeyError as missing:
        raise ValueError(f"the header {missing} is missing") from None
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise ValueError("the timestamp is no number")
    if abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE:
        raise ValueError("the timestamp is too old or too new")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{identifier}.{timestamp}.".encode() + body
    expected = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    # Several while a secret is being changed: one has to fit.
    if not any(hmac.compare_digest(expected, one.encode()) for one in signatures.split(" ")):
        raise ValueError("no signature fits")
    return json.loads(body)


if __name__ == "__main__":
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    try:
        given = dict(zip(names, sys.argv[1:], strict=False))
        event = verify(sys.stdin.buffer.read(), given, os.environ["WEBHOOK_SECRET"])
    except ValueError as error:
        sys.exit(f"refused: {error}")
    print(f"{event['type']} {given['webhook-id']}")
