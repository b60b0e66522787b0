"""When to try again, and when to leave an endpoint alone for a while: pure, times in, times out."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DELAYS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after the first, second, … failure: ten tries in 75.6 to 90.7 hours (the example of the
Standard Webhooks specification)."""
JITTER = 0.2
LONGEST_DELAY = timedelta(seconds=DELAYS[-1] * (1 + JITTER))
"""Up to this share is added, so that what failed together does not come back together; nothing is
ever early."""
MAX_RETRY_AFTER = timedelta(hours=24)

TRIP_AFTER = 5
FIRST_BACKOFF, MAX_BACKOFF = 30, 600
"""Seconds for which the breaker is open: doubled each time the probe fails as well."""

WARN_AFTER = (timedelta(hours=24), timedelta(hours=72))
DISABLE_AFTER = timedelta(days=5)

_TRIPPING_ERRORS = ("timeout", "deadline", "connect", "tls", "dns", "connection", "smtp")


def delay(failures: int, chance: Callable[[], float] = random.random) -> timedelta | None:
    """Return how long to wait after the given number of failures; None when that was the last.

    :param failures: 1 after the first failure.
    :param chance: gives a number from 0 up to 1.
    """
    if failures > len(DELAYS):
        return None
    return timedelta(seconds=DELAYS[failures - 1] * (1 + JITTER * chance()))


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read a ``Retry-After`` header: seconds, or a date (RFC 9110, 10.2.3); at most 24 hours.

    What is past, negative or neither counts as not given.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:10]), 10**9))
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, OverflowError):  # no date, or one that no calendar has
            return None
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return min(wait, MAX_RETRY_AFTER) if wait > timedelta(0) else None


def trips(error: str | None, status: int | None) -> bool:
    """Whether a failure says that the endpoint itself is in trouble, rather than this event.

    Other 4xx do not: one message that a receiver cannot digest must not stop the rest.
    """
    if status is not None:
        return status == 429 or status >= 500
    return error in _TRIPPING_ERRORS


@dataclass(frozen=True)
class Health:
    """How an endpoint has been doing; the columns of the same names."""

    consecutive_failures: int = 0
    open_until: datetime | None = None
    backoff_seconds: int = 0
    first_failure_at: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    warnings_sent: int = 0


def after_success(health: Health, now: datetime) -> Health:
    """Return the health after a success: everything is forgiven."""
    return Health(last_success_at=now, last_failure_at=health.last_failure_at)


def after_failure(
    health: Health, now: datetime, *, tripping: bool, wait: timedelta | None = None
) -> Health:
    """Return the health after a failure.

    The breaker opens at the fifth tripping failure in a row, for 30 s; each failing probe doubles
    that, up to 10 minutes. A failure of a try that had begun before it opened changes nothing.

    :param tripping: see :func:`trips`; an answer of any other kind shows that the host is alive.
    :param wait: for how long the endpoint asked to be left alone (429 and 503).
    """
    health = replace(
        health,
        first_failure_at=health.first_failure_at or now,
        last_failure_at=now,
        consecutive_failures=health.consecutive_failures + 1 if tripping else 0,
    )
    if not tripping:
        health = replace(health, open_until=None, backoff_seconds=0)
    if health.open_until is not None and health.open_until - now > MAX_RETRY_AFTER:
        health = replace(health, open_until=None)  # it was opened by a clock that was ahead
    is_open = health.open_until is not None and health.open_until > now
    if health.consecutive_failures >= TRIP_AFTER and not is_open:
        backoff = min(MAX_BACKOFF, health.backoff_seconds * 2 or FIRST_BACKOFF)
        health = replace(
            health, backoff_seconds=backoff, open_until=now + timedelta(seconds=backoff)
        )
    if wait is not None and (health.open_until is None or health.open_until < now + wait):
        health = replace(health, open_until=now + wait)
    return health


def warnings_due(health: Health, now: datetime) -> int:
    """Return how many warnings an owner should have had about failures since the last success."""
    if health.first_failure_at is None:
        return 0
    failing = now - health.first_failure_at
    return sum(failing >= after for after in WARN_AFTER)


def must_be_disabled(health: Health, now: datetime) -> bool:
    """Whether nothing has succeeded for five days although it was tried."""
    first = health.first_failure_at
    return first is not None and now - first >= DISABLE_AFTER
