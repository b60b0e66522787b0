"""The application and the sandbox, both listening, so that each can call the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import make_server

from sandbox.app import create_app as create_sandbox
from sandbox.core import Sandbox
from sandbox.seed import plant
from sandbox.server import serve
from sandbox.settings import Settings
from tests.support.sandbox import Running


@contextmanager
def sandbox(app_url: str) -> Iterator[Running]:
    """A local Twilio whose numbers point at ``app_url``."""
    settings = Settings(app_url=app_url, speed=20.0)
    box = Sandbox(settings)
    plant(box, settings)
    server = serve(create_sandbox(box), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.port}"
    object.__setattr__(settings, "public_url", url)
    object.__setattr__(settings, "media_url", f"http://localhost:{server.port}")
    yield Running(box, url)
    server.shutdown()
    server.server_close()
    box.close()


@contextmanager
def served(app: Flask, port: int) -> Iterator[None]:
    """The application on a port of this machine."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield
    server.shutdown()
    server.server_close()
    thread.join(5)
