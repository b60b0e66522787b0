"""The web server: one process (its memory is the state), a thread per connection."""

from __future__ import annotations

import socket
import sys
from threading import Thread
from typing import Any

from flask import Flask
from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler

from .rest.base import ConnectionDropped, droppable


class _Handler(WSGIRequestHandler):
    """Keeps connections open and does not write a line per request."""

    protocol_version = "HTTP/1.1"
    timeout = 120

    def log(self, *_: Any) -> None:
        return

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_dropped(self, *_: Any) -> None:
        self.close_connection = True


class _Server(ThreadedWSGIServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(sys.exc_info()[1], (ConnectionDropped, ConnectionError, OSError)):
            return
        super().handle_error(request, client_address)


def serve(app: Flask, host: str, port: int) -> BaseWSGIServer:
    """Listen at once (port 0 takes a free one) and answer in the background."""
    server = _Server(host, port, droppable(app), _Handler)
    Thread(target=server.serve_forever, args=(0.05,), name="sandbox-web", daemon=True).start()
    return server
