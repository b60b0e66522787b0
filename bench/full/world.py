"""Twilio, or the clients' endpoints, as a process of its own that tells what it cost.

    python -m bench.full.world twilio LATENCY CALLBACKS
    python -m bench.full.world endpoints LATENCY

The first line of output is the port; a line of input ends it, and the last line of output is what
it did, in JSON. Twilio takes texts, answers after a while, and then posts the status callbacks that
it posts: queued, sent, delivered. Endpoints answer 204 and note how old each event was.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit

from app.twilio import signature
from bench.full.shape import ACCOUNT, TOKEN
from bench.load import post

AFTER = {"queued": 0.05, "sent": 0.5, "delivered": 1.5}
"""Seconds from Twilio's answer to each callback."""
TRIES = 3
Answer = Callable[[str, str, bytes], Awaitable[tuple[int, bytes]]]


class Twilio:
    """Takes texts and reports what becomes of them."""

    def __init__(self, latency: float, callbacks: int) -> None:
        self.latency = latency
        self.words = list(AFTER)[:callbacks]
        self.done = {"texts": 0, "callbacks": 0, "callbacks refused": 0}
        self.first = self.last = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Answer one request of the REST API."""
        if method == "GET" and path.endswith(f"/Accounts/{ACCOUNT}.json"):
            return 200, json.dumps({"sid": ACCOUNT, "status": "active", "type": "Full"}).encode()
        if method != "POST" or not path.endswith("/Messages.json"):
            return 404, b'{"code": 20404, "message": "not found", "status": 404}'
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.done["texts"] += 1
        sid = f"SM{self.done['texts']:032x}"
        await asyncio.sleep(self.latency)
        if url := form.get("StatusCallback"):
            for word in self.words:
                self._later(self._report(url, word, sid, form))
        return 201, _created(sid)

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report(self, url: str, word: str, sid: str, form: dict[str, str]) -> None:
        await asyncio.sleep(AFTER[word])
        fields = {
            "SmsSid": sid, "SmsStatus": word, "MessageStatus": word, "To": form["To"],
            "MessageSid": sid, "AccountSid": ACCOUNT, "From": form["From"],
            "ApiVersion": "2010-04-01",
        }  # fmt: skip
        where, body = urlsplit(url), urlencode(fields).encode()
        signed = signature.compute(url, fields.items(), TOKEN)
        head = (
            f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nUser-Agent: TwilioProxy/1.1\r\n"
            f"X-Twilio-Signature: {signed}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        assert where.port is not None
        for _ in range(TRIES):
            if (await post(where.port, head.encode() + body)).startswith(b"HTTP/1.1 2"):
                self.done["callbacks"] += 1
                return
            await asyncio.sleep(1)
        self.done["callbacks refused"] += 1

    def result(self) -> dict[str, float]:
        """Return what was done."""
        return {**self.done, "first": self.first, "last": self.last}


class Endpoints:
    """Takes events, each with the time at which it happened."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.ages: list[float] = []

    async def answer(self, _method: str, _path: str, body: bytes) -> tuple[int, bytes]:
        """Answer one event."""
        said = json.loads(body)["timestamp"].replace("Z", "+00:00")
        self.ages.append((datetime.now(UTC) - datetime.fromisoformat(said)).total_seconds())
        await asyncio.sleep(self.latency)
        return 204, b""

    def result(self) -> dict[str, float]:
        """Return what was done."""
        return {"events": len(self.ages), "oldest": max(self.ages, default=0.0)}


def _created(sid: str) -> bytes:
    """Return what Twilio answers to a create ("Message resource"): as much as is read of it."""
    at = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
    return json.dumps(
        {
            "sid": sid, "account_sid": ACCOUNT, "api_version": "2010-04-01", "body": "",
            "date_created": at, "date_updated": at, "date_sent": None, "direction": "outbound-api",
            "error_code": None, "error_message": None, "from": None, "to": None,
            "messaging_service_sid": None, "num_media": "0", "num_segments": "1", "price": None,
            "price_unit": "USD", "status": "queued", "subresource_uris": {},
            "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json",
        }
    ).encode()  # fmt: skip


async def _serve(answer: Answer) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split(" ", 2)
                lines = (line.partition(":") for line in head.lower().splitlines()[1:])
                length = next(
                    (int(value) for name, _, value in lines if name == "content-length"), 0
                )
                status, body = await answer(method, path, await reader.readexactly(length))
                writer.write(
                    f"HTTP/1.1 {status} So\r\nContent-Type: application/json\r\n".encode()
                    + f"Content-Length: {len(body)}\r\n\r\n".encode() * (status != 204)
                    + b"\r\n" * (status == 204)
                    + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def main() -> None:
    """Serve until there is a line of input."""
    role, latency, *more = sys.argv[1:]
    world: Twilio | Endpoints
    world = Twilio(float(latency), int(more[0])) if role == "twilio" else Endpoints(float(latency))
    asyncio.run(_serve(world.answer))
    print(json.dumps({**world.result(), "cpu": time.process_time()}), flush=True)


if __name__ == "__main__":
    main()
