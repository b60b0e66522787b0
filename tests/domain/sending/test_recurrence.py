"""When something goes out by itself: days and instants, by the clocks of the client's zone.

What happens at the changes of the clocks is what RFC 5545, 3.3.5 ("Form #3") says of local times.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

import pytest

from app.domain import mistakes
from app.domain.mistakes import Refused
from app.domain.sending.recurrence import (
    RelativeSpec,
    RepeatSpec,
    next_after,
    occurrences,
)

CHICAGO, BERLIN, LORD_HOWE = "America/Chicago", "Europe/Berlin", "Australia/Lord_Howe"


def repeat(every: str, *on: Any, at: str = "09:00", **more: Any) -> RepeatSpec:
    return mistakes.parse(RepeatSpec, {"every": every, "on": list(on), "at": at, **more})


def times(schedule: Any, zone: str, since: str, count: int) -> list[str]:
    begin = datetime.fromisoformat(since)
    return [f"{one.at:%Y-%m-%d %H:%M}" for one in islice(occurrences(schedule, zone, begin), count)]


@pytest.mark.parametrize(
    ("schedule", "zone", "since", "expected"),
    [
        pytest.param(
            repeat("day"), CHICAGO, "2026-11-29T14:59Z",
            ["2026-11-29 15:00", "2026-11-30 15:00"], id="each day",
        ),
        pytest.param(
            repeat("week", "mon", "thu"), CHICAGO, "2026-11-29T00:00Z",
            ["2026-11-30 15:00", "2026-12-03 15:00", "2026-12-07 15:00"], id="days of the week",
        ),
        pytest.param(
            repeat("week", "sun", at="23:30"), CHICAGO, "2026-11-29T00:00Z",
            ["2026-11-30 05:30"], id="the day is the zone's, not UTC's",
        ),
        pytest.param(
            repeat("month", 31), CHICAGO, "2027-01-15T00:00Z",
            ["2027-01-31 15:00", "2027-02-28 15:00", "2027-03-31 14:00", "2027-04-30 14:00"],
            id="the 31st is the last of each month",
        ),
        pytest.param(
            repeat("month", 29), CHICAGO, "2028-02-01T00:00Z",
            ["2028-02-29 15:00", "2028-03-29 14:00"], id="a leap day",
        ),
        pytest.param(
            repeat("month", 29), CHICAGO, "2027-02-01T00:00Z",
            ["2027-02-28 15:00"], id="no leap day",
        ),
        pytest.param(
            repeat("month", 30, 31), CHICAGO, "2027-04-01T00:00Z",
            ["2027-04-30 14:00", "2027-05-30 14:00", "2027-05-31 14:00"],
            id="two days that are one in a short month",
        ),
        pytest.param(
            repeat("day", at="02:30"), CHICAGO, "2026-03-07T12:00Z",
            ["2026-03-08 08:30", "2026-03-09 07:30"],
            id="02:30 is left out in spring: by the offset before, which the clocks show as 03:30",
        ),
        pytest.param(
            repeat("day", at="01:30"), CHICAGO, "2026-10-31T12:00Z",
            ["2026-11-01 06:30", "2026-11-02 07:30"],
            id="01:30 comes twice in autumn: the first counts",
        ),
        pytest.param(
            repeat("day", at="02:30"), BERLIN, "2026-10-24T12:00Z",
            ["2026-10-25 00:30", "2026-10-26 01:30"], id="02:30 comes twice in Berlin",
        ),
        pytest.param(
            repeat("day", at="02:10"), LORD_HOWE, "2026-10-03T00:00Z",
            ["2026-10-03 15:40", "2026-10-04 15:10"],
            id="clocks that go forward by half an hour leave 02:10 out",
        ),
        pytest.param(
            repeat("day", until="2026-11-30"), CHICAGO, "2026-11-29T00:00Z",
            ["2026-11-29 15:00", "2026-11-30 15:00"], id="the last day is one of them",
        ),
        pytest.param(repeat("day", until="2026-11-28"), CHICAGO, "2026-11-29T00:00Z", [],
                     id="what has ended"),
    ],
)  # fmt: skip
def test_it_goes_out_at(schedule: RepeatSpec, zone: str, since: str, expected: list[str]) -> None:
    assert times(schedule, zone, since, max(len(expected), 1)) == expected


@pytest.mark.parametrize(
    ("schedule", "moment"),
    [
        (repeat("day", at="01:30"), "2026-11-01T06:30Z"),  # the first 01:30 of two
        (repeat("day", at="02:30"), "2026-03-08T08:30Z"),
    ],
    ids=["twice", "left out"],
)
def test_a_time_of_a_change_of_clocks_goes_out_once(schedule: RepeatSpec, moment: str) -> None:
    done = datetime.fromisoformat(moment)
    following = next_after(schedule, CHICAGO, done)
    assert following is not None
    assert (following.local.date() - done.date()).days == 1


@pytest.mark.parametrize(
    ("days", "day", "about"),
    [
        (-2, "2026-12-22", "2026-12-24"),
        (0, "2026-12-24", "2026-12-24"),
        (1, "2027-01-01", "2026-12-31"),
        (-1, "2028-02-28", "2028-02-29"),
        (-365, "2027-03-01", "2028-02-29"),
    ],
)
def test_a_run_is_about_the_date_that_many_days_away(days: int, day: str, about: str) -> None:
    schedule = RelativeSpec(attribute="appointment", days=days, at="09:00")
    begin = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC)
    run = next(occurrences(schedule, CHICAGO, begin))
    assert run.key == f"{day}T09:00"
    assert schedule.date_of(run) == date.fromisoformat(about)


@pytest.mark.parametrize(
    ("model", "given", "place", "words"),
    [
        (RepeatSpec, {"every": "day", "on": ["mon"], "at": "09:00"}, "", "for weeks and months"),
        (RepeatSpec, {"every": "week", "at": "09:00"}, "", "on which weekdays"),
        (RepeatSpec, {"every": "week", "on": [1], "at": "09:00"}, "", "on which weekdays"),
        (RepeatSpec, {"every": "month", "on": ["mon"], "at": "09:00"}, "", "days of the month"),
        (RepeatSpec, {"every": "month", "on": [0], "at": "09:00"}, "on[0]", "“0” is neither"),
        (RepeatSpec, {"every": "month", "on": [True], "at": "09:00"}, "on[0]", "is neither"),
        (RepeatSpec, {"every": "week", "on": ["moon"], "at": "09:00"}, "on[0]", "“moon”"),
        (RepeatSpec, {"every": "year", "at": "09:00"}, "every", "must be one of day, week, month"),
        (RepeatSpec, {"every": "day", "at": "9"}, "at", "“9” is no time of day"),
        (RepeatSpec, {"every": "day", "at": "09:00", "until": "31.5."}, "until", "no date"),
        (RepeatSpec, {"every": "day", "at": "09:00", "until": "9999-01-01"}, "until", "no date"),
        (RelativeSpec, {"attribute": "my date", "at": "09:00"}, "attribute", "“my date”"),
        (RelativeSpec, {"attribute": "due", "days": 366, "at": "09:00"}, "days", "365 or less"),
        (RelativeSpec, {"attribute": "due", "days": 1}, "at", "“at” is required."),
    ],
)
def test_what_cannot_be_is_told_with_its_place(
    model: Any, given: dict[str, Any], place: str, words: str
) -> None:
    with pytest.raises(Refused) as refused:
        mistakes.parse(model, given)
    (one,) = refused.value.mistakes
    assert one.field == place
    assert words in one.message


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (repeat("day"), "each day at 09:00"),
        (repeat("week", "thu", "mon", until="2027-05-31"),
         "each Monday and Thursday at 09:00, until 2027-05-31"),
        (repeat("month", 1, 22, 31),
         "on the 1st, the 22nd and the last day of each month at 09:00"),
        (RelativeSpec(attribute="due", days=-1, at="09:00"), "1 day before due at 09:00"),
        (RelativeSpec(attribute="due", days=0, at="09:00"), "on the day of due at 09:00"),
    ],
)  # fmt: skip
def test_it_is_said_in_words(schedule: Any, words: str) -> None:
    assert schedule.words == words
