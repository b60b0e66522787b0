"""Hours: what each moment is, on both sides of midnight, of daylight saving and of a holiday."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.hours.schedule import Schedule, Span, State, overlapping

CHICAGO = ZoneInfo("America/Chicago")
OFFICE = ("08:00-12:00", "13:00-17:00")


def spans(*texts: str) -> tuple[Span, ...]:
    return tuple(Span.parse(text) for text in texts)


def schedule(zone: ZoneInfo = CHICAGO, holidays: str = "", **days: tuple[str, ...]) -> Schedule:
    """Weekdays by their English short names, dates as ``d20261224``."""
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    return Schedule(
        zone,
        {names.index(name): spans(*given) for name, given in days.items() if name in names},
        {
            date(int(name[1:5]), int(name[5:7]), int(name[7:9])): spans(*given)
            for name, given in days.items()
            if name[0] == "d"
        },
        frozenset(date.fromisoformat(day) for day in holidays.split()),
    )


def at(text: str, zone: ZoneInfo = CHICAGO, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


WEEK = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), OFFICE)
NIGHT = {"mon": ("22:00-06:00",)}
LEAP = {**WEEK, "d20280229": ()}

# 2026-11-30 is a Monday. In Chicago clocks went back on 2026-11-01 and go forward on 2027-03-14.
MOMENTS = {
    "before it opens": (WEEK, "2026-11-30T07:59:59", State.CLOSED),
    "the first moment counts": (WEEK, "2026-11-30T08:00", State.OPEN),
    "the last does not": (WEEK, "2026-11-30T12:00", State.CLOSED),
    "between two spans": (WEEK, "2026-11-30T12:30", State.CLOSED),
    "the second span": (WEEK, "2026-11-30T16:59:59.999999", State.OPEN),
    "a day that is left out": (WEEK, "2026-11-29T10:00", State.CLOSED),
    "the evening of a night": (NIGHT, "2026-11-30T23:00", State.OPEN),
    "its morning, a Tuesday": (NIGHT, "2026-12-01T05:59", State.OPEN),
    "its end": (NIGHT, "2026-12-01T06:00", State.CLOSED),
    "the Monday morning before it": (NIGHT, "2026-11-30T05:00", State.CLOSED),
    "a night into a holiday": ({**NIGHT, "d20261201": ()}, "2026-12-01T05:00", State.OPEN),
    "the holiday after the night": ({**NIGHT, "d20261201": ()}, "2026-12-01T06:00", State.HOLIDAY),
    "no night from a holiday": ({**NIGHT, "d20261130": ()}, "2026-12-01T05:00", State.CLOSED),
    "a date in place of its weekday": (
        {**WEEK, "d20261224": ("08:00-12:00",)}, "2026-12-24T14:00", State.CLOSED),
    "a date that is open on a Sunday": (
        {**WEEK, "d20261129": ("10:00-11:00",)}, "2026-11-29T10:30", State.OPEN),
    "a day closed": ({**WEEK, "d20261225": ()}, "2026-12-25T10:00", State.HOLIDAY),
    "its last moment": ({**WEEK, "d20261225": ()}, "2026-12-25T23:59:59", State.HOLIDAY),
    "a leap day": (LEAP, "2028-02-29T10:00", State.HOLIDAY),
    "the day before it": (LEAP, "2028-02-28T10:00", State.OPEN),
    "the day after it": (LEAP, "2028-03-01T10:00", State.OPEN),
    "round the clock": ({"mon": ("00:00-24:00",)}, "2026-11-30T23:59:59", State.OPEN),
    "an hour that is left out": ({"sun": ("02:30-04:00",)}, "2027-03-14T03:15", State.OPEN),
    "before the hour left out": ({"sun": ("02:30-04:00",)}, "2027-03-14T01:59", State.CLOSED),
    "a span inside the hour left out": (
        {"sun": ("02:10-02:50",)}, "2027-03-14T03:10", State.CLOSED),
}  # fmt: skip


@pytest.mark.parametrize(("days", "moment", "state"), MOMENTS.values(), ids=MOMENTS)
def test_a_moment_is_one_of_three(
    days: dict[str, tuple[str, ...]], moment: str, state: State
) -> None:
    assert schedule(**days).state(at(moment)) is state


@pytest.mark.parametrize(("fold", "state"), [(0, State.OPEN), (1, State.OPEN)], ids=["1st", "2nd"])
def test_an_hour_that_comes_twice_is_open_twice(fold: int, state: State) -> None:
    assert schedule(sun=("01:00-02:00",)).state(at("2026-11-01T01:30", fold=fold)) is state


def test_the_calendar_is_read_in_the_zone_of_the_client() -> None:
    moment = datetime(2026, 12, 25, 3, 0, tzinfo=UTC)
    there = {"holidays": "2026-12-25", "fri": ("00:00-24:00",), "thu": ("00:00-24:00",)}
    assert schedule(ZoneInfo("Pacific/Auckland"), **there).state(moment) is State.HOLIDAY  # type: ignore[arg-type]
    assert schedule(CHICAGO, **there).state(moment) is State.OPEN  # type: ignore[arg-type]


def test_a_date_with_spans_wins_over_the_calendar() -> None:
    hours = schedule(holidays="2026-11-27", d20261127=("09:00-10:00",), **WEEK)
    assert hours.state(at("2026-11-27T09:30")) is State.OPEN
    assert hours.state(at("2026-11-27T11:00")) is State.CLOSED


CHANGES = {
    "opens on Monday": (WEEK, "2026-11-28T12:00", "2026-11-30T08:00-06:00"),
    "closes at noon": (WEEK, "2026-11-30T09:00", "2026-11-30T12:00-06:00"),
    "spans that touch are one": (
        {"mon": ("08:00-12:00", "12:00-17:00")}, "2026-11-30T09:00", "2026-11-30T17:00-06:00"),
    "an end next morning": (NIGHT, "2026-11-30T23:00", "2026-12-01T06:00-06:00"),
    "a holiday begins at midnight": (
        {**WEEK, "d20261225": ()}, "2026-12-24T18:00", "2026-12-25T00:00-06:00"),
    "over the end of summer time": ({"mon": OFFICE}, "2026-10-31T12:00", "2026-11-02T08:00-06:00"),
    "into summer time": ({"mon": OFFICE}, "2027-03-13T12:00", "2027-03-15T08:00-05:00"),
    "an hour that is left out": (
        {"sun": ("02:30-04:00",)}, "2027-03-13T12:00", "2027-03-14T03:00-05:00"),
}  # fmt: skip


@pytest.mark.parametrize(("days", "moment", "change"), CHANGES.values(), ids=CHANGES)
def test_it_says_when_that_changes(
    days: dict[str, tuple[str, ...]], moment: str, change: str
) -> None:
    assert schedule(**days).next_change(at(moment)) == datetime.fromisoformat(change)


def test_it_says_when_it_opens_whatever_comes_before() -> None:
    hours = schedule(d20261130=(), **WEEK)
    assert hours.next_change(at("2026-11-28T12:00"), State.OPEN) == at("2026-12-01T08:00")


def test_what_never_changes_says_so() -> None:
    assert schedule().next_change(at("2026-11-28T12:00")) is None
    always = dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ("00:00-24:00",))
    assert schedule(**always).next_change(at("2026-11-28T12:00")) is None


ZONES = [
    "America/Chicago",
    "Europe/Madrid",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
]


FIRST, LAST = (datetime(year, 1, 1) for year in (2026, 2029))  # noqa: DTZ001 - as hypothesis wants


@given(
    st.sampled_from(ZONES),
    st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
    st.lists(st.tuples(st.integers(0, 1439), st.integers(1, 1439)), max_size=3),
    st.lists(st.integers(0, 10), max_size=3),
)
def test_nothing_changes_before_the_next_change(
    zone: str, moment: datetime, given_spans: list[tuple[int, int]], off: list[int]
) -> None:
    """Looked at every seven minutes, it is the same until the change, and something else there."""
    days = tuple(Span(start, start + length) for start, length in given_spans)
    start = moment
    holidays = frozenset(start.date() + timedelta(days=day) for day in off)
    hours = Schedule(ZoneInfo(zone), dict.fromkeys(range(7), days), {}, holidays)
    change = hours.next_change(start)
    end = min(change or start + timedelta(days=2), start + timedelta(days=2))
    state = hours.state(start)
    while start < end:
        assert hours.state(start) is state
        start += timedelta(minutes=7)
    if change is not None:
        assert hours.state(change) is not state
        assert hours.state(change - timedelta(microseconds=1)) is state


SPANS = {
    "plain": ("08:00-12:00", (480, 720)),
    "spaces and a dash as people type it": (" 08:00 – 12:00 ", (480, 720)),
    "over midnight": ("22:00-06:00", (1320, 1800)),
    "to midnight": ("20:00-24:00", (1200, 1440)),
    "to midnight, written as its hour": ("20:00-00:00", (1200, 1440)),
    "a whole day": ("00:00-24:00", (0, 1440)),
}


@pytest.mark.parametrize(("text", "minutes"), SPANS.values(), ids=SPANS)
def test_a_span_is_read_and_written(text: str, minutes: tuple[int, int]) -> None:
    span = Span.parse(text)
    assert (span.start, span.end) == minutes
    assert Span.parse(str(span)) == span


@pytest.mark.parametrize("text", ["8-12", "08:00", "25:00-26:00", "08:60-09:00", "08:00-24:30", ""])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="08:00-17:00"):
        Span.parse(text)


def test_spans_that_overlap_are_found() -> None:
    assert overlapping(spans("13:00-17:00", "08:00-13:00")) is None
    assert overlapping(spans("13:00-17:00", "08:00-13:01")) == spans("08:00-13:01", "13:00-17:00")
    assert overlapping(spans("22:00-06:00", "23:00-23:30")) is not None
