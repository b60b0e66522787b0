"""Calendar files: the days that they make holidays (RFC 5545), and files that are hostile."""

from __future__ import annotations

from datetime import date

import pytest

from app.domain.hours.calendars import CalendarError, holidays

HEAD = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example//EN\r\n"
BEGIN, END = date(2026, 1, 1), date(2029, 1, 1)


def calendar(*events: str) -> str:
    made = (
        f"BEGIN:VEVENT\r\nUID:{number}@example.edu\r\nDTSTAMP:20260101T000000Z\r\n{event}\r\nEND:VEVENT\r\n"
        for number, event in enumerate(events)
    )
    return f"{HEAD}{''.join(made)}END:VCALENDAR\r\n"


def days(text: str) -> list[str]:
    return sorted(day.isoformat() for day in holidays(text, BEGIN, END))


FILES = {
    "one day": (["DTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261226"], ["2026-12-25"]),
    "without an end (3.6.1)": (["DTSTART;VALUE=DATE:20261225"], ["2026-12-25"]),
    "an end that is the start": (
        ["DTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261225"], ["2026-12-25"]),
    "by its length": (
        ["DTSTART;VALUE=DATE:20261224\r\nDURATION:P2D"], ["2026-12-24", "2026-12-25"]),
    "several days, the end is not one": (
        ["DTSTART;VALUE=DATE:20261231\r\nDTEND;VALUE=DATE:20270102"], ["2026-12-31", "2027-01-01"]),
    "each year (3.8.5.3)": (
        ["DTSTART;VALUE=DATE:20200704\r\nRRULE:FREQ=YEARLY"],
        ["2026-07-04", "2027-07-04", "2028-07-04"]),
    "the fourth Thursday of November": (
        ["DTSTART;VALUE=DATE:20261126\r\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"],
        ["2026-11-26", "2027-11-25", "2028-11-23"]),
    "without one of them (3.8.5.1)": (
        ["DTSTART;VALUE=DATE:20260704\r\nRRULE:FREQ=YEARLY\r\nEXDATE;VALUE=DATE:20270704"],
        ["2026-07-04", "2028-07-04"]),
    "and one more (3.8.5.2)": (
        ["DTSTART;VALUE=DATE:20260704\r\nRDATE;VALUE=DATE:20260706"], ["2026-07-04", "2026-07-06"]),
    "a leap day": (
        ["DTSTART;VALUE=DATE:20240229\r\nRRULE:FREQ=YEARLY"], ["2028-02-29"]),
    "with a time of day": (["DTSTART:20261225T090000Z\r\nDTEND:20261225T100000Z"], []),
    "with a time in a zone": (["DTSTART;TZID=America/Chicago:20261225T090000"], []),
    "canceled": (["DTSTART;VALUE=DATE:20261225\r\nSTATUS:CANCELLED"], []),
    "free time, as public calendars have it": (
        ["DTSTART;VALUE=DATE:20261225\r\nTRANSP:TRANSPARENT"], ["2026-12-25"]),
    "outside of what is asked": (["DTSTART;VALUE=DATE:20251225"], []),
    "begun before": (["DTSTART;VALUE=DATE:20251230\r\nDTEND;VALUE=DATE:20260102"], ["2026-01-01"]),
    "no event at all": ([], []),
}  # fmt: skip


@pytest.mark.parametrize(("events", "expected"), FILES.values(), ids=FILES)
def test_all_day_events_are_holidays(events: list[str], expected: list[str]) -> None:
    assert days(calendar(*events)) == expected


WRONG = {
    "no calendar": "hello",
    "empty": "",
    "an event alone": "BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261225\r\nEND:VEVENT\r\n",
    "cut off": calendar("DTSTART;VALUE=DATE:20261225")[:-40],
    "too large": calendar("SUMMARY:" + "x" * 1_100_000),
    "each second": calendar("DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=SECONDLY"),
    "within a day": calendar("DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY;BYHOUR=0,1,2"),
    "more than can be gone through": calendar(
        *["DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY"] * 101
    ),
    "more days than a year has": calendar(
        *["DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY"] * 20
    ),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_no_calendar_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(CalendarError, match=r"calendar.*\.$"):
        holidays(text, BEGIN, END)
