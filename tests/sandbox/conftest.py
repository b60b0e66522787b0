"""A running sandbox and a stub application that answers its webhooks and remembers them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from sandbox.app import create_app
from sandbox.core import Sandbox
from sandbox.seed import plant
from sandbox.server import serve
from sandbox.settings import Settings
from tests.support.sandbox import Running, Stub, StubHandler


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    handler = type("Handler", (StubHandler,), {"stub": stub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield stub
    server.shutdown()
    server.server_close()


@pytest.fixture
def running(stub: Stub) -> Iterator[Running]:
    settings = Settings(app_url=stub.url, speed=20.0)
    box = Sandbox(settings)
    plant(box, settings)
    server = serve(create_app(box), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.port}"
    object.__setattr__(settings, "public_url", url)
    object.__setattr__(settings, "media_url", f"http://localhost:{server.port}")
    yield Running(box, url)
    server.shutdown()
    server.server_close()
    box.close()
