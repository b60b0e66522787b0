"""Real processes: neither slow clients nor a thousand requests keep a text from its answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from app.serving import front, pools
from tests.support.inbound import Department
from tests.support.processes import Processes, wait_until
from tests.support.rows import Rows
from tests.support.twilio import signed, sms_parameters

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

UNHURRIED = 5.0
"""Seconds: far more than a text takes on a busy machine, far less than what slow clients cost."""
FINISHED_HEAD = b"GET /staff/login HTTP/1.1\r\nHost: dispatch.example.edu\r\n\r\n"


@pytest.fixture
def text(processes: Processes, rows: Rows) -> Callable[[], float]:
    """Texts a number whose route answers; returns the seconds that took."""
    Department(rows).auto_reply()
    processes.web(workers=pools.FEWEST)
    session = requests.Session()
    session.trust_env = False

    def once() -> float:
        form = sms_parameters(From=f"+1319555{time.monotonic_ns() // 1000 % 10_000:04}")
        url = f"{processes.base_url}/inbound/sms"
        began = time.monotonic()
        answer = session.post(url, form, headers=signed(url, form), timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.text.startswith("<?xml")
        return time.monotonic() - began

    once()
    return once


@contextlib.contextmanager
def slow_clients(processes: Processes, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as open_ones:
        clients = []
        for _ in range(count):
            client = open_ones.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", int(processes.env["PORT"])))
            client.sendall(sent)
            clients.append(client)
        yield clients


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("count", "sent"),
    [
        (50, b"POST /inbound/sms HTTP/1.1\r\nHost: dispatch.exam"),
        (50, b"POST /inbound/sms HTTP/1.1\r\nContent-Length: 5000\r\n\r\nBody=Hel"),
        (50, b"POST /staff/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nem"),
        (400, b""),
        (40, b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: dispatch.example.edu\r\n\r\n"),
    ],
    ids=["half a head", "half a body", "half a chunk", "nothing", "slow readers"],
)
def test_slow_clients_hold_nobody(
    count: int, sent: bytes, processes: Processes, text: Callable[[], float]
) -> None:
    with slow_clients(processes, count, sent):
        assert max(text() for _ in range(5)) < UNHURRIED
        login = requests.get(f"{processes.base_url}/staff/login", timeout=UNHURRIED * 3)
        assert login.status_code == 200


@pytest.mark.database("sqlite")
def test_who_sends_half_a_request_is_told_and_let_go(
    processes: Processes, text: Callable[[], float]
) -> None:
    with slow_clients(processes, 3, b"GET / HTTP/1.1\r\nHost: ") as clients:
        for client in clients:
            client.settimeout(front.HEAD_SECONDS + 20)
            assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
            assert client.recv(1000) == b""


async def _all_at_once(port: int, count: int, answered: list[bytes], sent: threading.Event) -> None:
    ready = 0

    async def ask() -> None:
        nonlocal ready
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(FINISHED_HEAD)
        ready += 1
        if ready == count:
            sent.set()
        answered.append((await reader.read(-1))[:12])
        writer.close()

    await asyncio.gather(*(ask() for _ in range(count)))


def test_a_thousand_waiting_requests_of_other_kinds_let_a_text_pass(
    processes: Processes, text: Callable[[], float]
) -> None:
    quiet = statistics.median(text() for _ in range(15))
    answered: list[bytes] = []
    sent = threading.Event()
    port = int(processes.env["PORT"])
    others = threading.Thread(target=lambda: asyncio.run(_all_at_once(port, 1000, answered, sent)))
    others.start()
    assert sent.wait(60)
    first = text()
    waiting = 1000 - len(answered)
    loud = statistics.median([first, *(text() for _ in range(14))])
    others.join(120)
    assert waiting > 500, "a text that came last passed most of the others"  # in one queue: none
    assert loud < quiet * 10 + 0.1  # and not the seconds that the others wait
    assert answered == [b"HTTP/1.1 200"] * 1000


@pytest.mark.database("sqlite")
def test_whichever_process_is_killed_the_next_text_is_answered(
    processes: Processes, text: Callable[[], float]
) -> None:
    web = psutil.Process(processes._running[-1].pid)
    for child in web.children():
        child.kill()
        child.wait()
        wait_until(lambda: len(web.children()) == 1 + pools.FEWEST, "it is replaced")
        assert text() < UNHURRIED
        assert requests.get(f"{processes.base_url}/healthz", timeout=5).status_code == 200


@pytest.mark.database("sqlite")
def test_it_stops_within_seconds_and_answers_what_it_has(
    processes: Processes, text: Callable[[], float]
) -> None:
    web = processes._running[-1]
    answered: list[bytes] = []
    sent = threading.Event()
    port = int(processes.env["PORT"])
    others = threading.Thread(target=lambda: asyncio.run(_all_at_once(port, 20, answered, sent)))
    others.start()
    assert sent.wait(30)
    time.sleep(0.2)  # the front has read them; they wait for their pool
    began = time.monotonic()
    assert web.stop() == 0
    assert time.monotonic() - began < 10
    others.join(10)
    assert answered == [b"HTTP/1.1 200"] * 20


@pytest.mark.database("sqlite")
def test_processes_may_not_be_added_by_signal(
    processes: Processes, text: Callable[[], float]
) -> None:
    web = processes._running[-1]
    for number in (signal.SIGTTOU, signal.SIGTTIN):
        os.kill(web.pid, number)
    web.wait_for_output("WEB_CONCURRENCY")
    assert text() < UNHURRIED
    assert len(psutil.Process(web.pid).children()) == 1 + pools.FEWEST


@pytest.mark.database("sqlite")
def test_large_and_chunked_requests_reach_the_application(
    processes: Processes, text: Callable[[], float]
) -> None:
    url = f"{processes.base_url}/staff/login"
    too_large = requests.post(url, data=b"x" * (18 * 1024 * 1024), timeout=30)
    assert too_large.status_code == 413
    in_chunks = requests.post(
        f"{processes.base_url}/api/v1/preview", data=iter([b'{"body":', b'"x"}']), timeout=30
    )
    assert in_chunks.status_code == 401


@pytest.mark.database("sqlite")
@pytest.mark.settings(METRICS_TOKEN="let-me-see")
def test_figures_count_what_every_process_did(
    processes: Processes, text: Callable[[], float]
) -> None:
    url = f"{processes.base_url}/metrics"
    headers = {"Authorization": "Bearer let-me-see"}

    def unknown() -> float:
        figures = requests.get(url, headers=headers, timeout=10).text
        found = [
            sample.value
            for family in text_string_to_metric_families(figures)
            for sample in family.samples
            if sample.name == "dispatch_unknown_ids_total"
        ]
        return sum(found)

    assert unknown() == 0
    kinds = {"voice/dialed": 200, "sms/status": 204}
    for kind, status in kinds.items():
        form = {**sms_parameters(), "CallSid": "CA" + "0" * 32}
        to = f"{processes.base_url}/inbound/{kind}/{'0' * 26}"
        assert requests.post(to, form, headers=signed(to, form), timeout=10).status_code == status
    assert unknown() == 2, "one by the answers' process, one by the reports', read from a third"
