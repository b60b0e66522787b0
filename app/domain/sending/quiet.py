"""Quiet hours: the time of day in which batches wait. Single messages do not."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def until(now: datetime, zone: str, begin: str | None, end: str | None) -> datetime | None:
    """Return when the quiet hours that hold at ``now`` are over, or None if it is not quiet.

    ``begin`` and ``end`` are times of day ("21:00") in ``zone``; they may span midnight. The end
    is the first instant at which that zone's clocks show it, whatever daylight saving does.
    """
    if not begin or not end or begin == end:
        return None
    local = now.astimezone(ZoneInfo(zone))
    start, stop, clock = time.fromisoformat(begin), time.fromisoformat(end), local.time()
    quiet = start <= clock < stop if start < stop else clock >= start or clock < stop
    if not quiet:
        return None
    day = local.date() if clock < stop else local.date() + timedelta(days=1)
    ends = datetime.combine(day, stop, ZoneInfo(zone))
    first, second = (ends.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return first if first > now else second  # the clocks show it twice when they go back
