"""Wake-ups: how a process that has written work lets another one start on it at once.

A wake-up is a courtesy. Each drain finds its work in the database, and the clock looks there every
second, so a lost wake-up costs a second and nothing else. Drains are enqueued by dotted name:
nobody imports a job to start it.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
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
    "send": "app.outbound.send.drains.drain",
    "house": "app.outbound.batches.start",
}
"""The queues, one per kind of worker process, and the drain that each of them runs."""

BESIDE = {
    "reports": ("relay", "app.outbound.afterwards.reports.start"),
    "voicemails": ("house", "app.outbound.voicemails.drain.start"),
}
"""Drains that go on in a thread of another queue's worker, beside its own."""

DRAIN_SECONDS = 10.0
"""How long a drain goes on while there is work; then it hands over to a new one."""
JOB_TIMEOUT = 90
COALESCE_SECONDS = 0.02
SOON = 0.25
"""Seconds for which a wake-up may wait for others when nothing depends on it."""

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


def wake(name: str, within: float = 0.0) -> None:
    """Ask for the drain ``name``, after the transaction that wrote the work.

    Returns at once: a thread of this process tells Redis, many wake-ups at a time. Redis being
    away is logged and otherwise harmless.

    :param within: seconds for which it may wait for others.
    """
    _waker(current_app).wake(name, within)


def enqueue_drain(name: str, connection: Redis) -> bool:
    """Enqueue a drain unless one is waiting already; return whether it did.

    One that runs does not count: it may just have had its last look at the database.

    :raises redis.RedisError: when Redis is away.
    """
    queue_name, function = BESIDE[name] if name in BESIDE else (name, DRAINS[name])
    return enqueue_job(queue_name, function, connection)


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
        self._due: dict[str, float] = {}
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def close(self) -> None:
        """End the thread; what is due and not yet told is the clock's."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def wake(self, name: str, within: float = 0.0) -> None:
        """Note that there is work for the drain ``name``, to be started in that many seconds."""
        due = time.monotonic() + within
        with self._condition:
            if self._due.get(name, math.inf) <= due:
                return
            self._due[name] = due
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._condition.notify()

    def _run(self) -> None:
        while names := self._take_due():
            for name in names:
                self._tell(name)
            self._pause(COALESCE_SECONDS)

    def _take_due(self) -> list[str]:
        """Wait until something is due, and return it; nothing when closed."""
        with self._condition:
            while not self._closed:
                now = time.monotonic()
                names = sorted(name for name, due in self._due.items() if due <= now)
                if names:
                    for name in names:
                        del self._due[name]
                    return names
                self._condition.wait(min(self._due.values()) - now if self._due else None)
        return []

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
