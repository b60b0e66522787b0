"""Which of the processes beside the web are there: workers by RQ's word, the clock by its own."""

from __future__ import annotations

from redis import Redis

from app.domain import wake
from app.extensions import redis_client

CLOCK = "dispatch:clock"
CLOCK_EVERY = 5.0
"""Seconds after which the clock says again that it runs."""
FORGOTTEN = 30
"""Seconds after which it is taken for dead."""


def tick() -> None:
    """Say that the clock runs. Redis away: nobody can say so, and nothing depends on it."""
    redis_client().set(CLOCK, "1", ex=FORGOTTEN)


def processes(connection: Redis) -> dict[str, bool]:
    """Return for each kind of process, as `Procfile` calls it, whether there is one.

    :raises redis.RedisError: when Redis cannot be asked.
    """
    from rq import Worker

    served = {name for one in Worker.all(connection=connection) for name in one.queue_names()}
    found = {
        f"worker-{name}": wake.queue(name, connection).name in served
        for name in sorted(wake.DRAINS)
    }
    return {**found, "clock": bool(connection.exists(CLOCK))}
