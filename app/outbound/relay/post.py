"""A try by HTTP: signed JSON to a webhook, or a plain URL with what its placeholders stand for."""

from __future__ import annotations

import base64
import json
from datetime import datetime

from app.domain import plain_urls, urls
from app.domain.relaying import signing
from app.outbound.relay import schedule
from app.outbound.relay.letter import Letter
from app.outbound.relay.outcome import Attempted, explain_status
from app.outbound.relay.transport import Call, EndpointAnswer, Wire

MASK = "•••"


def post_signed(letter: Letter, now: datetime, agent: str, wire: Wire) -> Attempted:
    """POST the event to a webhook, signed with every secret that is valid now."""
    body = letter.body.encode()
    timestamp = int(now.timestamp())
    headers = {
        **_headers(letter, agent),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signing.sign(letter.secrets, letter.event_id, timestamp, body),
    }
    call = Call("POST", letter.url, headers, body)
    return _outcome(call, wire.send(call, letter.networks), now)


def call_plain(letter: Letter, now: datetime, agent: str, wire: Wire) -> Attempted:
    """Call a plain URL: unsigned, with the event's JSON when it is a POST."""
    data = json.loads(letter.body)["data"]
    try:
        url = plain_urls.fill(letter.url, data, letter.context.get("member"))
    except ValueError as error:
        return Attempted(letter.url, error="blocked", detail=str(error), permanent=True)
    headers = _headers(letter, agent)
    if letter.login is not None:
        if _origin(url) not in letter.origins:
            return Attempted(url, error="blocked", detail=_NOT_THERE.format(_origin(url) or url))
        user_and_password = ":".join(letter.login).encode()
        headers["Authorization"] = "Basic " + base64.b64encode(user_and_password).decode()
    body = letter.body.encode() if letter.method == "POST" else None
    if body is None:
        del headers["Content-Type"]
    call = Call(letter.method, url, headers, body)
    return _outcome(call, wire.send(call, letter.networks), now)


_NOT_THERE = (
    "The saved credential may not be sent to {}: an owner has to add that address to it first."
)


def _origin(url: str) -> str | None:
    try:
        return urls.origin(url)
    except ValueError:
        return None


def _headers(letter: Letter, agent: str) -> dict[str, str]:
    return {
        "User-Agent": agent,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "webhook-id": letter.event_id,
    }


def _outcome(call: Call, answer: EndpointAnswer, now: datetime) -> Attempted:
    outcome = Attempted(
        url=call.url,
        status=answer.status,
        error=answer.error,
        detail=answer.detail,
        address=answer.address,
        request_headers={name: _shown(name, value) for name, value in call.headers.items()},
        response_headers=answer.headers,
        response_body=answer.body if answer.status is not None else None,
        truncated=answer.truncated,
        duration_ms=answer.duration_ms,
    )
    if answer.status is not None and not 200 <= answer.status < 300:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        outcome.error = "http_status"
        outcome.detail = explain_status(answer.status, headers.get("location"))
        outcome.wait = schedule.retry_after(headers.get("retry-after"), now)
    return outcome


def _shown(name: str, value: str) -> str:
    """Return a header as the log keeps it: signatures and passwords are masked."""
    if name == "webhook-signature":
        return " ".join(f"v1,{MASK}" for _ in value.split())
    return f"Basic {MASK}" if name == "Authorization" else value
