"""When people may be reached, by the clocks where their phones come from."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.domain.sending import recipient_hours
from app.models.client import Client

# Area codes of the NANPA's list: 319 is Iowa, 206 Seattle, 208 Idaho (two zones), 602 Phoenix.
IOWA, SEATTLE, IDAHO, PHOENIX = "+13195550150", "+12065550101", "+12085550101", "+16025550101"
HONOLULU, TOLL_FREE, LONDON = "+18085550101", "+18885550104", "+442079460000"
RUSSIAN_MOBILE = "+79161234567"


def client(opens: str | None = "09:00", closes: str | None = "20:00") -> Client:
    return Client(recipient_from=opens, recipient_to=closes, time_zone="America/Chicago")


def at(text: str, zone: str = "America/Chicago", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


@pytest.mark.parametrize(
    ("phone", "zones"),
    [
        (IOWA, ("America/Chicago",)),
        (SEATTLE, ("America/Los_Angeles",)),
        (IDAHO, ("America/Boise", "America/Los_Angeles")),
        (LONDON, ("Europe/London",)),
        (TOLL_FREE, ()),
        ("+15005550006", ()),
        ("73224", ()),
        ("anonymous", ()),
    ],
)
def test_the_area_tells_the_zones(phone: str, zones: tuple[str, ...]) -> None:
    assert recipient_hours.zones_of(phone) == zones


@pytest.mark.parametrize(
    ("phone", "now", "opens"),
    [
        (IOWA, "2026-11-23 08:59:59", "2026-11-23 09:00"),
        (IOWA, "2026-11-23 09:00", None),
        (IOWA, "2026-11-23 19:59:59", None),
        (IOWA, "2026-11-23 20:00", "2026-11-24 09:00"),
        (SEATTLE, "2026-11-23 10:59", "2026-11-23 11:00"),
        (SEATTLE, "2026-11-23 21:30", None),
        (HONOLULU, "2026-11-23 12:59", "2026-11-23 13:00"),
        # Boise is an hour ahead of the north of Idaho: both must be inside.
        (IDAHO, "2026-11-23 10:30", "2026-11-23 11:00"),
        (IDAHO, "2026-11-23 20:59", None),
        (IDAHO, "2026-11-23 21:00", "2026-11-24 11:00"),
        # No area: the client's zone, which is Chicago.
        (TOLL_FREE, "2026-11-23 08:30", "2026-11-23 09:00"),
        (TOLL_FREE, "2026-11-23 09:00", None),
        # From Kaliningrad to Kamchatka all are inside for an hour: from 7:00 to 8:00 UTC.
        (RUSSIAN_MOBILE, "2026-11-23 09:00", "2026-11-24 01:00"),
        # The night in which clocks go back, and forward; Phoenix has no summer time.
        (IOWA, "2026-10-31 21:00", "2026-11-01 09:00"),
        (IOWA, "2027-03-13 21:00", "2027-03-14 09:00"),
        (PHOENIX, "2027-03-13 21:30", "2027-03-14 11:00"),
        (PHOENIX, "2027-03-13 09:59", "2027-03-13 10:00"),
    ],
)
def test_when_a_phone_may_be_reached(phone: str, now: str, opens: str | None) -> None:
    opening = recipient_hours.opening(client(), at(now).astimezone(UTC))
    assert opening is not None
    assert opening(phone) == (at(opens) if opens else None)


def test_zones_that_are_never_inside_together_leave_it_to_the_client() -> None:
    opening = recipient_hours.opening(client("10:00", "12:00"), at("2026-11-23 10:30"))
    assert opening is not None
    assert opening(RUSSIAN_MOBILE) is None
    opening = recipient_hours.opening(client("10:00", "12:00"), at("2026-11-23 12:30"))
    assert opening is not None
    assert opening(RUSSIAN_MOBILE) == at("2026-11-24 10:00")


def test_hours_may_go_past_midnight() -> None:
    opening = recipient_hours.opening(client("18:00", "02:00"), at("2026-11-23 01:30"))
    assert opening is not None
    assert opening(IOWA) is None
    assert opening("+12125550100") == at("2026-11-23 18:00", "America/New_York")


def test_without_hours_everybody_may_be_reached_at_any_time() -> None:
    assert recipient_hours.opening(client(None, None), at("2026-11-23 03:00")) is None


@pytest.mark.parametrize(("phone", "night"), [(IOWA, False), (SEATTLE, True), (TOLL_FREE, False)])
def test_where_it_is_night(phone: str, night: bool) -> None:
    """Before 8 and after 21 o'clock no call by machine may be made (47 CFR 64.1200 (c) (1))."""
    daylight = recipient_hours.daylight(client(), at("2026-11-23 08:00"))
    assert (daylight(phone) is not None) is night
