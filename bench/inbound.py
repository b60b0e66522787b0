"""`make bench`: requests per second and p99 of `POST /inbound/sms` beside a naive minimum.

Both are served by gunicorn with as many processes that answer, the naive one by its plain workers,
on SQLite and on PostgreSQL, in turns, so that what else the machine does meets both. The load
generator runs on the same cores: read the figures as ratios. On a busy machine the processor time
that a request costs all together (web, database, Redis) says more than requests per second. An
auto-reply is measured, with all that belongs to it: route, template, repeats, loop breaker, the
text and its reply in the log.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import flask_migrate
import psutil
from cryptography.fernet import Fernet

import config
from app import create_app
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.credential import Credential
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind
from app.models.template import Template, TemplateKind, TemplateVersion
from app.twilio import signature
from bench import load
from embedded import postgres, process, valkey

ROOT = Path(__file__).resolve().parents[1]
BASE_URL = "https://dispatch.example.edu"
ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "12345678901234567890123456789012"
NUMBER = "+13195550100"


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="dispatch-bench-") as name:
        folder = Path(name)
        redis = valkey.start(folder / "valkey")
        server = postgres.start({**_DURABLE, "jit": "off"})
        try:
            urls = {"SQLite": f"sqlite:///{folder / 'bench.db'}", "PostgreSQL": server.url()}
            print(f"{options.workers} workers, {options.connections} connections,"
                  f" {options.rounds} rounds of {options.seconds:g} s\n")  # fmt: skip
            print(f"{'':12}{'naive':>32}{'Dispatch':>32}{'ratio':>8}{'by CPU':>8}")
            for database, url in urls.items():
                _compare(database, url, redis, server, folder, options)
        finally:
            server.stop()
            redis.stop()


_DURABLE = {"fsync": "on", "max_connections": "100"}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    return parser.parse_args()


@dataclass(frozen=True)
class Measured:
    """One run under load, and the processor time that everything on the server's side took."""

    load: load.Result
    cpu: float
    """Seconds per request."""


def environment(url: str, redis: valkey.Valkey, workers: int) -> dict[str, str]:
    """Return the settings of a production with so many processes that answer Twilio."""
    return {
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "PUBLIC_BASE_URL": BASE_URL,
        "MAIL_FROM": "dispatch@example.edu",
        "SUPPORT_EMAIL": "support@example.edu",
        "DATABASE_URL": url,
        "REDIS_URL": redis.url,
        "LOG_LEVEL": "WARNING",
        # Half of these processes answer Twilio; the others have nothing to do here.
        "WEB_CONCURRENCY": str(2 * workers),
        "BENCH_AUTH_TOKEN": TOKEN,
    }


def _compare(
    database: str,
    url: str,
    redis: valkey.Valkey,
    server: postgres.Postgres,
    folder: Path,
    options: argparse.Namespace,
) -> None:
    environ = environment(url, redis, options.workers)
    _set_up(environ)
    found: dict[str, list[Measured]] = {"naive": [], "ours": []}
    plain = ["--config", str(folder / "plain.conf.py")]
    (folder / "plain.conf.py").write_text(f"workers = {options.workers}\n")
    shared = [server.process.pid, *([redis.process.pid] if redis.process else [])]
    with (
        _gunicorn("bench.naive:app", plain, environ, folder) as naive,
        _gunicorn("wsgi:app", ["--config", "gunicorn.conf.py"], environ, folder) as ours,
    ):
        for turn in range(options.rounds + 1):
            for name, (port, pid) in (("naive", naive), ("ours", ours)):
                seconds = options.seconds if turn else 2.0
                requests = list(_requests(int(seconds * 3000)))
                before = _cpu(pid, *shared)
                result = load.run(port, requests, options.connections, seconds)
                cpu = (_cpu(pid, *shared) - before) / max(len(result.times), 1)
                if result.failed:
                    sys.exit(f"{name} failed {result.failed} requests on {database}")
                if turn:  # the first warms up
                    found[name].append(Measured(result, cpu))
    _print(database, found["naive"], found["ours"])


