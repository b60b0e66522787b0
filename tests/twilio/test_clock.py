"""What Date headers say about Twilio's clock, and what they do not say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import pytest

from app.twilio.clock import Clock, Difference

NOON = 1_790_000_000.0


def learnt(*answers: tuple[float, float, float]) -> Difference:
    """Learn from answers: when asked for, when had, and what Twilio's clock then showed."""
    clock = Clock()
    for before, after, shown in answers:
        clock.learn(before, after, formatdate(int(shown), usegmt=True))
    known = clock.difference()
    assert known is not None
    return known


@pytest.mark.parametrize("ahead", [-3600.4, -3.0, -0.2, 0.0, 0.7, 3.0, 3600.0])
def test_the_true_difference_is_always_within_the_bounds(ahead: float) -> None:
    for phase in (0.0, 0.25, 0.5, 0.999):
        asked = NOON + phase
        known = learnt((asked, asked + 0.2, asked + 0.1 + ahead))
        assert known.low <= ahead <= known.high
        assert known.uncertainty <= 0.61


def test_several_answers_say_it_better_than_one() -> None:
    answers = [(NOON + n * 1.1, NOON + n * 1.1 + 0.02, NOON + n * 1.1 + 0.01) for n in range(10)]
    known = learnt(*answers)
    assert known.low <= 0 <= known.high
    assert known.uncertainty < 0.1


def test_a_clock_that_was_set_makes_the_former_answers_void() -> None:
    known = learnt((NOON, NOON + 0.1, NOON), (NOON + 60, NOON + 60.1, NOON + 3660))
    assert known.low <= 3600 <= known.high


def test_a_clock_set_back_while_an_answer_was_awaited_makes_it_no_more_certain() -> None:
    known = learnt((NOON + 3600, NOON + 0.1, NOON))
    assert known.low <= -3600
    assert known.high >= 0


@pytest.mark.parametrize("header", [None, "", "soon", "Mon, 99 Nov 2026 25:00:00 GMT"])
def test_what_cannot_be_read_says_nothing(header: str | None) -> None:
    clock = Clock()
    clock.learn(NOON, NOON, header)
    assert clock.difference() is None


def test_a_time_of_ours_becomes_whole_seconds_of_theirs() -> None:
    ours = datetime(2026, 11, 28, 12, 0, 0, 500_000, tzinfo=UTC)
    assert Difference(-3.6, -2.6).earliest(ours) == ours - timedelta(
        seconds=4, microseconds=500_000
    )
    assert Difference(-3.6, -2.6).latest(ours) == ours - timedelta(seconds=2.6)
