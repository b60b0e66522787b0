"""A Twilio that costs as little as it can: it measures the pace of others and must not set it.

It answers every create after a while and notes when the first byte of its body arrived; what was in
it is read at the end only. On a line of input it writes what it took, one JSON array a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from typing import ClassVar
from urllib.parse import parse_qs

_CREATED = "Sun, 22 Nov 2026 12:00:00 +0000"


class Connection(asyncio.Protocol):
    """One kept-alive connection; requests on it come one after the other."""

    taken: ClassVar[list[tuple[float, bytes]]] = []
    latency: ClassVar[float] = 0.08

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to write answers."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Note when a request arrived, and answer it after a while."""
        at = time.time()
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._received = b""
        self.taken.append((at, body))
        asyncio.get_running_loop().call_later(self.latency, self._answer, len(self.taken))

    def _answer(self, number: int) -> None:
        if not self._transport.is_closing():  # type: ignore[attr-defined]
            self._transport.write(_answer(number))  # type: ignore[attr-defined]


def _length(head: bytes) -> int:
    name = b"content-length:"
    begin = head.lower().index(name) + len(name)
    return int(head[begin:].split(b"\r\n", 1)[0])


def _answer(number: int) -> bytes:
    """Return what Twilio answers to a create ("Message resource"): as much as is read of it."""
    sid = f"SM{number:032x}"
    body = json.dumps(
        {
            "sid": sid, "account_sid": "AC" + "0" * 32, "api_version": "2010-04-01", "body": "",
            "date_created": _CREATED, "date_updated": _CREATED, "date_sent": None,
            "direction": "outbound-api", "error_code": None, "error_message": None,
            "from": None, "to": None, "messaging_service_sid": None, "num_media": "0",
            "num_segments": "0", "price": None, "price_unit": "USD", "status": "queued",
            "subresource_uris": {}, "uri": f"/2010-04-01/Messages/{sid}.json",
        }
    ).encode()  # fmt: skip
    return (
        b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (len(body), body)
    )


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    server.close()


def main() -> None:
    """Serve until there is a line of input; ``latency`` in seconds is the first argument."""
    Connection.latency = float(sys.argv[1])
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # a clock that has to wait for a processor shows the wrong time
    asyncio.run(_serve())
    for at, body in Connection.taken:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        print(json.dumps([at, form["From"], form["To"], form.get("Body", "")]))


if __name__ == "__main__":
    main()
