"""Posts prepared requests over a number of connections and takes the time of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Result:
    """What one run measured; times in seconds."""

    seconds: float
    times: Sequence[float]
    failed: int

    @property
    def per_second(self) -> float:
        """Answered requests per second."""
        return len(self.times) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the time within which this share of the requests was answered."""
        ordered = sorted(self.times)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def run(
    port: int,
    requests: Sequence[bytes],
    connections: int,
    seconds: float,
    expected: bytes = b"HTTP/1.1 200",
) -> Result:
    """Post `requests` in their order for `seconds`, `connections` at a time.

    :param expected: how an answer begins that has not failed.
    """
    return asyncio.run(_run(port, iter(requests), connections, seconds, expected))


async def _run(
    port: int, requests: Iterator[bytes], connections: int, seconds: float, expected: bytes
) -> Result:
    times: list[float] = []
    failed = 0
    started = time.perf_counter()
    end = started + seconds

    async def client() -> None:
        nonlocal failed
        while time.perf_counter() < end:
            request = next(requests, None)
            if request is None:
                return
            before = time.perf_counter()
            if (await post(port, request)).startswith(expected):
                times.append(time.perf_counter() - before)
            else:
                failed += 1

    await asyncio.gather(*(client() for _ in range(connections)))
    return Result(time.perf_counter() - started, times, failed)


async def post(port: int, request: bytes) -> bytes:
    """Return the answer, empty if there is none; workers close the connection after each."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read(-1)
        writer.close()
    except OSError:
        return b""
    return answer


def cpu_of(*pids: int) -> float:
    """Return the processor time of these processes and of all that they started, in seconds.

    That of children which have ended is in it where somebody has waited for them.
    """
    total = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            for one in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    total += sum(one.cpu_times()[:4])
    return total
