"""What a status report costs beside a naive route that writes one row, and applying it.

    python -m bench.reports

Processor time of everything on the server's side (web, database, Redis) per report, signature and
commit included; both in one run, on SQLite and on PostgreSQL. Then the reports are applied, which
is measured in this process.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from cryptography.fernet import Fernet
from sqlalchemy import func, select

import config
from app import create_app
from app.domain.relaying import outbox  # noqa: F401 - its listeners, as in every process
from app.extensions import db, unit_of_work
from app.models.base import new_id
from app.models.credential import Credential
from app.models.message import JournaledReport, Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.outbound.afterwards import reports
from app.twilio import signature
from bench import load
from bench.inbound import (
    _DURABLE,
    ACCOUNT,
    BASE_URL,
    NUMBER,
    TOKEN,
    _cpu,
    _gunicorn,
    _set_up,
)
from embedded import postgres, valkey

TEXTS = 1500
WORDS = ("queued", "sent", "delivered")
CONNECTIONS = 16


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="dispatch-bench-") as name:
        folder = Path(name)
        redis = valkey.start(folder / "valkey")
        server = postgres.start({**_DURABLE, "jit": "off"})
        try:
            for url in (f"sqlite:///{folder / 'bench.db'}", server.url()):
                _compare(url, redis, server, folder)
        finally:
            server.stop()
            redis.stop()


def _compare(url: str, redis: valkey.Valkey, server: postgres.Postgres, folder: Path) -> None:
    environ = {
        "ENVIRONMENT": "production", "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(), "PUBLIC_BASE_URL": BASE_URL,
        "MAIL_FROM": "dispatch@example.edu", "SUPPORT_EMAIL": "support@example.edu",
        "DATABASE_URL": url, "REDIS_URL": redis.url, "LOG_LEVEL": "WARNING",
        "WEB_CONCURRENCY": "4", "BENCH_AUTH_TOKEN": TOKEN,
    }  # fmt: skip
    _set_up(environ)
    app = create_app(config.load(environ))
    texts = _texts(app)
    plain = folder / "plain.conf.py"
    plain.write_text("workers = 2\n")
    shared = [server.process.pid, *([redis.process.pid] if redis.process else [])]
    found: dict[str, tuple[float, load.Result]] = {}
    with (
        _gunicorn("bench.naive:app", ["--config", str(plain)], environ, folder) as naive,
        _gunicorn("wsgi:app", ["--config", "gunicorn.conf.py"], environ, folder) as ours,
    ):
        for name, (port, pid) in (("naive", naive), ("ours", ours)):
            for part in (texts[:100], texts[100:]):  # the first warms up
                requests = list(_requests(part))
                before = _cpu(pid, *shared)
                result = load.run(port, requests, CONNECTIONS, 60, b"HTTP/1.1 204")
                if result.failed:
                    sys.exit(f"{name} failed {result.failed} requests")
                found[name] = ((_cpu(pid, *shared) - before) / len(result.times), result)
    for name, (cpu, result) in found.items():
        print(f"{url[:6]} {name:6} {result.per_second:6.0f}/s  p99"
              f" {result.percentile(0.99) * 1000:4.0f} ms  {cpu * 1000:5.2f} ms")  # fmt: skip
    print(f"{url[:6]} ours : naive, by processor time: {found['ours'][0] / found['naive'][0]:.2f}")
    with app.app_context():
        waiting = db.session.scalar(select(func.count()).select_from(JournaledReport))
        db.session.rollback()
        began, cpu, server_cpu = time.monotonic(), time.process_time(), _cpu(*shared)
        reports.drain()
        cpu = time.process_time() - cpu + _cpu(*shared) - server_cpu
        print(f"{url[:6]} applied {waiting} in {time.monotonic() - began:.1f} s,"
              f" {cpu / max(waiting or 0, 1) * 1000:.2f} ms each\n", flush=True)  # fmt: skip
        db.engine.dispose()


def _texts(app: object) -> list[tuple[str, str, str]]:
    """Make texts that Twilio has taken; return id, SID and phone of each."""
    with app.app_context():  # type: ignore[attr-defined]
        sender = db.session.scalars(select(Sender)).one()
        credential = db.session.scalars(select(Credential)).one()
        made = [(new_id(), "SM" + secrets.token_hex(16), f"+1319555{n:04}") for n in range(TEXTS)]
        with unit_of_work() as session:
            session.add_all(
                Message(
                    id=id_, client_id=sender.client_id, destination=Destination.SMS, to=to,
                    sender_id=sender.id, credential_id=credential.id, from_=NUMBER, sid=sid,
                    body="Class starts on Monday.", state=MessageState.ACCEPTED,
                )
                for id_, sid, to in made
            )  # fmt: skip
        db.session.remove()
        return made


def _requests(texts: list[tuple[str, str, str]]) -> Iterator[bytes]:
    for word in WORDS:
        for id_, sid, to in texts:
            form = {
                "SmsSid": sid, "SmsStatus": word, "MessageStatus": word, "To": to,
                "MessageSid": sid, "AccountSid": ACCOUNT, "From": NUMBER,
                "ApiVersion": "2010-04-01",
            }  # fmt: skip
            path = f"/inbound/sms/status/{id_}"
            body = urlencode(form).encode()
            signed = signature.compute(f"{BASE_URL}{path}", form.items(), TOKEN)
            head = (
                f"POST {path} HTTP/1.1\r\nHost: dispatch.example.edu\r\nConnection: close\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\nUser-Agent: TwilioProxy/1.1\r\n"
                f"X-Twilio-Signature: {signed}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            yield head.encode() + body


if __name__ == "__main__":
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    main()
