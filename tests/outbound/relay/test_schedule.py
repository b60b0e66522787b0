"""Expected values from the example of the Standard Webhooks specification and from RFC 9110."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.outbound.relay import schedule
from app.outbound.relay.schedule import Health

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
S, M, H = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
EXAMPLE = [5 * S, 5 * M, 30 * M, 2 * H, 5 * H, 10 * H, 14 * H, 20 * H, 24 * H]


@pytest.mark.parametrize(
    ("failures", "least"), list(enumerate(EXAMPLE, 1)), ids=[str(one) for one in EXAMPLE]
)
def test_each_delay_is_never_early_and_at_most_a_fifth_late(
    failures: int, least: timedelta
) -> None:
    assert schedule.delay(failures, lambda: 0.0) == least
    assert schedule.delay(failures, lambda: 1.0) == least * 1.2
    for _ in range(50):
        chosen = schedule.delay(failures)
        assert chosen is not None
        assert least <= chosen <= least * 1.2


def test_ten_tries_are_made() -> None:
    assert schedule.delay(10) is None


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", 120 * S),
        (" 0120 ", 120 * S),
        ("999999999999", 24 * H),
        ("86401", 24 * H),
        ("Sat, 21 Nov 2026 12:10:00 GMT", 10 * M),
        ("Saturday, 21-Nov-26 12:10:00 GMT", 10 * M),
        ("Sun, 29 Nov 2026 12:10:00 GMT", 24 * H),
        ("Sat, 21 Nov 2026 11:59:00 GMT", None),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Sat, 21 Nov 2026 12:10:00 +999999999999", None),
        ("", None),
        ("٣", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, wait: timedelta | None) -> None:
    assert schedule.retry_after(value, NOW) == wait


@pytest.mark.parametrize(
    ("error", "status", "trips"),
    [
        ("timeout", None, True), ("deadline", None, True), ("connect", None, True),
        ("tls", None, True), ("dns", None, True), ("connection", None, True),
        ("http_status", 429, True), ("http_status", 500, True), ("http_status", 503, True),
        ("http_status", 400, False), ("http_status", 404, False), ("http_status", 302, False),
        ("blocked", None, False), ("smtp", 451, False), ("smtp", None, True),
    ],
)  # fmt: skip
def test_what_trips_the_breaker(error: str, status: int | None, trips: bool) -> None:
    assert schedule.trips(error, status) is trips


def fail(health: Health, times: int, at: datetime = NOW) -> Health:
    for _ in range(times):
        health = schedule.after_failure(health, at, tripping=True)
    return health


def test_the_breaker_opens_at_the_fifth_failure_in_a_row() -> None:
    assert fail(Health(), 4).open_until is None
    assert fail(Health(), 5).open_until == NOW + 30 * S


def test_each_failing_probe_doubles_the_wait_up_to_ten_minutes() -> None:
    health, at, waits = fail(Health(), 5), NOW, []
    for _ in range(7):
        assert health.open_until is not None
        waits.append((health.open_until - at).total_seconds())
        at = health.open_until
        health = fail(health, 1, at)
    assert waits == [30, 60, 120, 240, 480, 600, 600]


def test_a_try_that_had_begun_before_does_not_double_it() -> None:
    assert fail(fail(Health(), 5), 1, NOW + S).open_until == NOW + 30 * S


def test_a_success_forgives_everything() -> None:
    health = schedule.after_success(fail(Health(warnings_sent=2), 9), NOW + H)
    assert health == Health(last_success_at=NOW + H, last_failure_at=NOW)


def test_another_refusal_shows_that_the_host_is_alive() -> None:
    health = schedule.after_failure(fail(Health(), 7), NOW + H, tripping=False)
    assert (health.consecutive_failures, health.open_until, health.backoff_seconds) == (0, None, 0)
    assert health.first_failure_at == NOW, "but nothing has succeeded"


def test_an_endpoint_that_asks_for_a_pause_gets_it() -> None:
    health = schedule.after_failure(Health(), NOW, tripping=True, wait=2 * H)
    assert health.open_until == NOW + 2 * H
    longer = schedule.after_failure(fail(Health(), 4), NOW, tripping=True, wait=5 * S)
    assert longer.open_until == NOW + 30 * S, "the breaker's own wait is longer"


@pytest.mark.parametrize(
    ("failing", "warnings", "disabled"),
    [
        (23 * H, 0, False), (24 * H, 1, False), (71 * H, 1, False), (72 * H, 2, False),
        (119 * H, 2, False), (120 * H, 2, True),
    ],
)  # fmt: skip
def test_warnings_and_the_end(failing: timedelta, warnings: int, disabled: bool) -> None:
    health = Health(first_failure_at=NOW - failing)
    assert schedule.warnings_due(health, NOW) == warnings
    assert schedule.must_be_disabled(health, NOW) is disabled


def test_an_endpoint_that_works_is_not_warned_about() -> None:
    assert schedule.warnings_due(Health(), NOW) == 0
    assert not schedule.must_be_disabled(Health(), NOW)
