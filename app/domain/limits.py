"""How often something may be tried: counted in Redis, or in this process while Redis is away."""

from __future__ import annotations

import math
import time

import structlog
from flask import current_app
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis import RedisError

from app.extensions import redis_client

log = structlog.get_logger(__name__)

RETRY_REDIS_SECONDS = 10.0


class Limits:
    """Counts per process group; an absent Redis costs precision, never an answer."""

    def __init__(self) -> None:
        pool = redis_client().connection_pool
        storage = RedisStorage("redis://", connection_pool=pool, key_prefix="dispatch-limits")
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._redis_again_at = 0.0

    def hit(self, limit: RateLimitItem, *who: str) -> int | None:
        """Count one try of ``who``.

        :return: None when it is within ``limit``, else the seconds until it is worth trying again.
        """
        counter = self._counter()
        try:
            return _hit(counter, limit, who)
        except RedisError as error:
            self._redis_again_at = time.monotonic() + RETRY_REDIS_SECONDS
            log.warning("Redis is away; limits count in this process", error=str(error))
            return _hit(self._own, limit, who)

    def _counter(self) -> FixedWindowRateLimiter:
        return self._shared if time.monotonic() >= self._redis_again_at else self._own


def hit(limit: RateLimitItem, *who: str) -> int | None:
    """Count one try of ``who`` with the current application; see :meth:`Limits.hit`."""
    limits: Limits | None = current_app.extensions.get("limits")
    if limits is None:
        limits = current_app.extensions["limits"] = Limits()
    return limits.hit(limit, *who)


def _hit(counter: FixedWindowRateLimiter, limit: RateLimitItem, who: tuple[str, ...]) -> int | None:
    if counter.hit(limit, *who):
        return None
    reset = counter.get_window_stats(limit, *who).reset_time
    return max(1, math.ceil(reset - time.time()))
