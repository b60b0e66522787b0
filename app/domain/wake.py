"""Wake-ups: how a process that has written work lets another one start on it at once.

A wake-up is a courtesy. Each drain finds its work in the database, and the clock looks there every
second, so a lost wake-up costs a second and nothing else. Drains are enqueued by dotted name:
nobody imports a job to start it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from flask import Flask, current_app
from redis import Redis, RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from app.extensions import redis_client

log = structlog.get_logger(__name__)

DRAINS = {
    "relay": "app.outbound.relay.drain",
    "send": "app.outbound.lanes.drain",
    "house": "app.outbound.batches.drain",
}
"""The queues, one per kind of worker process, and the drain that each of them runs."""

DRAIN_SECONDS = 10.0
"""How long a drain goes on while there is work; then it hands over to a new one."""
JOB_TIMEOUT = 90
COALESCE_SECONDS = 0.02

stopping = threading.Event()
"""Set when this worker process was asked to stop; a drain then ends within a second or two."""

_on_stop: list[Callable[[], object]] = []


def on_stop(finish: Callable[[], object]) -> None:
    """Have ``finish`` called when this worker process ends: it takes a few seconds at most."""
    _on_stop.append(finish)


def finish() -> None:
    """End what the drains of this process have left running."""
    stopping.set()
    while _on_stop:
        _on_stop.pop()()


@contextmanager
def in_one_piece() -> Iterator[None]:
    """Let RQ end a job that is over its time before or after the block, not inside.

    RQ raises its time-out from a signal, between any two steps of the main thread: also between a
    claim and its being handed on, where everything a process knows of it would be lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        if came:
            signal.raise_signal(signal.SIGALRM)


def queue(name: str, connection: Redis) -> Queue:
    """Return the RQ queue ``name``; jobs are JSON, because a pickle can run code."""
    return Queue(name, connection=connection, serializer=JSONSerializer)


def wake(name: str) -> None:
    """Ask for a drain of the queue ``name``, after the transaction that wrote the work.

    Returns at once: a thread of this process tells Redis, many wake-ups at a time. Redis being
    away is logged and otherwise harmless.
    """
    _waker(current_app).wake(name)


def enqueue_drain(name: str, connection: Redis) -> bool:
    """Enqueue a drain unless one is waiting already; return whether it did.

    One that runs does not count: it may just have had its last look at the database.

    :raises redis.RedisError: when Redis is away.
    """
    return enqueue_job(name, DRAINS[name], connection)


def enqueue_job(name: str, function: str, connection: Redis) -> bool:
    """Enqueue a job that keeps house, by dotted name, unless it is waiting already.

    :raises redis.RedisError: when Redis is away.
    """
    jobs = queue(name, connection)
    if any(job.func_name == function for job in jobs.jobs):
        return False
    jobs.enqueue(function, job_timeout=JOB_TIMEOUT, result_ttl=0, failure_ttl=3600)
    return True


class Waker:
    """One thread per process that passes wake-ups on to Redis, coalesced."""

    def __init__(self, connection: Redis, pause: Callable[[float], object]) -> None:
        self._connection = connection
        self._pause = pause
        self._asked: set[str] = set()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None

    def wake(self, name: str) -> None:
        """Note that the queue ``name`` has work."""
        with self._condition:
            self._asked.add(name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: bool(self._asked))
                names, self._asked = self._asked, set()
            for name in sorted(names):
                self._tell(name)
            self._pause(COALESCE_SECONDS)

    def _tell(self, name: str) -> None:
        try:
            enqueue_drain(name, self._connection)
        except RedisError as error:
            log.warning("wake-up lost; the clock will find the work", queue=name, error=str(error))


def _waker(app: Flask) -> Waker:
    """Return this process's waker: a thread does not survive gunicorn's fork."""
    kept: tuple[int, Waker] | None = app.extensions.get("waker")
    if kept is None or kept[0] != os.getpid():
        kept = (os.getpid(), Waker(redis_client(), threading.Event().wait))
        app.extensions["waker"] = kept
    return kept[1]
