"""A Twilio that takes texts after a while, or fails in every way there is; it notes all it took.

Deliberately not the sandbox: it knows nothing but the wire (Twilio's "Message resource" page).
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, formatdate
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Form = dict[str, str]
Plan = Callable[[Form, int], "Fault | None"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one create. `accepts`: whether Twilio has the text nevertheless."""

    kind: str
    """``status``, ``hang``, ``reset``."""
    accepts: bool = False
    status: int = 500
    code: int | None = None
    seconds: float = 30.0


TOO_MANY = Fault("status", status=429, code=20429)
FAILS_BEFORE = Fault("status", status=500)
FAILS_AFTER = Fault("status", accepts=True, status=500)
HANGS_AFTER = Fault("hang", accepts=True)
RESETS_BEFORE = Fault("reset")
RESETS_AFTER = Fault("reset", accepts=True)


def refuses(code: int) -> Fault:
    """Twilio says no, with an error code."""
    return Fault("status", status=400, code=code)


@dataclass
class Accepted:
    """One text or call that Twilio has."""

    sid: str
    to: str
    sender: str
    body: str
    at: float
    """When the request arrived, by ``time.time()``."""
    callback: str
    created: datetime
    status: str = "queued"
    direction: str = "outbound-api"
    error_code: int | None = None
    form: Form = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        if self.sid.startswith("CA"):
            return self._call()
        service = self.sender.startswith("MG")
        return {
            "sid": self.sid,
            "account_sid": self.form.get("_account"),
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": format_datetime(self.created),
            "date_updated": format_datetime(self.created),
            "date_sent": None,
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": None,
            "from": None if service else self.sender,
            "to": self.to,
            "messaging_service_sid": self.sender if service else None,
            "num_media": "0",
            "num_segments": "0" if service else "1",
            "price": None,
            "price_unit": "USD",
            "status": self.status,
            "subresource_uris": {},
            "uri": f"/2010-04-01/Messages/{self.sid}.json",
        }

    def _call(self) -> dict[str, Any]:
        return {
            "sid": self.sid,
            "account_sid": self.form.get("_account"),
            "parent_call_sid": None,
            "status": self.status,
            "direction": "outbound-api",
            "from": self.sender,
            "to": self.to,
            "answered_by": None,
            "forwarded_from": None,
            "duration": None,
            "price": None,
            "price_unit": "USD",
            "date_created": format_datetime(self.created),
            "start_time": None,
            "end_time": None,
            "uri": f"/2010-04-01/Calls/{self.sid}.json",
        }


