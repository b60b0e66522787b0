"""A Twilio that costs as little as it can: it measures the pace of others and must not set it.

It answers every create after a while and notes when the request arrived: by the kernel's time of
its last packet, because this process may have to wait for a processor. What was in it is read at
the end only. On a line of input it writes what it took, one JSON array a line.
"""

from __future__ import annotations

import heapq
import json
import selectors
import socket
import struct
import sys
import time
from urllib.parse import parse_qs

_CREATED = "Sun, 22 Nov 2026 12:00:00 +0000"
_SO_TIMESTAMPNS = 35
"""Linux; Python has no name for it."""
_TIMESPEC = struct.Struct("qq")


class Twilio:
    """Serves kept-alive connections; the requests of each come one after the other."""

    def __init__(self, latency: float) -> None:
        self.taken: list[tuple[float, bytes]] = []
        self._latency = latency
        self._selector = selectors.DefaultSelector()
        self._received: dict[socket.socket, bytes] = {}
        self._answers: list[tuple[float, int, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self.port = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Serve until there is a line of input."""
        while True:
            wait = self._answers[0][0] - time.monotonic() if self._answers else None
            for key, _ in self._selector.select(max(wait, 0) if wait is not None else None):
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._read(key.fileobj)
            while self._answers and self._answers[0][0] <= time.monotonic():
                _, number, connection = heapq.heappop(self._answers)
                if connection in self._received:
                    connection.sendall(_answer(number))

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            data, extra, _, _ = connection.recvmsg(65536, 256)
        except ConnectionError:
            data, extra = b"", []
        if not data:
            self._selector.unregister(connection)
            del self._received[connection]
            connection.close()
            return
        whole = self._received[connection] + data
        head, found, body = whole.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            self._received[connection] = whole
            return
        self._received[connection] = b""
        self.taken.append((_arrival(extra), body))
        answer_at = time.monotonic() + self._latency
        heapq.heappush(self._answers, (answer_at, len(self.taken), connection))


def _arrival(extra: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return seconds + nanoseconds / 1e9
    return time.time()


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


def main() -> None:
    """Serve; the first argument is after how many seconds it answers."""
    twilio = Twilio(float(sys.argv[1]))
    print(twilio.port, flush=True)
    twilio.serve()
    for at, body in twilio.taken:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        print(json.dumps([at, form["From"], form["To"], form.get("Body", "")]))


if __name__ == "__main__":
    main()
