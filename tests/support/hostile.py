"""Servers that misbehave: each connection is given to a function that does as it likes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Behaviour = Callable[[socket.socket, bytes], None]
"""Is given the connection and the request that was read from it."""


@dataclass
class Server:
    """One server on a loopback address."""

    port: int
    host: str
    requests: list[bytes] = field(default_factory=list)
    """The head and body of each request, as they came."""
    connections: int = 0

    def url(self, path: str = "/hooks", scheme: str = "http") -> str:
        return f"{scheme}://{self.host}:{self.port}{path}"


@contextlib.contextmanager
def serving(
    behaviour: Behaviour, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1",
    read_request: bool = True,
) -> Iterator[Server]:  # fmt: skip
    """Serve until the end of the block; each connection has a thread of its own."""
    listener = socket.create_server((host, 0), backlog=200)
    server = Server(listener.getsockname()[1], host)
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            connection.settimeout(20)
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            request = receive(connection) if read_request else b""
            server.requests.append(request)
            behaviour(connection, request)
            connection.close()

    def accept() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which would serve one more
        listener.close()


def receive(connection: socket.socket) -> bytes:
    """Read one request: its head, and as much body as Content-Length says."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answering(
    status: str = "200 OK", body: bytes = b"", headers: dict[str, str] | None = None
) -> Behaviour:
    """Return a behaviour that answers properly."""
    lines = {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    def answer(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body)

    return answer


def dripping(data: bytes, every: float = 0.05, before: bytes = b"") -> Behaviour:
    """Return a behaviour that sends `before` at once and then a byte now and then."""

    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(before)
        pause = threading.Event()
        for byte in data:
            connection.sendall(bytes([byte]))
            pause.wait(every)

    return drip


def silent(seconds: float = 30.0) -> Behaviour:
    """Return a behaviour that reads the request and says nothing."""

    def stay(connection: socket.socket, _request: bytes) -> None:
        threading.Event().wait(seconds)

    return stay


def sending(data: bytes) -> Behaviour:
    """Return a behaviour that sends `data` and closes."""

    def send(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(data)

    return send


def resetting(before: bytes = b"") -> Behaviour:
    """Return a behaviour that sends `before` and resets the connection."""

    def reset(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(before)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    return reset
