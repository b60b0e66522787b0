"""Statuses move forward only: Twilio's order, whatever the order of arrival."""

from itertools import permutations

import pytest

from app.twilio import statuses


@pytest.mark.parametrize(
    ("current", "new", "moves"),
    [
        (None, "queued", True),
        (None, "delivered", True),
        ("accepted", "queued", True),
        ("scheduled", "queued", True),
        ("accepted", "scheduled", False),
        ("queued", "sending", True),
        ("sending", "sent", True),
        ("sent", "delivered", True),
        ("sent", "undelivered", True),
        ("queued", "failed", True),
        ("scheduled", "canceled", True),
        ("delivered", "sent", False),
        ("delivered", "undelivered", False),
        ("failed", "delivered", False),
        ("sent", "sent", False),
        ("sent", "queued", False),
        ("sent", "partially_delivered", True),
        ("partially_delivered", "delivered", True),
        ("delivered", "partially_delivered", False),
        ("delivered", "read", True),
        ("sent", "read", True),
        ("read", "delivered", False),
        ("failed", "read", False),
        ("undelivered", "read", False),
        ("canceled", "read", False),
        ("sent", "nonsense", False),
        (None, "nonsense", False),
    ],
)
def test_a_message_moves_forward_only(current: str | None, new: str, moves: bool) -> None:
    assert statuses.message_may_become(current, new) is moves


@pytest.mark.parametrize(
    ("current", "new", "moves"),
    [
        (None, "queued", True),
        ("queued", "initiated", True),
        ("initiated", "ringing", True),
        ("ringing", "in-progress", True),
        ("in-progress", "completed", True),
        ("ringing", "no-answer", True),
        ("completed", "in-progress", False),
        ("completed", "busy", False),
        ("ringing", "initiated", False),
    ],
)
def test_a_call_moves_forward_only(current: str | None, new: str, moves: bool) -> None:
    assert statuses.call_may_become(current, new) is moves


def test_a_report_with_an_older_sequence_number_changes_nothing() -> None:
    assert not statuses.call_may_become("ringing", "completed", current_sequence=2, sequence=1)
    assert statuses.call_may_become("ringing", "completed", current_sequence=1, sequence=3)


def test_any_order_of_arrival_ends_the_same() -> None:
    for order in permutations(["queued", "sending", "sent", "delivered"]):
        current: str | None = None
        for word in order:
            current = word if statuses.message_may_become(current, word) else current
        assert current == "delivered"


def test_terminal_words_stick() -> None:
    for ranks, terminal in (
        (statuses.MESSAGE_RANKS, statuses.MESSAGE_TERMINAL),
        (statuses.CALL_RANKS, statuses.CALL_TERMINAL),
    ):
        may_become = (
            statuses.call_may_become
            if ranks is statuses.CALL_RANKS
            else statuses.message_may_become
        )
        for word in terminal:
            others = {other for other in ranks if may_become(word, other)}
            assert others == ({"read"} if word == "delivered" else set())
