"""The whole of Dispatch under everything at once, beside a naive stack: ``python -m bench.full``.

Out: ten clients with ten long codes each at one segment a second, and a short code at a hundred; a
Twilio that takes 80 ms and posts three status callbacks a text, each of which is relayed to one of
ten endpoints that take 5 ms. In: people who text, and adhocs of 44 members every three seconds, one
of them of 1,000. With ``--members 0 100000`` once without and once beside a batch of so many that
begins with the load; ``--share 0.02 --callbacks 0`` leaves it alone with those who text in. Load,
Twilio and endpoints are processes of their own, whose processor time is told beside ours. The naive
stack has no adhocs, no pace, no signatures, no second tries and no batches.

Everything shares this machine: where it is busy, read what a text costs, and the ratios.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.full import shape
from bench.full.stacks import Naive, Ours
from bench.load import cpu_of
from embedded import postgres, valkey
from embedded.process import free_port
from tests.support.databases import migrate
from tests.support.environment import BASE
from tests.support.processes import ROOT

LATENCY, ENDPOINT = "0.08", "0.005"
SETTLE = 5.0
"""Seconds after the load in which callbacks and events may still come."""


@dataclass(frozen=True)
class Measured:
    """What one run showed."""

    twilio: dict[str, float]
    endpoints: dict[str, float]
    traffic: dict[str, Any]
    cpu: dict[str, float]
    """Seconds, by part."""
    pss: float
    """Of the stack's own processes, in MB; database and Redis aside."""
    oldest: tuple[float, float]


def main() -> None:
    """Measure and print."""
    options = _options()
    for database in options.databases:
        share = options.share / (2 if database == "sqlite" and options.halve else 1)
        print(f"\n{database}: {200 * share:g} texts/s allowed, {options.callbacks} callbacks each,"
              f" {options.incoming:g} texts/s in, {options.seconds:g} s")  # fmt: skip
        for members in options.members if "ours" in options.stacks else ():
            beside = f", beside a batch of {members:,} that begins" if members else ""
            _print(Ours.name + beside, _measure(Ours, database, share, options, members), share)
        if "naive" in options.stacks:
            _print(Naive.name, _measure(Naive, database, share, options), share)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.full", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--share", type=float, default=0.5, help="of 200 texts a second")
    parser.add_argument("--no-halving", dest="halve", action="store_false", help="SQLite as well")
    parser.add_argument("--callbacks", type=int, choices=range(4), default=3)
    parser.add_argument("--incoming", type=float, default=10, help="texts a second")
    parser.add_argument("--members", type=int, nargs="+", default=[0], help="of a batch beside")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--stacks", nargs="+", default=["ours", "naive"])
    return parser.parse_args()


