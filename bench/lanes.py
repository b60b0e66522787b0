"""How evenly, and how near their allowed rate, lanes send: ``python -m bench.lanes``.

Real workers on PostgreSQL and Valkey, against a Twilio that answers after 80 ms and notes when each
request arrived. Two runs: lanes at 1, 3 and 100 segments per second with texts of one and of three
segments; then a hundred lanes at 1 and one at 100. With ``--lanes 10000`` only one: so many lanes,
whose turns are spread evenly so that together 100 texts a second fall due, and what that costs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask
from sqlalchemy import insert

import config
from app import create_app
from app.extensions import unit_of_work
from app.models.base import new_id
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Lane, Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from bench.load import cpu_of
from embedded import process, valkey
from tests.support.databases import PostgresTemplate
from tests.support.environment import BASE

ROOT = Path(__file__).resolve().parents[1]
LATENCY = 0.08
BODIES = {1: "a" * 40, 3: "a" * 400}
Received = dict[str, list[tuple[float, int]]]


def furnish(
    app: Flask, rates: Mapping[str, float], seconds: float, mixed: bool, spread: bool = False
) -> None:
    """Put enough texts for `seconds` into the lane of each sender, to different people.

    :param spread: let their first turns come evenly, one after the other, from now on.
    """
    now_us = int(time.time() * 1_000_000)
    person = 0
    with app.app_context(), unit_of_work() as session:
        client = Client(id=new_id(), name="bench", owner_email="o@example.edu", twilio_enabled=True)
        session.add(client)
        session.flush()
        credential = Credential(
            id=new_id(), client_id=client.id, name="main", account_sid="AC" + "0" * 32,
            auth_token="t" * 32,
        )  # fmt: skip
        session.add(credential)
        session.flush()
        for place, (address, rate) in enumerate(rates.items()):
            first = now_us + int(1_000_000 * place / rate / len(rates)) if spread else 0
            sender = Sender(
                id=new_id(), client_id=client.id, credential_id=credential.id, rate=rate,
                kind=SenderKind.TWILIO, address=address,
            )  # fmt: skip
            session.add_all([sender, Lane(key=f"sms:{sender.id}", rate=rate, next_slot_us=first)])
            session.flush()
            rows, left = [], rate * seconds
            while left > 0:
                person += 1
                size = 3 if mixed and person % 3 == 0 else 1
                left -= size
                rows.append(
                    {
                        "id": new_id(), "client_id": client.id, "destination": Destination.SMS,
                        "sender_id": sender.id, "credential_id": credential.id,
                        "to": f"+1515{2_000_000 + person}", "from_": address,
                        "body": BODIES[size], "segments": size, "state": MessageState.WAITING,
                        "lane_key": f"sms:{sender.id}", "due_at": datetime.now(UTC),
                    }
                )  # fmt: skip
            session.execute(insert(Message), rows)


def measure(
    rates: Mapping[str, float], seconds: float, workers: int, mixed: bool, spread: bool = False
) -> tuple[Received, float]:
    """Send for `seconds`; return, by sender, when each text arrived at Twilio and its segments.

    And the processor time of all that took part but Twilio, in seconds.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dispatch-bench-")))
        database = PostgresTemplate()
        stack.callback(database.stop)
        server = valkey.start(folder / "redis")
        stack.callback(server.stop)
        twilio = subprocess.Popen(
            [sys.executable, "-m", "bench.twilio", str(LATENCY)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(twilio.kill)
        assert twilio.stdout is not None
        environ = {
            **BASE,
            "DATABASE_URL": database.url,
            "REDIS_URL": server.url,
            "TWILIO_API_BASE_URL": f"http://127.0.0.1:{twilio.stdout.readline().strip()}",
        }
        furnish(create_app(config.load(environ)), rates, seconds + 10, mixed, spread)
        flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
        log = stack.enter_context((folder / "log").open("w+b"))
        pids = [database.pid, *([server.process.pid] if server.process else [])]
        for command in [["worker", "send"]] * workers + [["clock"]]:
            started = process.spawn(
                [*flask, *command], output=log, cwd=ROOT, env={**os.environ, **environ}
            )
            pids.append(started.pid)
            stack.callback(process.stop, started, process.signal.SIGTERM, 15)
        time.sleep(8)  # until they have started
        before = cpu_of(*pids)
        time.sleep(seconds)
        cpu = cpu_of(*pids) - before
        output, _ = twilio.communicate("\n", timeout=30)
        log.seek(0)
        sys.stdout.write(log.read().decode()[-2000:])
    received: Received = defaultdict(list)
    for line in output.splitlines():
        at, sender, _, body = json.loads(line)
        received[sender].append((at, 3 if len(body) > 160 else 1))
    return received, cpu


def most_in(arrivals: list[tuple[float, int]], window: float) -> tuple[int, int]:
    """Return the most segments that arrived within any `window` seconds, and the last one's."""
    most, begin, total = (0, 1), 0, 0
    for at, size in arrivals:
        total += size
        while arrivals[begin][0] <= at - window:
            total -= arrivals[begin][1]
            begin += 1
        most = max(most, (total, size))
    return most


def report(name: str, rates: Mapping[str, float], received: Received, least: float) -> bool:
    """Print what arrived, by rate; return whether it was as it must be."""
    print(f"\n{name}\n  rate   lanes  sent/allowed (least)   most in 1 s   most in 10 s")
    good = True
    by_rate = defaultdict(list)
    for address, rate in rates.items():
        by_rate[rate].append(sorted(received[address]))
    # From the first arrival of each lane to the last arrival of all: what each could have sent.
    end = max(at for lanes in by_rate.values() for arrivals in lanes for at, _ in arrivals)
    sent_in_all = allowed_in_all = 0.0
    for rate, lanes in sorted(by_rate.items()):
        shares, seconds, tens = [], [], []
        for arrivals in lanes:
            # What began within the time is counted, as far as its slot lies within it.
            span = end - arrivals[0][0]
            last_at, last = arrivals[-1]
            sent = sum(size for _, size in arrivals) - last + min(last, rate * (end - last_at))
            allowed = rate * span
            sent_in_all += sent
            allowed_in_all += allowed
            shares.append(sent / allowed)
            seconds.append(most_in(arrivals, 1))
            tens.append(most_in(arrivals, 10))
        share = sum(shares) / len(shares)
        (one, one_size), (ten, ten_size) = max(seconds), max(tens)
        fits = one <= rate + one_size + 1e-9 and ten <= 10 * rate + ten_size + 1e-9
        good = good and fits
        print(
            f"  {rate:5g}  {len(lanes):5}  {share:8.3f}  ({min(shares):.3f})"
            f"       {one:5} ≤ {rate + one_size:<5g} {ten:6} ≤ {10 * rate + ten_size:<6g}"
            f" {'' if fits else 'TOO MANY'}"
        )
    share = sent_in_all / allowed_in_all
    print(f"  sent over allowed: {share:.4f} (at least {least})")
    return good and share >= least


def sparse(lanes: int, seconds: float, workers: int) -> int:
    """Measure many lanes that seldom send; the exit code tells whether they kept up."""
    together = 100.0
    rates = {f"+1319{2_000_000 + number}": together / lanes for number in range(lanes)}
    received, cpu = measure(rates, seconds, workers, False, spread=True)
    times = sorted(at for arrivals in received.values() for at, _ in arrivals)
    end = times[-1]
    last = sum(at > end - seconds / 2 for at in times) / (seconds / 2)
    in_time = sum(at > end - seconds for at in times)
    print(f"{lanes} lanes: {last:.1f} of {together:g} texts/s in the second half;"
          f" {cpu / max(in_time, 1) * 1000:.2f} ms of processor a text")  # fmt: skip
    return 0 if last >= 0.97 * together else 1


def main() -> int:
    """Measure both runs; the exit code tells whether they were as they must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lanes", type=int, help="so many lanes, 100 texts a second together")
    arguments = parser.parse_args()
    if arguments.lanes:
        return sparse(arguments.lanes, arguments.seconds, arguments.workers)
    three = {"+13195550001": 1.0, "+13195550003": 3.0, "+13195550100": 100.0}
    many = {f"+1319555{number:04}": 1.0 for number in range(1000, 1100)} | {"+13195550100": 100.0}
    good = True
    for name, rates, mixed, least in (
        ("1, 3 and 100 per second, texts of one and three segments", three, True, 0.98),
        ("100 lanes at 1 per second and one at 100", many, False, 0.97),
    ):
        received, _ = measure(rates, arguments.seconds, arguments.workers, mixed)
        good = report(name, rates, received, least) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
