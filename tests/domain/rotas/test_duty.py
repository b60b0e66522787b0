"""Who is on duty, by table: nights, several weeks, and the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from app.domain.rotas.duty import Rota, Turn, overlapping

CHICAGO, LONDON = ZoneInfo("America/Chicago"), ZoneInfo("Europe/London")
MON, TUE, WED, THU, FRI, SAT, SUN = range(7)


def rota(
    *weeks: dict[int, list[str]], zone: ZoneInfo = CHICAGO, begins: str = "2026-11-02"
) -> Rota:
    parsed = [{day: [Turn.parse(one) for one in turns] for day, turns in w.items()} for w in weeks]
    return Rota(zone, ["Pat", "Kim", "Lee"], parsed, date.fromisoformat(begins))


ONE = rota(
    {
        MON: ["08:00-12:00 Pat", "12:00-17:00 Kim"],
        TUE: ["08:00-17:00 Kim", "10:00-11:00 Pat"],
        SAT: ["22:00-06:00 Lee"],
    }
)
TWO = rota({SUN: ["20:00-08:00 Pat"]}, {SUN: ["20:00-08:00 Kim"], MON: ["08:00-17:00 Lee"]})
EVERY_NIGHT = {day: ["22:00-06:00 Pat"] for day in range(7)}
ALL_DAY = {SAT: ["00:00-24:00 Pat"], SUN: ["00:00-24:00 Kim"]}
GAP = {SUN: ["01:00-02:30 Pat", "02:30-04:00 Kim"]}
"""A change of turns within the hour that spring leaves out, and autumn has twice."""

TABLE: dict[str, tuple[Rota, str, list[str]]] = {
    "before the first": (ONE, "2026-11-23T07:59:59-06:00", []),
    "the start counts": (ONE, "2026-11-23T08:00-06:00", ["Pat"]),
    "the end does not": (ONE, "2026-11-23T12:00-06:00", ["Kim"]),
    "after the last": (ONE, "2026-11-23T17:00-06:00", []),
    "two, as the people are listed": (ONE, "2026-11-24T10:30-06:00", ["Pat", "Kim"]),
    "a day without turns": (ONE, "2026-11-25T10:30-06:00", []),
    "in the evening": (ONE, "2026-11-28T23:00-06:00", ["Lee"]),
    "after midnight": (ONE, "2026-11-29T05:59-06:00", ["Lee"]),
    "in the morning": (ONE, "2026-11-29T06:00-06:00", []),
    "asked in another zone": (ONE, "2026-11-23T14:00+00:00", ["Pat"]),
    "the first week": (TWO, "2026-11-08T21:00-06:00", ["Pat"]),
    "a night belongs to the week in which it begins": (TWO, "2026-11-09T07:59-06:00", ["Pat"]),
    "the second week": (TWO, "2026-11-09T08:00-06:00", ["Lee"]),
    "its end": (TWO, "2026-11-15T21:00-06:00", ["Kim"]),
    "the first again": (TWO, "2026-11-22T21:00-06:00", ["Pat"]),
    "before the first week began": (TWO, "2026-11-01T21:00-06:00", ["Kim"]),
    "over the new year": (TWO, "2027-01-03T21:00-06:00", ["Pat"]),
    "spring, before": (rota(EVERY_NIGHT), "2026-03-08T01:59-06:00", ["Pat"]),
    "spring, after": (rota(EVERY_NIGHT), "2026-03-08T05:59-05:00", ["Pat"]),
    "spring, the end of the night": (rota(EVERY_NIGHT), "2026-03-08T06:00-05:00", []),
    "autumn, the first of two": (rota(EVERY_NIGHT), "2026-11-01T01:30-05:00", ["Pat"]),
    "autumn, the second": (rota(EVERY_NIGHT), "2026-11-01T01:30-06:00", ["Pat"]),
    "autumn, the end of the night": (rota(EVERY_NIGHT), "2026-11-01T06:00-06:00", []),
    "spring, within the gap before": (rota(GAP), "2026-03-08T01:59:59-06:00", ["Pat"]),
    "spring, the gap over": (rota(GAP), "2026-03-08T03:00-05:00", ["Kim"]),
    "autumn, half past one for the first time": (rota(GAP), "2026-11-01T01:30-05:00", ["Pat"]),
    "autumn, half past one for the second": (rota(GAP), "2026-11-01T01:30-06:00", ["Pat"]),
    "autumn, half past two": (rota(GAP), "2026-11-01T02:30-06:00", ["Kim"]),
    "a whole day of 23 hours": (rota(ALL_DAY), "2026-03-08T23:59-05:00", ["Kim"]),
    "a whole day of 25 hours": (rota(ALL_DAY), "2026-11-01T00:00-05:00", ["Kim"]),
    "and its end": (rota(ALL_DAY), "2026-11-01T23:59:59-06:00", ["Kim"]),
    "and no longer": (rota(ALL_DAY), "2026-11-02T00:00-06:00", []),
    "London, spring": (rota(EVERY_NIGHT, zone=LONDON), "2026-03-29T05:00+00:00", []),
    "London, autumn": (rota(EVERY_NIGHT, zone=LONDON), "2026-10-25T05:59+00:00", ["Pat"]),
    "a leap day": (rota({THU: ["08:00-09:00 Lee"]}), "2024-02-29T08:30-06:00", ["Lee"]),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "moment", "expected"), TABLE.values(), ids=TABLE)
def test_who_is_on_duty(asked: Rota, moment: str, expected: list[str]) -> None:
    assert asked.on_duty(datetime.fromisoformat(moment)) == expected


NEXT: dict[str, tuple[Rota, str, str | None]] = {
    "a start": (ONE, "2026-11-22T12:00-06:00", "2026-11-23T08:00-06:00"),
    "another one": (ONE, "2026-11-23T09:00-06:00", "2026-11-23T12:00-06:00"),
    "over a midnight": (ONE, "2026-11-28T23:00-06:00", "2026-11-29T06:00-06:00"),
    "somebody joins": (ONE, "2026-11-24T09:00-06:00", "2026-11-24T10:00-06:00"),
    "in another week": (TWO, "2026-11-16T12:00-06:00", "2026-11-22T20:00-06:00"),
    "over the change of clocks": (
        rota(EVERY_NIGHT), "2026-03-07T23:00-06:00", "2026-03-08T06:00-05:00"),
    "never": (rota({day: ["00:00-24:00 Pat"] for day in range(7)}), "2026-11-23T09:00-06:00", None),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "moment", "expected"), NEXT.values(), ids=NEXT)
def test_when_others_are_on_duty(asked: Rota, moment: str, expected: str | None) -> None:
    found = asked.next_change(datetime.fromisoformat(moment))
    assert found == (datetime.fromisoformat(expected) if expected else None)


def test_each_moment_of_a_year_agrees_with_the_changes_that_were_told() -> None:
    at, end = datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
    while at < end:
        change = TWO.next_change(at)
        assert change is not None
        assert TWO.on_duty(change) != TWO.on_duty(at)
        middle = at + (change - at) / 2
        assert TWO.on_duty(middle) == TWO.on_duty(at)
        at = change


@pytest.mark.parametrize("text", ["08:00-17:00", "Pat", "8-17 Pat", "08:00 Pat", "25:00-26:00 Pat"])
def test_what_is_no_turn_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="08:00-17:00"):
        Turn.parse(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [("08:00-17:00 Pat", "08:00-17:00 Pat"), (" 22:00 – 06:00  Ann Lee ", "22:00-06:00 Ann Lee")],
)
def test_turns_are_written_in_one_way(text: str, written: str) -> None:
    assert str(Turn.parse(text)) == written


def test_one_person_has_one_turn_at_a_time() -> None:
    pat, later, kim = (Turn.parse(f"{one}") for one in
                       ("08:00-12:00 Pat", "11:00-13:00 Pat", "11:00-13:00 Kim"))  # fmt: skip
    assert overlapping([pat, kim]) is None
    assert overlapping([later, kim, pat]) == (pat, later)
