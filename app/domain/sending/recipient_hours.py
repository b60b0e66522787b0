"""The hours in which people may be reached, where they are: in the zones of their phone's area.

Of several zones (an area code may have two) all must be inside. Where the area says nothing, as
with toll-free numbers, or where its zones are never inside together, the client's zone counts. The
zones are those of libphonenumber, which its authors keep; a person who has moved away with their
phone is taken to be where the phone comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone as areas

from app.domain.sending import quiet
from app.models.client import Client

FARTHEST = timedelta(days=2)
"""Zones that are not inside together for so long never are."""
NIGHT = ("21:00", "08:00")
"""When nobody is to be texted or called without need (the US rules on calls by machine)."""
_NOWHERE = "Etc/Unknown"

Opening = Callable[[str], datetime | None]
"""Of a phone: when it may be reached; None for at once."""


@lru_cache(maxsize=20_000)
def zones_of(phone: str) -> tuple[str, ...]:
    """Return the zones in which a phone may be, by its area; none where that says nothing.

    >>> zones_of("+12085550101")
    ('America/Boise', 'America/Los_Angeles')
    """
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return ()
    found = areas.time_zones_for_number(number)
    if found == (_NOWHERE,) or found == _of_all_north_america():
        return ()
    return tuple(name for name in found if _is_known(name))


@lru_cache(maxsize=1)
def _of_all_north_america() -> tuple[str, ...]:
    """Return what is said of a +1 number whose area is not known, such as a toll-free one."""
    found: tuple[str, ...] = areas.time_zones_for_number(phonenumbers.parse("+18005550100"))
    return found


@lru_cache(maxsize=512)
def _is_known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return True


def opening(client: Client, now: datetime) -> Opening | None:
    """Return what tells when a phone may be reached at ``now``; None where the client has no hours.

    It reckons once for each set of zones, so that many phones cost little.
    """
    if not client.recipient_from or not client.recipient_to:
        return None
    return _within(client.recipient_to, client.recipient_from, client.time_zone, now)


def daylight(client: Client, now: datetime) -> Opening:
    """Return what tells when it is no longer night where a phone is; None if it is not night."""
    return _within(*NIGHT, client.time_zone, now)


def _within(closes: str, opens: str, own_zone: str, now: datetime) -> Opening:
    known: dict[tuple[str, ...], datetime | None] = {}

    def at(phone: str) -> datetime | None:
        zones = zones_of(phone) or (own_zone,)
        if zones not in known:
            known[zones] = _first(zones, closes, opens, own_zone, now)
        return known[zones]

    return at


def _first(
    zones: tuple[str, ...], closes: str, opens: str, own_zone: str, now: datetime
) -> datetime | None:
    """Return the first instant from ``now`` on when all zones are inside; None if they are."""
    at = now
    while at <= now + FARTHEST:
        later = [quiet.until(at, zone, closes, opens) for zone in zones]
        if not any(later):
            return None if at == now else at
        at = max(one for one in later if one is not None)
    return quiet.until(now, own_zone, closes, opens)