def _measure(
    kind: type[Ours] | type[Naive],
    database: str,
    share: float,
    options: argparse.Namespace,
    members: int = 0,
) -> Measured:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dispatch-bench-")))
        redis = valkey.start(folder / "valkey")
        stack.callback(redis.stop)
        url, servers = f"sqlite:///{folder / 'bench.db'}", {"redis": redis.process}
        if database == "postgresql":
            server = postgres.start({"fsync": "on", "max_connections": "100", "jit": "off"})
            stack.callback(server.stop)
            url, servers["postgres"] = server.url(), server.process
        port = free_port()
        environ = {
            **BASE, "DATABASE_URL": url, "REDIS_URL": redis.url, "PORT": str(port),
            "BIND": f"127.0.0.1:{port}", "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8", "INSTANCE_FOLDER": str(folder / "instance"),
            "BENCH_AUTH_TOKEN": shape.TOKEN,
        }  # fmt: skip
        twilio, twilio_port = _world(stack, "twilio", LATENCY, str(options.callbacks))
        endpoints, endpoints_port = _world(stack, "endpoints", ENDPOINT)
        environ["TWILIO_API_BASE_URL"] = f"http://127.0.0.1:{twilio_port}"
        if kind is Ours:
            migrate(url)
        running = kind(stack, folder, environ)
        running.fill(endpoints_port, share, options.seconds + 2 * SETTLE, members)
        running.start()
        pids = {name: one.pid for name, one in running.parts.items()}
        pids |= {name: one.pid for name, one in servers.items() if one is not None}
        before = {name: cpu_of(pid) for name, pid in pids.items()}
        traffic = subprocess.Popen(
            [sys.executable, "-m", "bench.full.traffic", str(port), environ["PUBLIC_BASE_URL"],
             str(options.seconds), str(options.incoming), running.adhocs],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(traffic.kill)
        oldest = [running.oldest()]
        if members and isinstance(running, Ours):
            running.start_batch()
        while traffic.poll() is None:
            time.sleep(1)
            oldest.append(running.oldest())
        if members and isinstance(running, Ours):
            print(f"    of its members {running.prepared():,} were prepared meanwhile")
        cpu = {name: cpu_of(pid) - before[name] for name, pid in pids.items()}
        pss = sum(_pss(one.pid) for one in running.parts.values())
        assert traffic.stdout is not None
        seen = json.loads(traffic.stdout.read())
        done = [_end(one) for one in (twilio, endpoints)]
        if complaints := running.complaints():
            print(complaints[-3000:], file=sys.stderr)
        return Measured(
            done[0], done[1], seen, cpu, pss,
            (max(report for report, _ in oldest), max(event for _, event in oldest)),
        )  # fmt: skip


def _world(stack: ExitStack, *arguments: str) -> tuple[subprocess.Popen[str], int]:
    started = subprocess.Popen(
        [sys.executable, "-m", "bench.full.world", *arguments],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    stack.callback(started.kill)
    assert started.stdout is not None
    return started, int(started.stdout.readline())


def _end(world: subprocess.Popen[str]) -> dict[str, float]:
    output, _ = world.communicate("\n", timeout=30)
    found: dict[str, float] = json.loads(output)
    return found


def _pss(pid: int) -> float:
    total = 0
    root = psutil.Process(pid)
    for one in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += one.memory_full_info().pss
    return total / 1e6


def _print(name: str, found: Measured, share: float) -> None:
    texts = found.twilio["texts"]
    span = max(found.twilio["last"] - found.twilio["first"], 1e-9)
    rate = texts / span
    print(f"\n  {name}")
    print(
        f"    texts out        {texts:7.0f}   {rate:6.1f}/s, {rate / (200 * share):.2f} of allowed"
    )
    print(f"    callbacks in     {found.twilio['callbacks']:7.0f}"
          f"   {found.twilio['callbacks refused']:.0f} never taken")  # fmt: skip
    print(f"    events out       {found.endpoints['events']:7.0f}"
          f"   oldest on arrival {found.endpoints['oldest']:.1f} s")  # fmt: skip
    print(f"    waiting at most  reports {found.oldest[0]:.1f} s, events {found.oldest[1]:.1f} s")
    for kind, took in found.traffic["took"].items():
        if took:
            took.sort()
            p50, p99, most = (
                took[min(int(len(took) * at), len(took) - 1)] for at in (0.5, 0.99, 1)
            )
            print(f"    {kind:16} {len(took):7}   p50 {p50 * 1000:.0f}  p99 {p99 * 1000:.0f}"
                  f"  max {most * 1000:.0f} ms,"
                  f" {found.traffic['failed'].get(kind, 0)} failed")  # fmt: skip
    each = {part: spent / max(texts, 1) * 1000 for part, spent in sorted(found.cpu.items())}
    print("    ms of processor a text:", ", ".join(f"{part} {ms:.2f}" for part, ms in each.items()),
          f"= {sum(each.values()):.2f}")  # fmt: skip
    beside = {"load": found.traffic, "Twilio": found.twilio, "endpoints": found.endpoints}
    print(
        "    beside it, seconds:",
        ", ".join(f"{part} {one['cpu']:.1f}" for part, one in beside.items()),
    )
    print(f"    PSS {found.pss:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
