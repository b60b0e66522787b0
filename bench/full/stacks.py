"""The two that are compared, started as their users would."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import yaml
from flask import Flask
from sqlalchemy import func, insert, select

import config
from app import create_app
from app.domain.sending import communications
from app.extensions import db, unit_of_work
from app.models.audience import Member
from app.models.base import new_id
from app.models.batch import Batch
from app.models.communication import Communication
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.message import JournaledReport, Lane, Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from bench.full import shape
from embedded.supervisor import read_procfile
from tests.support.processes import ROOT, Processes, Running

NAIVE_WORKERS = 8
"""They wait for Twilio 80 ms a text; ours wait for many at once."""


class Ours:
    """Dispatch, by its Procfile."""

    name = "Dispatch"

    def __init__(self, stack: ExitStack, folder: Path, environ: dict[str, str]) -> None:
        self._processes = Processes(folder, environ)
        stack.callback(self._processes.stop)
        self.app: Flask = create_app(config.load(environ, folder))
        self._folder = folder
        self.parts: dict[str, Running] = {}
        self.adhocs = "-"

    def fill(self, endpoints: int, share: float, seconds: float, members: int) -> None:
        """Make clients, senders, what waits in their lanes, and so many members for a batch."""
        written = self._folder / "house.yaml"
        written.write_text(yaml.safe_dump(shape.settings(endpoints, share), sort_keys=False))
        done = self._processes.flask("apply", str(written))
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        person = 0
        with self.app.app_context(), unit_of_work() as session:
            for sender in session.scalars(select(Sender)).all():
                key = f"sms:{sender.id}"
                if session.get(Lane, key) is None:
                    session.add(Lane(key=key, rate=sender.rate))
                    session.flush()
                rows = []
                for _ in range(int(sender.rate * seconds)):
                    person += 1
                    rows.append(
                        {"id": new_id(), "client_id": sender.client_id,
                         "destination": Destination.SMS, "sender_id": sender.id,
                         "credential_id": sender.credential_id, "from_": sender.address,
                         "to": f"+1515{2_000_000 + person}", "body": "Class starts on Monday.",
                         "segments": 1, "state": MessageState.WAITING, "lane_key": key,
                         "due_at": datetime.now(UTC)}
                    )  # fmt: skip
                if rows:
                    session.execute(insert(Message), rows)
            made = session.scalars(select(Communication)).first()
            assert made is not None
            self._communication_id = made.id
            self.adhocs = f"/api/v1/communications/{made.id}/adhocs"
            people = (
                {"toName": f"Person {number}", "toPhone": f"+1641{2_000_000 + number}"}
                for number in range(members)
            )
            while chunk := list(islice(people, 10_000)):
                session.execute(
                    insert(Member),
                    [{"roll": made.population_id, "attributes": one} for one in chunk],
                )

    def start_batch(self) -> None:
        """Start the batch, and print how long the one who started it waited."""
        began = time.perf_counter()
        with self.app.app_context(), unit_of_work() as session:
            made = session.get_one(Communication, self._communication_id)
            communications.start_batch(session, made, "bench")
        print(f"    a batch has begun in {time.perf_counter() - began:.2f} s")

    def prepared(self) -> int:
        """Return how many members of batches have their messages."""
        with self.app.app_context():
            found = db.session.scalar(select(func.sum(Batch.prepared)))
            db.session.remove()
        return found or 0

    def start(self) -> None:
        """Start everything; the web process first."""
        self.parts["web"] = self._processes.web(workers=4)
        for name in read_procfile(ROOT / "Procfile"):
            if name != "web":
                self.parts[name] = self._processes.procfile(name)
        for name, part in self.parts.items():
            if name != "web":
                part.wait_until_stoppable(60)

    def oldest(self) -> tuple[float, float]:
        """Return the ages of the oldest report and event that wait, in seconds."""
        now = datetime.now(UTC)
        waiting = (DeliveryState.PENDING, DeliveryState.IN_FLIGHT)
        with self.app.app_context():
            report = db.session.scalar(select(func.min(JournaledReport.at)))
            event = db.session.scalar(
                select(func.min(Delivery.created_at)).where(
                    Delivery.state.in_(waiting), Delivery.type == EventType.MESSAGE_STATUS
                )
            )
            db.session.remove()
        ages = [(now - at).total_seconds() if at else 0.0 for at in (report, event)]
        return ages[0], ages[1]

    def complaints(self) -> str:
        """Return what the processes have logged."""
        return _complaints(self._processes)


class Naive:
    """A Flask route per kind, an RQ job and a row per thing."""

    name = "naive"
    adhocs = "-"

    def __init__(self, stack: ExitStack, folder: Path, environ: dict[str, str]) -> None:
        self._environ = environ
        self._processes = Processes(folder, environ)
        stack.callback(self._processes.stop)
        self.parts: dict[str, Running] = {}

    def fill(self, endpoints: int, share: float, seconds: float, members: int) -> None:
        """Write and enqueue what is to go out; it has no batches."""
        assert not members
        self._environ |= {"BENCH_ENDPOINTS": f"http://127.0.0.1:{endpoints}"}
        self._processes.env |= self._environ
        code = f"from bench.full import naive; naive.fill({shape.rates(share)!r}, {seconds!r})"
        self._run("fill", [sys.executable, "-c", code]).process.wait()

    def start(self) -> None:
        """Start everything; the web process first."""
        port = self._environ["PORT"]
        web = ["gunicorn", "--workers", "4", "--bind", f"127.0.0.1:{port}", "bench.full.naive:app"]
        self.parts["web"] = self._run("web", web)
        for number in range(NAIVE_WORKERS):
            worker = ["rq", "worker", "--url", self._environ["REDIS_URL"], "texts", "--quiet",
                      "--serializer", "rq.serializers.JSONSerializer",
                      "--worker-class", "rq.SimpleWorker"]  # fmt: skip
            self.parts[f"worker-{number}"] = self._run(f"worker-{number}", worker)

    def _run(self, name: str, command: list[str]) -> Running:
        return self._processes.start(name, command, PYTHONPATH=os.fspath(ROOT))

    def oldest(self) -> tuple[float, float]:
        """Reports are applied at once, and nobody knows how old a job is."""
        return 0.0, 0.0

    def complaints(self) -> str:
        """Return what the processes have logged."""
        return _complaints(self._processes)


def _complaints(processes: Processes) -> str:
    """Return the lines of the logs that tell of something gone wrong."""
    bad = ('"level": "error"', "Traceback", "Error:", "[ERROR]")
    lines = (line for _, log in processes.logs() for line in log.splitlines())
    return "\n".join([line[:500] for line in lines if any(sign in line for sign in bad)][-10:])
