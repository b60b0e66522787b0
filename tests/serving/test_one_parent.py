"""Web, workers and clock from one parent: loaded once, kept alive, and gone together."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
import redis
from flask import Flask
from sqlalchemy import text

from app.domain import wake
from app.extensions import db
from tests.support.processes import Processes, Running, alive, wait_until

PARTS = (
    "front", "answers", "reports", "others", "worker-relay", "worker-send", "worker-house", "clock",
)  # fmt: skip
MOST_MEMORY = 350
"""Megabytes of all together (issue 13)."""


def started(processes: Processes) -> Running:
    running = processes.web(workers=2, ONE_PARENT="1")
    for part in PARTS:
        running.wait_for_output(f" {part} is process ")
    return running


def taken(queue: str, connection: redis.Redis) -> bool:
    return wake.queue(queue, connection).count == 0


@pytest.mark.processes
def test_all_of_it_runs_and_ends_cleanly(processes: Processes, redis_url: str) -> None:
    running = started(processes)
    parent = psutil.Process(running.pid)
    connection = redis.Redis.from_url(redis_url)
    for queue in wake.DRAINS:
        wake.enqueue_drain(queue, connection)
        wait_until(lambda: taken(queue, connection), f"{queue} works")  # noqa: B023
    for child in parent.children():
        child.kill()
        child.wait()
        wait_until(lambda: len(parent.children()) == len(PARTS), "it is started again")
    wake.enqueue_drain("house", connection)
    wait_until(lambda: taken("house", connection), "a worker that was started again works")
    assert running.stop() == 0


@pytest.mark.processes
@pytest.mark.database("sqlite")
def test_nobody_outlives_a_killed_parent(processes: Processes) -> None:
    running = started(processes)
    children = psutil.Process(running.pid).children()
    os.kill(running.pid, 9)
    running.process.wait()
    wait_until(lambda: not any(alive(child.pid) for child in children), "all have ended")


@pytest.mark.processes
@pytest.mark.database("sqlite")
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's figures")
def test_it_takes_little_memory(processes: Processes) -> None:
    running = started(processes)
    parent = psutil.Process(running.pid)
    shares = [one.memory_full_info().pss for one in (parent, *parent.children())]
    assert sum(shares) / 2**20 <= MOST_MEMORY


@pytest.mark.database("postgresql")
def test_a_child_makes_connections_of_its_own(app: Flask) -> None:
    """Two processes on one connection would read each other's answers."""
    who = text("SELECT pg_backend_pid()")
    with app.app_context():
        with db.engine.connect() as connection:
            ours = connection.execute(who).scalar()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            with db.engine.connect() as connection:
                os.write(write, str(connection.execute(who).scalar()).encode())
            os._exit(0)
        os.waitpid(child, 0)
        theirs = int(os.read(read, 100))
        os.close(read)
        os.close(write)
        assert theirs != ours
        with db.engine.connect() as connection:
            assert connection.execute(who).scalar() == ours
