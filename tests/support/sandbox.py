"""For tests of the sandbox: a stub application, the SDK pointed at the sandbox, and waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import requests
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from werkzeug.datastructures import MultiDict

from sandbox.core import Sandbox

Reply = tuple[int, str, str]


@dataclass
class Request:
    """One request that the stub got."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    params: MultiDict[str, str]


@dataclass
class Stub:
    """An application under test's control: `on(path, …)` says what it answers."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: dict[str, Callable[[Request], Reply] | Reply] = field(default_factory=dict)

    def on(self, path: str, answer: Callable[[Request], Reply] | Reply | str) -> str:
        if isinstance(answer, str):
            answer = (200, "text/xml", answer)
        self.answers[path] = answer
        return self.url + path

    def at(self, path: str) -> list[Request]:
        return [r for r in list(self.requests) if r.path == path]


class StubHandler(BaseHTTPRequestHandler):
    stub: Stub

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        pairs = parse_qsl(body if body else parts.query, keep_blank_values=True)
        request = Request(
            self.command, parts.path, parts.query, dict(self.headers), MultiDict(pairs)
        )
        self.stub.requests.append(request)
        answer = self.stub.answers.get(parts.path, (200, "text/xml", "<Response/>"))
        status, kind, text = answer(request) if callable(answer) else answer
        data = text.encode()
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_HEAD = _serve

    def log_message(self, *args: Any) -> None:
        return


@dataclass
class Running:
    """A sandbox that listens, and ways to reach it."""

    box: Sandbox
    url: str

    def put(self, path: str, data: dict[str, Any]) -> Any:
        answer = requests.put(f"{self.url}/sandbox/{path}", json=data, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def post(self, path: str, data: dict[str, Any]) -> Any:
        answer = requests.post(f"{self.url}/sandbox/{path}", json=data, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return requests.get(f"{self.url}/sandbox/{path}", timeout=10).json()

    def text(self, body: str, to: str = "+13195550100", **more: Any) -> str:
        sent = self.post("texts", {"from": PERSON, "to": to, "body": body, "wait": True, **more})
        return str(sent["sid"])

    def bubbles(self, phone: str = "") -> list[dict[str, Any]]:
        return list(self.get(f"feed?phone={(phone or PERSON).replace('+', '%2B')}")["texts"])

    def client(self, username: str = "", password: str = "") -> Client:
        settings = self.box.settings
        user = username or settings.account_sid
        return Client(
            user, password or settings.auth_token, settings.account_sid,
            http_client=Rebased(self.url),
        )  # fmt: skip


class Rebased(TwilioHttpClient):
    """The SDK's HTTP client, pointed at another address."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=20)
        self._base = urlsplit(base)

    def request(self, method: str, url: str, *args: Any, **kw: Any) -> Any:  # type: ignore[override]
        parts = urlsplit(url)
        kw["headers"] = {**(kw.get("headers") or {}), "X-Original-Host": parts.netloc}
        rebased = (self._base.scheme, self._base.netloc, parts.path, parts.query, "")
        return super().request(method, urlunsplit(rebased), *args, **kw)


PERSON = "+13195550110"
DEMO = "+13195550100"


def eventually(check: Callable[[], Any], seconds: float = 8.0) -> Any:
    """Wait for another thread's work to show; the value of `check` once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value or time.monotonic() > deadline:
            assert value, "it did not happen in time"
            return value
        time.sleep(0.01)
