"""`python -m bench.steps`: each step of a call beside `POST /inbound/voice`, in one run.

So many calls come in, and each goes through a menu, a phone that is picked up and not taken, and a
voice message: all calls take one step before any takes the next. Every figure is divided by that of
`/inbound/voice` just before; the load generator runs on the same cores, so read the ratios.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import select

import config
from app import create_app
from app.domain.routing import routes
from app.extensions import db, unit_of_work
from app.models.incoming import Incoming
from app.models.route import Destination
from app.models.sender import Sender
from app.twilio import signature
from bench import inbound, load
from bench.inbound import ACCOUNT, BASE_URL, NUMBER, TOKEN
from embedded import postgres, valkey

ROUTE = {
    "handler": "menu", "say": "For the office, press 1.",
    "keys": {
        "1": {
            "handler": "ring", "people": [{"to": "+13195550175", "name": "Pat"}],
            "otherwise": {"handler": "voicemail", "say": "Please leave a message."},
        }
    },
}  # fmt: skip
WARM = 100
"""Calls that take every step before anything is measured."""
Form = dict[str, str]


@dataclass(frozen=True)
class Call:
    """One call: its SID, its caller, and our id of it once it is in the log."""

    sid: str
    phone: str
    id: str = ""


@dataclass(frozen=True)
class Row:
    """One thing that Twilio asks or tells."""

    name: str
    path: Callable[[Call], str]
    told: Form
    leg: bool = False
    """It is about the phone that rings."""
    expected: bytes = b"HTTP/1.1 200"


def _step(at: str, what: str) -> Callable[[Call], str]:
    query = urlencode({"at": at, "step": what, "turn": 0})
    return lambda call: f"/inbound/voice/step/{call.id}?{query}"


RECORDED = {"RecordingDuration": "4"}
ROWS = (
    Row("/inbound/voice", lambda _: "/inbound/voice", {"CallStatus": "ringing"}),
    Row("a key", _step("", "chosen"), {"Digits": "1"}),
    Row("somebody picks up", _step("keys.1", "picked-up"), {}, leg=True),
    Row("and does not take it", _step("keys.1", "key"), {"Digits": ""}, leg=True),
    Row("the phone has rung", _step("keys.1", "rung"), {"DialCallStatus": "no-answer"}),
    Row("a message", lambda call: f"/inbound/voice/step/{call.id}/recorded", RECORDED),
    Row("the call is over", lambda _: "/inbound/voice/status",
        {"CallStatus": "completed", "CallDuration": "40"}, expected=b"HTTP/1.1 204"),
)  # fmt: skip


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="dispatch-bench-") as name:
        folder = Path(name)
        redis = valkey.start(folder / "valkey")
        server = postgres.start({"fsync": "on", "max_connections": "100", "jit": "off"})
        try:
            print(f"{options.calls} calls, {options.connections} connections\n")
            urls = {"SQLite": f"sqlite:///{folder / 'bench.db'}", "PostgreSQL": server.url()}
            for database, url in urls.items():
                _measure(database, url, redis, server, folder, options)
        finally:
            server.stop()
            redis.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--connections", type=int, default=8)
    return parser.parse_args()


def _measure(
    database: str,
    url: str,
    redis: valkey.Valkey,
    server: postgres.Postgres,
    folder: Path,
    options: argparse.Namespace,
) -> None:
    environ = inbound.environment(url, redis, 2)
    inbound._set_up(environ)
    app = create_app(config.load(environ))
    with app.app_context(), unit_of_work() as session:
        number = session.scalars(select(Sender).filter_by(address=NUMBER)).one()
        spec = routes.parse(Destination.VOICE, ROUTE)
        routes.save_route(session, number, Destination.VOICE, spec, "bench")
    shared = [server.process.pid, *([redis.process.pid] if redis.process else [])]
    flags = ["--config", "gunicorn.conf.py"]
    with inbound._gunicorn("wsgi:app", flags, environ, folder) as (port, pid):
        others = _calls(WARM)
        for row in ROWS:  # what each step does for the first time in a process is not measured
            load.run(port, list(_requests(row, others)), options.connections, 60, row.expected)
            others = _logged(app, others)
        calls, base = _calls(options.calls), 0.0
        for row in ROWS:
            before = load.cpu_of(pid, *shared)
            result = load.run(port, list(_requests(row, calls)), options.connections, 300,
                              row.expected)  # fmt: skip
            cpu = (load.cpu_of(pid, *shared) - before) / max(len(result.times), 1)
            if result.failed:
                sys.exit(f"“{row.name}” failed {result.failed} times on {database}")
            base = base or cpu
            print(f"{database:12}{row.name:24}{result.per_second:7.0f}/s"
                  f"  p99 {result.percentile(0.99) * 1000:4.0f} ms"
                  f"  {cpu * 1000:5.1f} ms CPU {base / cpu:6.2f}", flush=True)  # fmt: skip
            if row is ROWS[0]:
                calls = _logged(app, calls)


def _calls(count: int) -> list[Call]:
    """Make calls, each of a phone of its own."""
    return [
        Call("CA" + secrets.token_hex(16), f"+1319{secrets.randbelow(8_000_000) + 2_000_000}")
        for _ in range(count)
    ]


def _logged(app, calls: list[Call]) -> list[Call]:
    with app.app_context():
        ids = dict(db.session.execute(select(Incoming.sid, Incoming.id)).all())
    return [Call(one.sid, one.phone, ids[one.sid]) for one in calls]


def _requests(row: Row, calls: list[Call]) -> Iterator[bytes]:
    """Make signed requests as Twilio sends them."""
    for call in calls:
        form = {
            "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "CallSid": call.sid,
            "CallStatus": "in-progress", "Called": NUMBER, "Caller": call.phone,
            "Direction": "inbound", "From": call.phone, "To": NUMBER, **row.told,
        }  # fmt: skip
        if row.leg:
            form |= {"CallSid": "CA" + secrets.token_hex(16), "ParentCallSid": call.sid}
        if row.told is RECORDED:
            form |= {"RecordingSid": "RE" + secrets.token_hex(16)}
        path, body = row.path(call), urlencode(form).encode()
        signed = signature.compute(BASE_URL + path, form.items(), TOKEN)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: dispatch.example.edu\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nUser-Agent: TwilioProxy/1.1\r\n"
            f"X-Twilio-Signature: {signed}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


if __name__ == "__main__":
    main()
