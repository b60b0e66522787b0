"""The workers: they end when they are asked to, and for nothing else."""

from __future__ import annotations

import threading

import pytest
from flask import Flask
from redis.exceptions import ConnectionError

from app.cli.processes import DrainWorker
from app.domain import alive, wake
from app.extensions import redis_client

pytestmark = pytest.mark.database("sqlite")


@pytest.mark.parametrize("fault", [None, ConnectionError("gone")], ids=["RQ gives up", "no Redis"])
def test_a_worker_begins_again_until_it_is_asked_to_stop(
    app: Flask, monkeypatch: pytest.MonkeyPatch, fault: Exception | None
) -> None:
    stopping = threading.Event()
    waits: list[float | None] = []
    begun = 0

    def work(_: DrainWorker, **__: object) -> bool:
        nonlocal begun
        begun += 1
        if begun == 3:
            stopping.set()
        elif fault is not None:
            raise fault
        return False

    monkeypatch.setattr(wake, "stopping", stopping)
    monkeypatch.setattr(stopping, "wait", waits.append)
    monkeypatch.setattr(DrainWorker, "work", work)
    assert app.test_cli_runner().invoke(args=["worker", "house"]).exit_code == 0
    assert begun == 3
    assert waits[:2] == [1, 1]


def test_a_worker_is_there_again_after_redis_was_flushed(app: Flask) -> None:
    with app.app_context():
        redis = redis_client()
        worker = DrainWorker(app, [wake.queue("send", redis)], connection=redis)
        worker.register_birth()
        assert alive.processes(redis)["worker-send"]
        redis.flushdb()
        assert not alive.processes(redis)["worker-send"]
        worker.heartbeat()
        assert alive.processes(redis)["worker-send"]
        worker.register_death()
        assert not alive.processes(redis)["worker-send"]
