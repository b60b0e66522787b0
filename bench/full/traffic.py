"""People who text in, and a client system that sends adhocs: a process of its own.

    python -m bench.full.traffic PORT BASE_URL SECONDS INCOMING_PER_SECOND ADHOCS_URL|-

It prints what it saw in JSON: the seconds that each answer took.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from urllib.parse import urlencode, urlsplit

from app.twilio import signature
from bench.full.shape import ACCOUNT, CLIENTS, KEY, TOKEN, long_codes
from bench.load import post

FEW, MANY = 44, 1000
EVERY = 3.0
"""Seconds between adhocs; the one in the middle has many members, the others few."""


class Traffic:
    """Posts at fixed times, whether or not what was posted before has been answered."""

    def __init__(self, port: int, base: str, adhocs: str) -> None:
        self._port, self._base, self._adhocs = port, base, adhocs
        self.took: dict[str, list[float]] = {"incoming": [], "adhocs": [], "adhocs 1000": []}
        self.failed: dict[str, int] = {}
        self._next = secrets.randbelow(1_000_000)

    async def run(self, seconds: float, per_second: float) -> None:
        """Go on for so long."""
        posts = [self._at(n / per_second, "incoming") for n in range(int(seconds * per_second))]
        if self._adhocs != "-":
            middle = int(seconds / EVERY / 2)
            posts += [
                self._at(n * EVERY + 0.5, "adhocs 1000" if n == middle else "adhocs")
                for n in range(int(seconds / EVERY))
            ]
        await asyncio.gather(*posts)

    async def _at(self, when: float, kind: str) -> None:
        await asyncio.sleep(when)
        request = self._text() if kind == "incoming" else self._members(kind)
        began = time.perf_counter()
        answer = await post(self._port, request)
        if answer.startswith(b"HTTP/1.1 2"):
            self.took[kind].append(time.perf_counter() - began)
        else:
            self.failed[kind] = self.failed.get(kind, 0) + 1
            print(answer[:500], file=sys.stderr)

    def _phone(self) -> str:
        self._next += 1
        return f"+1319{2_000_000 + self._next}"

    def _text(self) -> bytes:
        sid = "SM" + secrets.token_hex(16)
        numbers = long_codes(self._next % CLIENTS)
        form = {
            "MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "AccountSid": ACCOUNT,
            "From": self._phone(), "To": numbers[self._next % len(numbers)], "NumMedia": "0",
            "Body": "When are you open?", "NumSegments": "1", "SmsStatus": "received",
            "ApiVersion": "2010-04-01",
        }  # fmt: skip
        signed = signature.compute(f"{self._base}/inbound/sms", form.items(), TOKEN)
        body = urlencode(form).encode()
        return _request(
            "/inbound/sms",
            body,
            "application/x-www-form-urlencoded",
            f"X-Twilio-Signature: {signed}",
        )

    def _members(self, kind: str) -> bytes:
        count = FEW if kind == "adhocs" else MANY
        people = [{"toName": f"Person {n}", "toPhone": self._phone()} for n in range(count)]
        body = json.dumps({"members": people}).encode()
        path = urlsplit(self._adhocs).path
        return _request(path, body, "application/json", f"x-dispatch-api-key: {KEY.format(0)}")


def _request(path: str, body: bytes, kind: str, header: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: dispatch.example.edu\r\nConnection: close\r\n"
        f"Content-Type: {kind}\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    """Post, and print what was seen."""
    port, base, seconds, per_second, adhocs = sys.argv[1:]
    traffic = Traffic(int(port), base, adhocs)
    asyncio.run(traffic.run(float(seconds), float(per_second)))
    print(json.dumps({"took": traffic.took, "failed": traffic.failed, "cpu": time.process_time()}))


if __name__ == "__main__":
    main()
