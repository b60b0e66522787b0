"""Quiet hours in a client's own zone, midnight and daylight saving included."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.domain.sending import quiet

CHICAGO = ZoneInfo("America/Chicago")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHICAGO)


@pytest.mark.parametrize(
    ("now", "begin", "end", "until"),
    [
        ("2026-11-21 20:59:59", "21:00", "08:00", None),
        ("2026-11-21 21:00", "21:00", "08:00", "2026-11-22 08:00"),
        ("2026-11-22 07:59:59", "21:00", "08:00", "2026-11-22 08:00"),
        ("2026-11-22 08:00", "21:00", "08:00", None),
        ("2026-11-22 12:30", "12:00", "13:00", "2026-11-22 13:00"),
        ("2026-11-22 13:00", "12:00", "13:00", None),
        ("2026-11-22 12:30", None, "13:00", None),
        ("2026-11-22 12:30", "13:00", "13:00", None),
        # Clocks go back on 1 November 2026 and forward on 14 March 2027.
        ("2026-10-31 23:00", "21:00", "08:00", "2026-11-01 08:00"),
        ("2027-03-13 23:00", "21:00", "08:00", "2027-03-14 08:00"),
    ],
)  # fmt: skip
def test_quiet_hours(now: str, begin: str | None, end: str | None, until: str | None) -> None:
    found = quiet.until(at(now), "America/Chicago", begin, end)
    assert found == (at(until) if until else None)


def test_what_ends_in_the_hour_that_comes_twice_ends_after_now() -> None:
    """On 1 November 2026 the clocks of Chicago show 1:20 twice, at 6:20 and 7:20 UTC."""
    for hour in (6, 7):
        now = datetime(2026, 11, 1, hour, 20, tzinfo=UTC)
        found = quiet.until(now, "America/Chicago", "01:15", "01:45")
        assert found == now.replace(minute=45)
