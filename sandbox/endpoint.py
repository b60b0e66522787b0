"""`/endpoint/<name>`: a client's system that shows what it was told and checks the signature."""

from __future__ import annotations

import base64
import time
from typing import Any

from flask import Flask, Response, request
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from .clock import iso8601, utcnow
from .core import Sandbox
from .rest.base import reply

MODES = ("200", "500", "slow", "hang", "410", "429")
SLOW_SECONDS = 5.0
HANG_SECONDS = 60.0
MAX_SHOWN = 64 * 1024


def verdict(secret: str, payload: bytes, headers: dict[str, str]) -> str:
    """`valid`, `unsigned`, or what is wrong; checked by the standardwebhooks library."""
    if "webhook-signature" not in headers:
        return "unsigned"
    try:
        Webhook(secret).verify(payload, headers)
    except (WebhookVerificationError, ValueError) as error:
        return f"invalid: {error}"
    return "valid"


def register(app: Flask, box: Sandbox) -> None:
    """Add the endpoint and its switches."""

    @app.route("/endpoint/<name>", methods=["GET", "POST"])
    @app.route("/endpoint/<name>/<path:rest>", methods=["GET", "POST"])
    def receive(name: str, rest: str = "") -> Response:
        headers = {key.lower(): value for key, value in request.headers.items()}
        payload = request.get_data()
        mode = box.faults.endpoints.get(name, "200")
        hit = _hit(box, name, rest, payload, headers, mode)
        box.store.hits.append(hit)
        box.store.touch()
        return _answer(mode)

    @app.put("/sandbox/endpoints/<name>")
    def switch(name: str) -> Response:
        """{"mode": one of 200, 500, slow, hang, 410, 429}."""
        data = request.get_json(silent=True) or {}
        if data.get("mode") not in MODES:
            return reply({"error": f"mode is one of {', '.join(MODES)}."}, 400)
        box.faults.endpoints[name] = str(data["mode"])
        box.store.touch()
        return reply({"name": name, "mode": data["mode"]})

    @app.get("/sandbox/endpoints/<name>")
    def received(name: str) -> Response:
        """What this endpoint received, newest first."""
        hits = [h for h in reversed(list(box.store.hits)) if h["name"] == name]
        return reply({"items": hits})

    @app.get("/sandbox/mails")
    def mails() -> Response:
        """The inbox of the SMTP sink, newest first."""
        return reply({"items": list(reversed(list(box.store.mails)))})


def _hit(
    box: Sandbox, name: str, rest: str, payload: bytes, headers: dict[str, str], mode: str
) -> dict[str, Any]:
    shown = ("webhook-id", "webhook-timestamp", "content-type", "user-agent", "authorization")
    try:
        body = payload[:MAX_SHOWN].decode()
    except UnicodeDecodeError:
        body = "base64:" + base64.b64encode(payload[:MAX_SHOWN]).decode()
    return {
        "name": name,
        "path": rest,
        "query": request.query_string.decode("ascii", "replace"),
        "method": request.method,
        "at": iso8601(utcnow()),
        "received": time.time(),
        "signature": verdict(box.settings.endpoint_secret, payload, headers),
        "headers": {key: headers[key] for key in shown if key in headers},
        "body": body,
        "answered": mode,
    }


def _answer(mode: str) -> Response:
    if mode == "slow":
        time.sleep(SLOW_SECONDS)
    if mode == "hang":
        time.sleep(HANG_SECONDS)
    if mode == "429":
        return Response("Too many requests.\n", 429, headers={"Retry-After": "30"})
    if mode in ("500", "410"):
        return Response(f"The endpoint is switched to {mode}.\n", int(mode), mimetype="text/plain")
    return Response(status=204)
