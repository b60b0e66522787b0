"""`python -m sandbox`: start the local Twilio and wait for Ctrl-C."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from . import kept, smtp
from .app import create_app
from .core import Sandbox
from .seed import plant
from .server import serve
from .settings import from_environment

HOST = "127.0.0.1"


def main() -> int:
    """Read the settings, start the servers, wait for a signal."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.WARNING, format="sandbox: %(message)s")
    try:
        settings = from_environment(os.environ)
    except ValueError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    box = Sandbox(settings)
    plant(box, settings)
    if settings.state:
        try:
            kept.load(box, Path(settings.state))
        except ValueError as error:
            print(f"sandbox: {error}", file=sys.stderr)
            return 2
        kept.follow(box, Path(settings.state))
    try:
        server = serve(create_app(box), HOST, settings.port)
        mail = smtp.start(box, HOST, settings.smtp_port)
    except OSError as error:
        print(f"sandbox: cannot listen: {error}. Is it running already?", file=sys.stderr)
        return 1
    print(f"sandbox: phone page and REST API at {settings.public_url}/", flush=True)
    print(f"sandbox: mail for smtp://{HOST}:{settings.smtp_port}", flush=True)
    stop.wait()
    server.shutdown()
    mail.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
