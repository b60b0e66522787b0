"""An HTTP server for one test that answers as scripted and keeps what it was asked."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    form: dict[str, list[str]]
    headers: dict[str, str]


Answer = tuple[int, dict[str, str], bytes] | None
"""Status, headers and body; None closes the connection without an answer."""


@dataclass
class Server:
    """Where it listens, what it was asked, and what it answers."""

    url: str
    respond: Callable[[Asked], Answer] = lambda _: (404, {}, b"")
    asked: list[Asked] = field(default_factory=list)
    drip: float = 0
    """Seconds between two bytes of a body; 0 sends it whole."""

    def answers(self, status: int, body: Any, **headers: str) -> None:
        """Answer every request with `body`, as JSON unless it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.respond = lambda _: (status, named, content)


@contextmanager
def serving() -> Iterator[Server]:
    """Serve on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            form = parse_qs(self.rfile.read(length).decode(), keep_blank_values=True)
            asked = Asked(
                self.command, parts.path, parse_qs(parts.query), form, dict(self.headers.items())
            )
            server.asked.append(asked)
            reply = server.respond(asked)
            if reply is None:
                self.close_connection = True
                return
            status, headers, body = reply
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:1] if server.drip else body)
            with suppress(OSError):  # the other side has had enough
                for byte in body[1:] if server.drip else b"":
                    time.sleep(server.drip)
                    self.wfile.write(bytes([byte]))

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
