"""How long from a text until the client's endpoint has it, with everything running for real.

    python -m bench.relay [sqlite|postgresql …]

gunicorn, worker-relay and clock as separate processes, real Valkey, an endpoint on a loopback
address. Measured from the first byte of Twilio's request to the arrival of ours:

- idle: one text every quarter of a second (median)
- busy: 50 texts a second for ten seconds (median, p95)
- nine healthy endpoints at 9 texts a second, without and beside one that hangs with 200 pending
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from twilio.request_validator import RequestValidator

import config
from app import create_app
from app.domain.relaying import events
from app.extensions import unit_of_work
from app.models.base import utcnow
from app.models.delivery import EventType
from app.models.route import Destination, Handler, Route
from embedded import valkey
from embedded.process import free_port
from tests.support.clients import Department, department
from tests.support.databases import PostgresTemplate, SqliteTemplate
from tests.support.environment import BASE
from tests.support.hostile import answering, silent
from tests.support.processes import Processes
from tests.support.relay import Receiver, receiving
from tests.support.rows import Rows
from tests.support.twilio import AUTH_TOKEN, sms_parameters

RATE = 50
SECONDS = 10
IDLE = 40


class Stopwatch:
    """Notes when each text left and when its event arrived, by MessageSid."""

    def __init__(self) -> None:
        self._left: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._changed = threading.Condition()

    def leave(self, sid: str) -> None:
        """Note that a text leaves."""
        self._left[sid] = time.monotonic()

    def arrive(self, sid: str) -> None:
        """Note that its event has arrived; the first time counts."""
        with self._changed:
            self._took.setdefault(sid, time.monotonic() - self._left[sid])
            self._changed.notify_all()

    def results(self, seconds: float = 60) -> list[float]:
        """Return the delays in milliseconds, sorted, once everything has arrived."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._took) == len(self._left), seconds)
            if len(self._took) < len(self._left):
                raise SystemExit(f"{len(self._left) - len(self._took)} texts did not arrive")
            return sorted(took * 1000 for took in self._took.values())


class House:
    """One running Dispatch with a client whose numbers forward to endpoints."""

    def __init__(self, app: Flask, processes: Processes, receiver: Receiver) -> None:
        self.app, self.receiver = app, receiver
        self._port = int(processes.env["PORT"])
        self._base = processes.env["PUBLIC_BASE_URL"]
        self.registrar = department(Rows(app))
        self.numbers = [self.registrar.number.address]
        self._forward(self.registrar, self.registrar.number.id, 0)
        for index in range(1, 9):
            number = self.registrar.other_number(f"+1319555011{index}")
            self.numbers.append(number.address)
            self._forward(self.registrar, number.id, index)

    def _forward(self, registrar: Department, sender_id: str, index: int) -> None:
        endpoint = registrar.endpoint(self.receiver.url(f"/{index}"))
        registrar.rows.add(
            Route(
                client_id=registrar.client.id, sender_id=sender_id, destination=Destination.SMS,
                handler=Handler.FORWARD_TO_WEBHOOK, endpoint_id=endpoint.id, updated_by="bench",
            )
        )  # fmt: skip

    def text(self, watch: Stopwatch, number: int) -> None:
        """Be Twilio: post one signed text."""
        form = sms_parameters(To=self.numbers[number % len(self.numbers)])
        form["From"] = f"+1319556{number % 10_000:04}"
        signature = RequestValidator(AUTH_TOKEN).compute_signature(
            f"{self._base}/inbound/sms", form
        )
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
        watch.leave(form["MessageSid"])
        connection.request(
            "POST", "/inbound/sms", urllib.parse.urlencode(form),
            {"Content-Type": "application/x-www-form-urlencoded",
             "X-Twilio-Signature": signature},
        )  # fmt: skip
        status = connection.getresponse().status
        connection.close()
        if status != 200:
            raise SystemExit(f"the web process answered {status}")

    def measure(self, count: int, every: float, numbers: int) -> list[float]:
        """Post `count` texts, one `every` so many seconds, to the first `numbers` numbers."""
        watch = Stopwatch()

        def note(connection: Any, request: bytes) -> None:
            body = request.partition(b"\r\n\r\n")[2]
            watch.arrive(json.loads(body)["data"]["messageSid"])
            answering()(connection, request)

        self.receiver.behave(note)
        begin = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            sent = []
            for index in range(count):
                time.sleep(max(0.0, begin + index * every - time.monotonic()))
                sent.append(pool.submit(self.text, watch, index % numbers))
            for one in sent:
                one.result()
        return watch.results()


@contextmanager
def running(database: str) -> Iterator[House]:
    """Start everything on one database."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if database == "postgresql":
            template = PostgresTemplate()
            stack.callback(template.stop)
            url = template.fresh()
        else:
            url = SqliteTemplate(folder).fresh(folder)
        redis = valkey.start(folder / "valkey")
        stack.callback(redis.stop)
        port = free_port()
        environ = {
            **BASE, "DATABASE_URL": url, "REDIS_URL": redis.url, "PORT": str(port),
            "BIND": f"127.0.0.1:{port}", "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        }  # fmt: skip
        receiver = stack.enter_context(receiving())
        processes = Processes(folder, environ)
        stack.callback(processes.stop)
        house = House(create_app(config.load(environ, folder)), processes, receiver)
        processes.procfile("worker-relay")
        processes.procfile("clock")
        processes.web(workers=2)
        yield house


def report(what: str, took: list[float]) -> None:
    """Print median, p95 and the longest."""
    median, p95 = took[len(took) // 2], took[int(len(took) * 0.95)]
    print(f"  {what:<46} median {median:6.1f} ms   p95 {p95:6.1f} ms   max {took[-1]:6.1f} ms")


def main() -> None:
    """Measure on the databases named on the command line, or on both."""
    for database in sys.argv[1:] or ("postgresql", "sqlite"):
        with running(database) as house, receiving(silent()) as dead:
            print(database)
            house.measure(5, 0.1, 1)  # warm
            report("idle", house.measure(IDLE, 0.25, 1))
            report(f"{RATE} texts/s to one endpoint", house.measure(RATE * SECONDS, 1 / RATE, 1))
            report(f"{RATE} texts/s to nine", house.measure(RATE * SECONDS, 1 / RATE, 9))
            report("9 texts/s to nine", house.measure(9 * SECONDS, 1 / 9, 9))
            endpoint = house.registrar.endpoint(dead.url())
            with house.app.app_context(), unit_of_work() as session:
                for _ in range(200):
                    events.record(
                        session,
                        events.Happening(
                            endpoint.id,
                            EventType.MESSAGE_STATUS,
                            {"status": "sent"},
                            client_id=house.registrar.client.id,
                            occurred_at=utcnow(),
                        ),
                    )
            time.sleep(2)
            report("9 texts/s to nine, beside one that hangs", house.measure(90, 1 / 9, 9))
            print(f"  (the one that hangs had {len(dead.received)} requests by then)")


if __name__ == "__main__":
    main()
