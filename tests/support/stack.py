"""The whole of Dispatch as `make run` starts it: all processes, the local Twilio, the demo."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests

from embedded.process import free_port
from embedded.supervisor import read_procfile
from sandbox.settings import SERVICE_SID
from tests.support.environment import BASE
from tests.support.processes import ROOT, Processes

Value = TypeVar("Value")
PAT = ("pat@example.edu", "registrar-on-this-machine")
SUPPORT = ("support@example.edu", "support-on-this-machine")
OUTREACH = SERVICE_SID
"""The demo's messaging service."""


class Stack(Processes):
    """Everything runs; ``sandbox`` is the address of the local Twilio.

    Mail is handed over by LMTP at ``mail_port``.
    """

    def __init__(self, folder: Path, env: dict[str, str], sandbox: str, mail_port: int) -> None:
        super().__init__(folder, env)
        self.sandbox = sandbox
        self.mail_port = mail_port
        self._http = requests.Session()
        self._http.trust_env = False

    def ask(self, method: str, path: str, data: dict[str, Any] | None = None) -> Any:
        """Ask the sandbox's control interface: ``ask("PUT", "phones/+1…", {…})``."""
        answer = self._http.request(method, f"{self.sandbox}/sandbox/{path}", json=data, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def text_in(self, body: str, to: str = "+13195550100", phone: str = "+13195550177") -> None:
        """A person texts a number; returns when Dispatch has answered."""
        self.ask("POST", "texts", {"from": phone, "to": to, "body": body, "wait": True})

    def texts_of(self, phone: str) -> list[str]:
        """The texts that a phone got, in order."""
        found = self.ask("GET", f"feed?phone={phone.replace('+', '%2B')}")["texts"]
        return [one["body"] for one in found if one["to"] == phone]

    def open_link(self, url: str) -> int:
        """Open a short link as a person's browser does; return the status."""
        agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1"
        return self._http.get(
            url, headers={"User-Agent": agent}, allow_redirects=False, timeout=10
        ).status_code


def eventually(look: Callable[[], Value], what: str, seconds: float = 30.0) -> Value:
    """Return what ``look`` finds once it finds something; fail with ``what`` when it does not."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)
    return found


@contextmanager
def running(folder: Path, database_url: str, redis_url: str) -> Iterator[Stack]:
    """Start everything on a migrated, empty database, with the demo's client in it."""
    port, box, smtp, lmtp = (free_port() for _ in range(4))
    sandbox = f"http://127.0.0.1:{box}"
    own = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "INSTANCE_FOLDER": str(folder / "instance"),
        "PORT": str(port),
        "BIND": f"127.0.0.1:{port}",
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "TWILIO_API_BASE_URL": sandbox,
        "SMTP_URL": f"smtp://127.0.0.1:{smtp}",
        "MAIL_IN_URL": f"lmtp://127.0.0.1:{lmtp}",
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "SANDBOX_PORT": str(box),
        "SANDBOX_SMTP_PORT": str(smtp),
        "SANDBOX_PUBLIC_URL": sandbox,
        "SANDBOX_APP_URL": f"http://127.0.0.1:{port}",
        "SANDBOX_SPEED": "20",
    }
    stack = Stack(folder, {**BASE, **own}, sandbox, lmtp)
    try:
        twilio = stack.start("sandbox", [sys.executable, "-m", "sandbox"])
        stack.wait_healthy(twilio, sandbox)
        applied = stack.flask("apply", "sandbox/demo.yaml")
        assert applied.returncode == 0, applied.stderr
        for name in read_procfile(ROOT / "Procfile"):
            if name != "web":
                stack.procfile(name)
        stack.web(workers=2)
        yield stack
    finally:
        stack.stop()
