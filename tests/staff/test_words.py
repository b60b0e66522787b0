"""A call is told as what it was."""

from __future__ import annotations

from typing import Any

import pytest

from app.models.message import Message, MessageState
from app.staff import words

HANGS_UP = {"machineDetection": "hang_up"}
TABLE: dict[str, tuple[dict[str, Any], str]] = {
    "a person": ({"answered_by": "human", "options": HANGS_UP}, "A person answered"),
    "nobody knows": ({"answered_by": None, "options": HANGS_UP}, "Answered"),
    "a machine": (
        {"answered_by": "machine_start", "options": HANGS_UP}, "A machine answered; we hung up",
    ),
    "a fax": ({"answered_by": "fax", "options": HANGS_UP}, "A machine answered; we hung up"),
    "a machine that is spoken to": (
        {"answered_by": "machine_start", "options": {"machineDetection": "continue"}},
        "A machine answered",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_a_machine_that_was_hung_up_on_is_not_completed(name: str) -> None:
    columns, expected = TABLE[name]
    call = Message(state=MessageState.ACCEPTED, status="completed", **columns)
    assert words.status(call)[0] == expected
