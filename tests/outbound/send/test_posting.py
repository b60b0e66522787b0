"""The thread that gives messages of many lanes out at their times."""

from __future__ import annotations

import time

import pytest

from app.models.route import Destination
from app.outbound.send.claims import Outgoing
from app.outbound.send.pace import Gate
from app.outbound.send.post import Outcome
from app.outbound.send.posting import Posting
from app.twilio.client import NotSent
from app.twilio.turns import Turn

pytestmark = pytest.mark.database("sqlite")


def outgoing(lane: str, slot_us: int) -> Outgoing:
    return Outgoing(
        id=lane,
        destination=Destination.SMS,
        lane_key=lane,
        slot_us=slot_us,
        cost_us=1_000_000,
        segments=1,
        to="+13195550150",
        from_="+13195550100",
        body="Hello",
        media=(),
        options={},
        credential_id="",
        claim_token="",
        tries=1,
    )


def test_a_lane_whose_gate_is_closed_keeps_no_other_waiting(
    posting: Posting, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []

    def post(one: Outgoing, turn: Turn) -> Outcome:
        turn()
        passed.append(one.id)
        return NotSent("Only its moment counts here.")

    monkeypatch.setattr(posting._poster, "post", post)
    began = time.monotonic()
    late = posting._gates["late"] = Gate()
    late._next = began + 2.0  # its last message went out late
    now_us = posting.clock.at(began)
    posting.add(outgoing("other", now_us + 400_000))
    posting.add(outgoing("late", now_us + 200_000))
    assert posting.finish(20)
    assert time.monotonic() - began >= 1.7
    assert passed == ["other", "late"]
