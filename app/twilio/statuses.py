"""What Twilio says became of a message or a call, ranked so that it never runs backwards.

Reports arrive late, twice and out of order (Twilio: "order is not guaranteed"), so a new word
counts only if it ranks above the one stored. A terminal word sticks.
Words are those of Twilio's Message and Call resources and of their status callbacks.
"""

from typing import Final

MESSAGE_RANKS: Final = {
    "accepted": 0,
    "scheduled": 0,
    "queued": 1,
    "sending": 2,
    "sent": 3,
    "partially_delivered": 4,
    "delivered": 5,
    "undelivered": 5,
    "failed": 5,
    "canceled": 5,
    "read": 6,
}
MESSAGE_TERMINAL: Final = frozenset({"delivered", "undelivered", "failed", "canceled", "read"})
"""Nothing follows but ``read``, which some channels report of what was delivered."""
_NEVER_READ: Final = frozenset({"undelivered", "failed", "canceled"})

ARRIVED: Final = frozenset({"delivered", "read"})
SENT_ON: Final = frozenset({"sent", "partially_delivered"}) | ARRIVED
"""Of a text that has left Twilio for the carrier."""

CALL_RANKS: Final = {
    "queued": 0,
    "initiated": 1,
    "ringing": 2,
    "in-progress": 3,
    "completed": 4,
    "busy": 4,
    "no-answer": 4,
    "failed": 4,
    "canceled": 4,
}
CALL_TERMINAL: Final = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})


def message_may_become(current: str | None, new: str) -> bool:
    """Tell whether a message whose status is `current` (None: none yet) moves on to `new`.

    False for a repeat, a step back, a change between terminal words, and an unknown word.
    """
    return current not in _NEVER_READ and _moves(MESSAGE_RANKS, current, new)


def call_may_become(
    current: str | None, new: str, current_sequence: int | None = None, sequence: int | None = None
) -> bool:
    """Tell whether a call whose status is `current` (None: none yet) moves on to `new`.

    `current_sequence` and `sequence` are the SequenceNumber of the report that gave the current
    status and of the new one, where known: a report with a lower number is an old one.
    """
    if current_sequence is not None and sequence is not None and sequence <= current_sequence:
        return False
    return _moves(CALL_RANKS, current, new)


def _moves(ranks: dict[str, int], current: str | None, new: str) -> bool:
    if new not in ranks:
        return False
    return current is None or ranks.get(current, -1) < ranks[new]