class FakeTwilio:
    """Listens in a thread of its own, on a given port or on any."""

    def __init__(self, latency: float = 0.0, plan: Plan | None = None, port: int = 0) -> None:
        self.latency = latency
        self.plan = plan
        self.tells: Callable[[Accepted], None] | None = None
        """Called, in a thread, for each text that it has: status callbacks."""
        self.accepted: list[Accepted] = []
        self.tried: list[tuple[float, Form]] = []
        self.refuse_look_ups = False
        self.ahead = 0.0
        """By how many seconds its clock differs from ours."""
        self.looked_up = 0
        self.tokens: dict[str, tuple[str, ...]] | None = None
        """The auth tokens of each account that there is; None: every one is right."""
        self.account_status: int | None = None
        """What questions about an account get instead."""
        self.account_shown: str | None = None
        self.asked_about: list[tuple[str, str]] = []
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FakeTwilio:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def serve() -> asyncio.Server:
            server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
            self.port = server.sockets[0].getsockname()[1]
            return server

        server = self._loop.run_until_complete(serve())
        # Only who runs for good can be stopped: earlier, a stop would end what runs until then.
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()
        server.close()  # the next one listens on the same port
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                at = time.time()
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ", 2)
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if await self._is_about_an_account(writer, method, target, headers):
                    continue
                if not await self._answer(writer, method, target, body.decode(), at):
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _is_about_an_account(
        self, writer: asyncio.StreamWriter, method: str, target: str, headers: Form
    ) -> bool:
        """Answer ``GET /2010-04-01/Accounts/{Sid}.json`` (Twilio, Account resource)."""
        asked = re.fullmatch(r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})\.json", target)
        if method != "GET" or asked is None:
            return False
        sid = asked[1]
        given = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        user, _, password = given.partition(":")
        self.asked_about.append((sid, password))
        status = self.account_status
        if status is None:
            known = self.tokens is None or password in self.tokens.get(sid, ())
            status = 200 if known and user == sid else 401
        error = {"code": 20003, "message": "Authenticate", "status": status, "more_info": ""}
        shown = {"sid": self.account_shown or sid, "status": "active", "friendly_name": "Fake"}
        body: object = shown if status == 200 else error if status in (401, 403) else "<html>no"
        await self._reply(writer, status, body)
        return True

    async def _answer(
        self, writer: asyncio.StreamWriter, method: str, target: str, body: str, at: float
    ) -> bool:
        path = urlsplit(target).path
        if method == "GET" and self.refuse_look_ups:
            await self._reply(writer, 503, "<html>busy</html>")
            return True
        if method == "GET":
            query = dict(parse_qsl(urlsplit(target).query))
            found = self._look_up(path, query)
            missing = {"code": 20404, "message": "Not found.", "status": 404, "more_info": ""}
            await self._reply(writer, 404 if found is None else 200, found or missing)
            return True
        pairs = parse_qsl(body)
        form = dict(pairs)
        events = [value for name, value in pairs if name == "StatusCallbackEvent"]
        if events:
            form["StatusCallbackEvent"] = " ".join(events)
        form["_account"] = path.split("/")[3]
        form["_kind"] = path.split("/")[4]
        fault = self.plan(form, len(self.tried)) if self.plan else None
        self.tried.append((at, form))
        made = self._take(form, at) if fault is None or fault.accepts else None
        if self.latency:
            await asyncio.sleep(self.latency)
        if fault is None:
            assert made is not None
            await self._reply(writer, 201, made.as_json())
            return True
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
        if fault.kind in ("hang", "reset"):
            writer.transport.abort()
            return False
        error = {"code": fault.code, "message": "No.", "status": fault.status, "more_info": ""}
        await self._reply(writer, fault.status, error if fault.code else "<html>oops</html>")
        return True

    def _take(self, form: Form, at: float) -> Accepted:
        made = Accepted(
            sid=("CA" if form["_kind"] == "Calls.json" else "SM") + secrets.token_hex(16),
            to=form["To"],
            sender=form.get("From") or form["MessagingServiceSid"],
            body=form.get("Body", ""),
            at=at,
            callback=form.get("StatusCallback", ""),
            created=datetime.now(UTC) + timedelta(seconds=self.ahead),
            form=form,
        )
        self.accepted.append(made)
        if self.tells is not None:
            self._loop.run_in_executor(None, self.tells, made)
        return made

    def _look_up(self, path: str, query: Form) -> dict[str, Any] | None:
        self.looked_up += 1
        name = path.rsplit("/", 1)[1]
        if path.split("/")[-2] == "Accounts":
            sid = name.removesuffix(".json")
            return {"sid": sid, "status": "active", "type": "Full", "friendly_name": "Fake"}
        if name not in ("Messages.json", "Calls.json"):
            return next((m.as_json() for m in self.accepted if f"{m.sid}.json" == name), None)
        prefix = "CA" if name == "Calls.json" else "SM"
        found = [
            m.as_json()
            for m in reversed(self.accepted)
            if m.to == query.get("To", m.to)
            and m.sender == query.get("From", m.sender)
            and m.sid.startswith(prefix)
        ]
        return {
            "first_page_uri": path, "next_page_uri": None, "previous_page_uri": None,
            "page": 0, "page_size": 1000, "start": 0, "end": len(found), "uri": path,
            name.removesuffix(".json").lower(): found,
        }  # fmt: skip

    async def _reply(self, writer: asyncio.StreamWriter, status: int, body: object) -> None:
        content = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if isinstance(body, str) else "application/json"
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n"
            f"Date: {formatdate(time.time() + self.ahead, usegmt=True)}\r\n"
            f"Content-Length: {len(content.encode())}\r\n\r\n{content}".encode()
        )
        await writer.drain()
