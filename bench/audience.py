"""How a large audience is taken in: rows per second, memory, and whether time grows with size.

    python -m bench.audience [--sizes 10000 100000] [--database sqlite|postgresql]

Each size is measured in a process of its own, on SQLite and on PostgreSQL: a CSV file is imported
into a population (every tenth row at fault), the same file once more (nothing new), a batch for it
is looked at (pre-flight), begun, and prepared in chunks. Memory is the most that the process ever
held, less what it held before the step.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask_migrate
from cryptography.fernet import Fernet
from sqlalchemy import func, select

import config
from app import create_app
from app.domain.audience import uploads
from app.domain.sending import communications
from app.domain.sending.preflight import preflight
from app.extensions import db, unit_of_work
from app.models.audience import Population
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.communication import Campaign, Communication
from app.models.credential import Credential
from app.models.message import Message
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from app.models.template import Template, TemplateKind, TemplateVersion
from app.outbound import batches
from embedded import postgres

ROOT = Path(__file__).resolve().parents[1]
STEPS = ("import", "again", "pre-flight", "begin", "prepare")
IMPORTS = STEPS[:2]


def main() -> None:
    """Measure and print; a child process measures one size."""
    options = _options()
    if options.measure:
        print(json.dumps(_measure(options.measure, options.imports_only)))
        return
    with tempfile.TemporaryDirectory(prefix="dispatch-bench-") as name:
        for database in options.database or ("sqlite", "postgresql"):
            _compare(database, Path(name), options.sizes, options.imports_only)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--database", action="append", choices=("sqlite", "postgresql"))
    parser.add_argument("--imports-only", action="store_true", help="leave the batch out")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _compare(database: str, folder: Path, sizes: list[int], imports_only: bool) -> None:
    shown = IMPORTS if imports_only else STEPS
    print(f"{database}\n{'members':>9} " + "".join(f"{step:>26}" for step in shown))
    found = {size: _in_a_child(database, folder, size, imports_only) for size in sizes}
    for size, steps in found.items():
        cells = "".join(_cell(size, *steps[step]) for step in shown)
        print(f"{size:9,} {cells}")
    if len(sizes) > 1:
        small, large = sizes[0], sizes[-1]
        ratios = "".join(
            f"time ×{found[large][step][0] / max(found[small][step][0], 1e-6):5.1f}"
            f"  +{found[large][step][1] - found[small][step][1]:4.0f} MB".rjust(26)
            for step in shown
        )
        print(f"{f'×{large / small:g}':>9} {ratios}\n", flush=True)


def _cell(size: int, seconds: float, megabytes: float) -> str:
    return f"{size / max(seconds, 1e-6):8,.0f}/s {seconds:6.2f} s {megabytes:4.0f} MB".rjust(26)


def _in_a_child(
    database: str, folder: Path, size: int, imports_only: bool
) -> dict[str, tuple[float, float]]:
    server = postgres.start({"fsync": "on", "jit": "off"}) if database == "postgresql" else None
    url = server.url() if server else f"sqlite:///{folder / f'{size}.db'}"
    environ = {
        **os.environ,
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "PUBLIC_BASE_URL": "https://dispatch.example.edu",
        "MAIL_FROM": "dispatch@example.edu",
        "SUPPORT_EMAIL": "support@example.edu",
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "LOG_LEVEL": "ERROR",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.audience", "--measure", str(size),
             *(["--imports-only"] if imports_only else [])],
            cwd=ROOT, env=environ, check=True, capture_output=True, text=True,
        )  # fmt: skip
    finally:
        if server is not None:
            server.stop()
    measured: dict[str, tuple[float, float]] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _measure(size: int, imports_only: bool) -> dict[str, tuple[float, float]]:
    app = create_app(config.load(dict(os.environ)))
    found: dict[str, tuple[float, float]] = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        before, began = _peak(), time.perf_counter()
        made = work()
        found[step] = (time.perf_counter() - began, _peak() - before)
        return made

    with app.app_context(), tempfile.TemporaryFile() as file:
        flask_migrate.upgrade(directory=str(ROOT / "migrations"))
        communication_id, population_id = _set_up()
        good = _write_file(file, size)
        timed("import", lambda: _import(population_id, file))
        timed("again", lambda: _import(population_id, file))
        if imports_only:
            return found
        timed("pre-flight", lambda: _preflight(communication_id))
        batch_id = timed("begin", lambda: _begin(communication_id))
        timed("prepare", lambda: _prepare(batch_id))
        waiting = db.session.scalar(select(func.count()).select_from(Message))
        if waiting != good:
            sys.exit(f"{waiting} messages of {good}")
    return found


def _peak() -> float:
    """Return the most memory that this process ever held, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _write_file(file: Any, size: int) -> int:
    """Write a CSV file of `size` rows, every tenth at fault; return how many are good."""
    file.write(b"Name,Phone,E-mail,Course,Room\n")
    for number in range(size):
        phone = f"(319) {200 + number // 10_000:03}-{number % 10_000:04}"
        if number % 10 == 9:
            phone = "12"
        row = f"Student {number},{phone},s{number}@example.edu,Calculus {number % 40},B{number}\n"
        file.write(row.encode())
    return size - size // 10


def _import(population_id: str, file: Any) -> None:
    """Do what the staff page does: keep the file, look at it, and take its people in."""
    with unit_of_work() as session:
        population = session.get_one(Population, population_id)
        upload = uploads.store(session, population, file, "people.csv")
    wanted = uploads.wanted_of(upload)
    looked = uploads.look(upload, wanted)
    uploads.save(upload, wanted, looked, lambda *_: None, replace=False)


def _preflight(communication_id: str) -> None:
    preflight(db.session(), db.session().get_one(Communication, communication_id))
    db.session.rollback()


def _begin(communication_id: str) -> str:
    with unit_of_work() as session:
        communication = session.get_one(Communication, communication_id)
        return communications.start_batch(session, communication, "bench").id


def _prepare(batch_id: str) -> None:
    while True:
        batches.turn()
        state = db.session.scalar(select(Batch.state).where(Batch.id == batch_id))
        db.session.rollback()
        if state is not BatchState.PREPARING:
            return


def _set_up() -> tuple[str, str]:
    with unit_of_work() as session:
        client = Client(name="bench", owner_email="owner@example.edu", twilio_enabled=True)
        session.add(client)
        session.flush()
        credential = Credential(
            client_id=client.id, name="main", account_sid="AC" + "0" * 32, auth_token="0" * 32
        )
        population = Population(client_id=client.id, name="students")
        campaign = Campaign(client_id=client.id, name="spring")
        template = Template(client_id=client.id, name="reminder", kind=TemplateKind.SMS)
        body = "Hi {{ toName }}, {{ Course }} is in room {{ Room }}. https://example.edu/map"
        template.versions = [TemplateVersion(number=1, body=body, created_by="bench")]
        session.add_all([credential, population, campaign, template])
        session.flush()
        sender = Sender(
            client_id=client.id, credential_id=credential.id, kind=SenderKind.TWILIO,
            address="+13195550100", rate=100.0,
        )  # fmt: skip
        session.add(sender)
        session.flush()
        communication = Communication(
            client_id=client.id, campaign_id=campaign.id, name="reminder",
            destination=Destination.SMS, template_id=template.id, population_id=population.id,
            sender_id=sender.id, link_tracking=True,
        )  # fmt: skip
        session.add(communication)
        session.flush()
        return communication.id, population.id


if __name__ == "__main__":
    main()
