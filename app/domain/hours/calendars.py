"""Holidays out of an iCalendar file (RFC 5545): the days of its all-day events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import recurring_ical_events
from icalendar import Calendar, Component

LARGEST = 1024 * 1024
"""Bytes of a calendar file."""
MOST_EVENTS, MOST_REPEATING, MOST_DAYS = 2000, 100, 4000
"""Of all-day events, of those that repeat, and of days that one year's events may name."""
_WITHIN_A_DAY = ("BYHOUR", "BYMINUTE", "BYSECOND")
_TOO_OFTEN = frozenset({"SECONDLY", "MINUTELY", "HOURLY"})


class CalendarError(ValueError):
    """The file cannot be used; says why in a sentence."""


def holidays(text: str, begin: date, end: date) -> frozenset[date]:
    """Return the days of all-day events from ``begin`` to before ``end``, repeated ones included.

    Events with a time of day are left out, and canceled ones. What is marked as free time
    (``TRANSP``) counts: the public calendars of holidays mark all of theirs so.

    :raises CalendarError: when it is no calendar, or too much of one.
    """
    if len(text.encode()) > LARGEST:
        raise CalendarError("The calendar file is larger than 1 MB.")
    try:
        calendar = Calendar.from_ical(text)
        if not isinstance(calendar, Calendar):
            raise CalendarError("The file has parts of a calendar and is none as a whole.")
        return frozenset(day for day in _days(_all_day(calendar), begin, end) if begin <= day < end)
    except CalendarError:
        raise
    except Exception as error:  # whatever a stranger's file makes the library raise
        raise CalendarError(
            "The file cannot be read as a calendar (iCalendar, which begins with BEGIN:VCALENDAR)."
        ) from error


def _all_day(calendar: Calendar) -> Calendar:
    """Return the calendar with nothing in it but all-day events, few enough to be gone through."""
    events = [event for event in calendar.walk("VEVENT") if _is_all_day(event)]
    repeating = [event for event in events if "RRULE" in event]
    if len(events) > MOST_EVENTS or len(repeating) > MOST_REPEATING:
        raise CalendarError(
            f"The calendar has more than {MOST_EVENTS:,} all-day events, or more than"
            f" {MOST_REPEATING} of them repeat."
        )
    for event in repeating:
        rules: Any = event["RRULE"]
        for rule in rules if isinstance(rules, list) else [rules]:
            often = str((rule.get("FREQ") or [""])[0]).upper()
            if often in _TOO_OFTEN or any(name in rule for name in _WITHIN_A_DAY):
                raise CalendarError("An all-day event of the calendar repeats within a day.")
    bare = Calendar()
    bare.subcomponents = events
    return bare


def _is_all_day(event: Component) -> bool:
    start = event.get("DTSTART")
    return start is not None and not isinstance(start.dt, datetime)


def _days(calendar: Calendar, begin: date, end: date) -> Iterator[date]:
    """Yield the days, year by year, so that too many are noticed early."""
    query = recurring_ical_events.of(calendar, skip_bad_series=True)
    while begin < end:
        until = min(begin + timedelta(days=366), end)
        events = query.between(begin, until)
        if len(events) > MOST_DAYS:
            raise CalendarError(f"More than {MOST_DAYS:,} events of the calendar are in one year.")
        for event in events:
            if str(event.get("STATUS", "")).upper() == "CANCELLED":
                continue
            first = max(event["DTSTART"].dt, begin)
            last = event["DTEND"].dt if "DTEND" in event else first
            for offset in range(min(max((last - first).days, 1), (until - first).days)):
                yield first + timedelta(days=offset)
        begin = until
