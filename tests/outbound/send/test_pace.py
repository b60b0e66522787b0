"""The gates of lanes: whoever counts at Twilio never sees more than one message too many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.outbound.send import pace
from app.outbound.send.pace import Clock, Gate


class Time:
    """A clock that goes on only when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + 1e-9


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    time = Time()
    monkeypatch.setattr(pace, "time", time)
    return time


def expect(gate: Gate, rate: float, *slots: tuple[float, int]) -> None:
    for number, (moment, size) in enumerate(slots):
        gate.expect(str(number), moment, size / rate, 1 / rate)


def test_a_message_passes_at_its_slot(time: Time) -> None:
    gate = Gate()
    expect(gate, 10, (1000.5, 1))
    assert gate.wait("0") == pytest.approx(0, abs=1e-6)
    assert time.now == pytest.approx(1000.5)


def test_a_late_message_pushes_the_next_one_but_a_quarter_of_a_segment(time: Time) -> None:
    gate = Gate()
    expect(gate, 10, (1000.0, 1), (1000.1, 1), (1000.2, 1))
    time.now = 1000.08
    assert gate.wait("0") == pytest.approx(0.08)
    assert gate.wait("1") == pytest.approx(0.055, abs=1e-6)
    assert gate.wait("2") == pytest.approx(0.055, abs=1e-6)


def test_a_little_lateness_is_made_up_for(time: Time) -> None:
    gate = Gate()
    expect(gate, 10, (1000.0, 1), (1000.1, 1))
    time.now = 1000.02
    gate.wait("0")
    assert gate.wait("1") == pytest.approx(0, abs=1e-6)


def test_it_tells_when_it_opens_for_one_more(time: Time) -> None:
    gate = Gate()
    expect(gate, 10, (1000.0, 1), (1000.1, 3))
    assert gate.opens_next() == pytest.approx(1000.4 - 0.025)
    time.now = 1000.5
    gate.wait("0")
    assert gate.opens_next() == pytest.approx(1000.9 - 0.025)


def test_what_never_came_is_not_waited_for(time: Time) -> None:
    gate = Gate()
    expect(gate, 1, (1000.0, 1), (1001.0, 1))
    gate.wait("0")
    gate.forget("1")
    assert gate.opens_next() == pytest.approx(1000.75)


@given(
    rate=st.sampled_from([1.0, 3.0, 12.5, 100.0]),
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=150),
    late=st.lists(st.floats(0, 0.4), max_size=150),
)
def test_no_window_of_time_holds_more_than_the_rate_and_one_message(
    rate: float, sizes: list[int], late: list[float]
) -> None:
    clock, patch = Time(), pytest.MonkeyPatch()
    patch.setattr(pace, "time", clock)
    gate, slot, passed = Gate(), 1000.0, []
    for number, size in enumerate(sizes):
        gate.expect(str(number), slot, size / rate, 1 / rate)
        delay = late[number] if number < len(late) else 0.0
        clock.now = max(clock.now, slot - 0.03 + delay)
        gate.wait(str(number))
        passed.append((clock.now, size))
        slot += size / rate
    patch.undo()
    for window in (1.0, 10.0):
        for number, (end, size) in enumerate(passed):
            inside = [s for at, s in passed[: number + 1] if at > end - window]
            assert sum(inside) <= rate * window + max(size, 1) + 1e-6


def test_the_shortest_question_tells_the_time_best() -> None:
    clock = Clock()
    clock.set(10.0, 10.002, 50_000_000)
    clock.set(11.0, 11.09, 51_080_000)
    assert clock.at(12.001) == 52_000_000
    assert clock.moment(52_000_000) == pytest.approx(12.001)


@pytest.mark.parametrize(
    ("asked_at", "ahead_us"), [(30.0, 5_000), (11.0, 900_000)], ids=["long after", "a leap"]
)
def test_what_was_learned_does_not_last(asked_at: float, ahead_us: int) -> None:
    clock = Clock()
    clock.set(10.0, 10.0, 50_000_000)
    clock.set(asked_at, asked_at + 0.02, int(asked_at * 1e6) + 40_000_000 + ahead_us)
    assert clock.at(40.0) == pytest.approx(80_000_000 + ahead_us - 10_000, abs=2)
