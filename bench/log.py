"""Whether a long log costs anything: an incoming text beside an empty log and a million messages.

    python -m bench.log [--messages 1000000] [--database sqlite|postgresql]

Two databases stand side by side, one empty and one filled within the database itself: half of its
messages came in, half went out, from 200,000 phones in 44 days. The same web process is started
for each; both are asked in turns, so that what else the machine does meets both. Afterwards the
jobs that walk the log (counting usage, retention) are timed on the full one, a slice of each.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import String, cast, delete, insert, literal, select, text
from sqlalchemy.orm import Session
from sqlalchemy.sql import FromClause

import config
from app import create_app
from app.domain.clients import usage
from app.extensions import db, unit_of_work
from app.maintenance import retention
from app.maintenance import usage as usage_rules
from app.models.base import UtcDateTime, utcnow
from app.models.client import Client
from app.models.credential import Credential
from app.models.house import Bookmark, UsageEntry
from app.models.incoming import Incoming, Outcome
from app.models.message import Direction, Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from bench import inbound, load
from embedded import postgres, valkey

DAYS = 44
PHONES = 200_000


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="dispatch-bench-") as name:
        folder = Path(name)
        redis = valkey.start(folder / "valkey")
        try:
            for database in options.database or ("sqlite", "postgresql"):
                _compare(database, folder, redis.url, options)
        finally:
            redis.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--database", action="append", choices=("sqlite", "postgresql"))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4)
    return parser.parse_args()


def _compare(database: str, folder: Path, redis_url: str, options: argparse.Namespace) -> None:
    servers: list[postgres.Postgres] = []

    def environ(name: str) -> dict[str, str]:
        url = f"sqlite:///{folder / name}.db"
        if database == "postgresql":
            servers.append(postgres.start({"fsync": "on", "jit": "off"}))
            url = servers[-1].url()
        return _environ(url, redis_url)

    try:
        empty, full = environ("empty"), environ("full")
        for one in (empty, full):
            inbound._set_up(one)
        began = time.perf_counter()
        _inside(full, lambda: _fill(options.messages))
        print(f"{database}: {options.messages:,} messages in {time.perf_counter() - began:.0f} s")
        _answer(empty, full, folder, options)
        _inside(full, _walk)
    finally:
        for server in servers:
            server.stop()


def _environ(url: str, redis_url: str) -> dict[str, str]:
    return {
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "PUBLIC_BASE_URL": inbound.BASE_URL,
        "MAIL_FROM": "dispatch@example.edu",
        "SUPPORT_EMAIL": "support@example.edu",
        "DATABASE_URL": url,
        "REDIS_URL": redis_url,
        "LOG_LEVEL": "WARNING",
        "WEB_CONCURRENCY": "1",
        "BENCH_AUTH_TOKEN": inbound.TOKEN,
    }


def _inside(environ: dict[str, str], work: Callable[[], None]) -> None:
    app = create_app(config.load({**os.environ, **environ}))
    with app.app_context():
        work()
        db.session.rollback()
        db.engine.dispose()


def _fill(messages: int) -> None:
    """Write the log with a few statements; the database makes the rows."""
    per_day = messages // 2 // DAYS
    now = utcnow()
    for day in range(DAYS):
        with unit_of_work() as session:
            series = _series(day * per_day, per_day)
            at = literal(now - timedelta(days=DAYS - day), UtcDateTime())
            _insert(session, Message, _outgoing(session, series, at), series)
            _insert(session, Incoming, _came_in(session, series, at), series)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def _series(start: int, count: int) -> FromClause:
    numbers = select(literal(start).label("n")).cte("series", recursive=True)
    return numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < start + count - 1))


def _insert(session: Session, model: Any, values: dict[Any, Any], series: FromClause) -> None:
    chosen = select(*(value for value in values.values())).select_from(series)
    names = [key.property.columns[0].name for key in values]
    session.execute(insert(model.__table__).from_select(names, chosen, include_defaults=False))


def _outgoing(session: Session, series: FromClause, at: Any) -> dict[Any, Any]:
    n, who = series.c.n, _who(session)
    return {
        Message.id: _id("1", n),
        Message.client_id: literal(who["client"]),
        Message.destination: literal(Destination.SMS.value),
        Message.direction: literal(Direction.API.value),
        Message.sender_id: literal(who["sender"]),
        Message.credential_id: literal(who["credential"]),
        Message.to: _phone(n),
        Message.from_: literal(inbound.NUMBER),
        Message.body: literal("Your class starts on Monday in room 12."),
        Message.media: text("'[]'"),
        Message.options: text("'{}'"),
        Message.segments: literal(1),
        Message.step: literal(0),
        Message.state: literal(MessageState.ACCEPTED.value),
        Message.tries: literal(1),
        Message.checks: literal(0),
        Message.status: literal("delivered"),
        Message.status_sequence: literal(5),
        Message.sid: _sid("SM1", n),
        Message.accepted_at: at,
        Message.created_at: at,
        Message.updated_at: at,
        Message.commit_order: n,
    }


def _came_in(session: Session, series: FromClause, at: Any) -> dict[Any, Any]:
    n, who = series.c.n, _who(session)
    return {
        Incoming.id: _id("2", n),
        Incoming.client_id: literal(who["client"]),
        Incoming.destination: literal(Destination.SMS.value),
        Incoming.sid: _sid("SM2", n),
        Incoming.sender_id: literal(who["sender"]),
        Incoming.from_: _phone(n),
        Incoming.to: literal(inbound.NUMBER),
        Incoming.body: literal("When are you open?"),
        Incoming.media: text("'[]'"),
        Incoming.parameters: text("'{}'"),
        Incoming.segments: literal(1),
        Incoming.received_at: at,
        Incoming.updated_at: at,
        Incoming.recovered: text("false"),
        Incoming.flagged: text("false"),
        Incoming.outcome: literal(Outcome.REPLIED.value),
        Incoming.answer: literal("<Response/>"),
        Incoming.commit_order: n,
    }


def _who(session: Session) -> dict[str, str]:
    return {
        "client": session.scalars(select(Client.id)).one(),
        "sender": session.scalars(select(Sender.id)).one(),
        "credential": session.scalars(select(Credential.id)).one(),
    }


def _id(kind: str, n: Any) -> Any:
    return literal(f"0{kind}" + "0" * 14) + cast(n + 10**9, String)


def _sid(start: str, n: Any) -> Any:
    return literal(start + "0" * 21) + cast(n + 10**9, String)


def _phone(n: Any) -> Any:
    return literal("+1319") + cast(n % PHONES + 2_000_000, String)


def _answer(
    empty: dict[str, str], full: dict[str, str], folder: Path, options: argparse.Namespace
) -> None:
    found: dict[str, list[float]] = {"empty": [], "full": []}
    with (
        inbound._gunicorn("wsgi:app", empty, folder) as (first, _),
        inbound._gunicorn("wsgi:app", full, folder) as (second, _),
    ):
        for turn in range(options.rounds + 1):
            for name, port in (("empty", first), ("full", second)):
                requests = list(inbound._requests(int(options.seconds * 500)))
                result = load.run(port, requests, 1, options.seconds)
                if result.failed:
                    raise SystemExit(f"{result.failed} requests failed with the {name} log")
                if turn:  # the first warms up
                    found[name] += result.times
    for name, times in found.items():
        cuts = statistics.quantiles(times, n=100)
        print(f"  {name:6} p50 {cuts[49] * 1000:6.2f} ms  p99 {cuts[98] * 1000:6.2f} ms"
              f"  ({len(times):,} texts, one at a time)")  # fmt: skip
    ratio = statistics.median(found["full"]) / statistics.median(found["empty"])
    print(f"  p50 full ÷ empty: {ratio:.2f}", flush=True)


def _walk() -> None:
    """Time what the clock does with the full log."""
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("usage tick, 10,000 rows", usage_rules.tick),
        ("usage count, a page of the API", lambda: usage.count(limit=4 * usage.CHUNK)),
        ("usage prune", usage_rules.prune),
        ("retention tick", retention.tick),
    )
    for name, work in steps:
        began = time.perf_counter()
        work()
        db.session.rollback()
        print(f"  {name:44} {time.perf_counter() - began:6.2f} s", flush=True)
    _mark_counted()
    for name, work in steps[1:]:
        began = time.perf_counter()
        work()
        db.session.rollback()
        print(f"  {name + ', all counted':44} {time.perf_counter() - began:6.2f} s", flush=True)


def _mark_counted() -> None:
    """Write the entries of usage as if everything had been counted long ago."""
    zeros = {name: literal(0) for name in usage.FIGURES}
    names = ["id", "client_id", "month", *zeros]
    with unit_of_work() as session:
        session.execute(delete(UsageEntry))
        for model in (Message, Incoming):
            rows = select(model.id, model.client_id, literal("2026-01"), *zeros.values())
            session.execute(insert(UsageEntry).from_select(names, rows, include_defaults=False))
        for name in ("messages", "incoming"):
            session.merge(Bookmark(name=f"{usage.BOOKMARK}:{name}", at=utcnow()))


if __name__ == "__main__":
    main()