def _cpu(*pids: int) -> float:
    """Return the processor time of these processes and of all that they started, in seconds."""
    total = 0.0
    for pid in pids:
        process_ = psutil.Process(pid)
        for one in (process_, *process_.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system
    return total


def _print(database: str, naive: list[Measured], ours: list[Measured]) -> None:
    def shown(runs: list[Measured]) -> str:
        rate = statistics.median(run.load.per_second for run in runs)
        late = statistics.median(run.load.percentile(0.99) for run in runs)
        cpu = statistics.median(run.cpu for run in runs)
        return f"{rate:6.0f}/s  p99 {late * 1000:4.0f} ms  {cpu * 1000:4.1f} ms"

    pairs = list(zip(naive, ours, strict=True))
    ratio = statistics.median(b.load.per_second / a.load.per_second for a, b in pairs)
    by_cpu = statistics.median(a.cpu / b.cpu for a, b in pairs)
    print(f"{database:12}{shown(naive):>32}{shown(ours):>32}{ratio:8.2f}{by_cpu:8.2f}", flush=True)


def _set_up(environ: dict[str, str]) -> None:
    """Migrate, and make one department whose number answers every text."""
    app = create_app(config.load(environ))
    with app.app_context():
        flask_migrate.upgrade(directory=str(ROOT / "migrations"))
        with unit_of_work() as session:
            client = Client(name="bench", owner_email="owner@example.edu", twilio_enabled=True)
            session.add(client)
            session.flush()
            credential = Credential(
                client_id=client.id, name="main", account_sid=ACCOUNT, auth_token=TOKEN
            )
            template = Template(client_id=client.id, name="away", kind=TemplateKind.REPLY)
            session.add_all([credential, template])
            session.flush()
            number = Sender(
                client_id=client.id, credential_id=credential.id, kind=SenderKind.TWILIO,
                address=NUMBER, rate=1.0,
            )  # fmt: skip
            version = TemplateVersion(
                template_id=template.id, number=1, created_by="bench",
                body="This is an automated service. Please call 319-335-0000.",
            )  # fmt: skip
            session.add_all([number, version])
            session.flush()
            session.add(
                Route(
                    client_id=client.id, sender_id=number.id, destination=Destination.SMS,
                    handler=Handler.AUTO_REPLY, template_id=template.id, updated_by="bench",
                )
            )  # fmt: skip
        db.engine.dispose()
    made = {**os.environ, **environ, "BENCH_CREATE": "1"}
    subprocess.run([sys.executable, "-c", "import bench.naive"], cwd=ROOT, env=made, check=True)


@contextmanager
def _gunicorn(
    application: str, flags: list[str], environ: dict[str, str], folder: Path
) -> Iterator[tuple[int, int]]:
    """Serve an application; lend its port and its process id."""
    port = process.free_port()
    log = folder / f"{application.replace(':', '-')}-{port}.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *flags, "--bind", f"127.0.0.1:{port}", application],
            cwd=ROOT, stdout=output, stderr=output,
            env={**os.environ, **environ, "BIND": f"127.0.0.1:{port}"},
        )  # fmt: skip
    try:
        _wait(port, running, log)
        yield port, running.pid
    finally:
        running.terminate()
        running.wait(15)


def _wait(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    probe = next(_requests(1))
    for _ in range(200):
        if running.poll() is not None:
            break
        if load.run(port, [probe], 1, 1).times:
            return
        time.sleep(0.1)
    sys.exit(f"gunicorn does not answer:\n{log.read_text()}")


def _requests(count: int) -> Iterator[bytes]:
    """Make signed requests as Twilio sends them, each with a SID and a phone of its own."""
    for _ in range(count):
        sid = "SM" + secrets.token_hex(16)
        form = {
            "ToCountry": "US", "ToState": "IA", "SmsMessageSid": sid, "NumMedia": "0",
            "ToCity": "IOWA CITY", "FromZip": "52240", "SmsSid": sid, "FromState": "IA",
            "SmsStatus": "received", "FromCity": "IOWA CITY", "Body": "When are you open?",
            "FromCountry": "US", "To": NUMBER, "ToZip": "52240", "NumSegments": "1",
            "MessageSid": sid, "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01",
            "From": f"+1319{secrets.randbelow(8_000_000) + 2_000_000}",
        }  # fmt: skip
        body = urlencode(form).encode()
        signed = signature.compute(f"{BASE_URL}/inbound/sms", form.items(), TOKEN)
        head = (
            "POST /inbound/sms HTTP/1.1\r\nHost: dispatch.example.edu\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nUser-Agent: TwilioProxy/1.1\r\n"
            f"X-Twilio-Signature: {signed}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


if __name__ == "__main__":
    main()
