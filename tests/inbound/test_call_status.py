"""How a call of ours goes: in whatever order it is reported it ends right, each word told once."""

from __future__ import annotations

import itertools
import random

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from app.models.message import Message, MessageReport, MessageState
from tests.support.house import House
from tests.support.our_calls import call, listening, status, told
from tests.support.rows import Rows
from tests.support.twilio import Twilio


@pytest.fixture
def house(rows: Rows) -> House:
    return listening(rows)


STATUSES = [
    ("initiated", 0, {}),
    ("ringing", 1, {}),
    ("in-progress", 2, {"AnsweredBy": "human"}),
    ("completed", 3, {"AnsweredBy": "human", "CallDuration": "12"}),
]
RANK = {"queued": 0, "initiated": 1, "ringing": 2, "in-progress": 3, "completed": 4}


ORDERS = list(itertools.permutations(range(4)))


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.database("sqlite")
def test_whatever_the_order_of_reports_a_call_ends_right(
    order: tuple[int, ...], rows: Rows, house: House, twilio: Twilio
) -> None:
    ends_right_after(order, rows, house, twilio)


@pytest.mark.parametrize("order", [ORDERS[0], ORDERS[9], ORDERS[-1]], ids=str)
@pytest.mark.database("postgresql")
def test_so_it_does_on_postgresql(
    order: tuple[int, ...], rows: Rows, house: House, twilio: Twilio
) -> None:
    ends_right_after(order, rows, house, twilio)


def ends_right_after(order: tuple[int, ...], rows: Rows, house: House, twilio: Twilio) -> None:
    """Report a call in this order, and everything once more in another."""
    message = call(rows, house, state=MessageState.CLAIMED, sid=None, status=None)
    twice = [*order, *random.Random(str(order)).sample(order, 4)]
    for number in twice:
        word, sequence, more = STATUSES[number]
        assert status(twilio, message, word, sequence, **more).status_code == 204
    stored = rows.one(Message)
    assert (stored.status, stored.status_sequence) == ("completed", 3)
    assert (stored.call_duration, stored.answered_by) == (12, "human")
    assert rows.count(MessageReport) == 8  # every report is kept
    heard = [one["status"] for one in told(rows)]
    assert heard[0] == "queued"
    assert heard[-1] == "completed"
    assert len(set(heard)) == len(heard)  # each once
    assert [RANK[word] for word in heard] == sorted(RANK[word] for word in heard)


def test_reports_in_their_order_are_all_told(rows: Rows, house: House, twilio: Twilio) -> None:
    message = call(rows, house, state=MessageState.CLAIMED, sid=None, status=None)
    for word, sequence, more in STATUSES:
        status(twilio, message, word, sequence, **more)
    assert [one["status"] for one in told(rows)] == [
        "queued", "initiated", "ringing", "in-progress", "completed",
    ]  # fmt: skip
    assert [one.get("CallDuration") for one in told(rows)] == [None, None, None, None, 12]


@pytest.mark.parametrize("word", ["busy", "no-answer", "failed", "canceled"])
def test_other_ends_have_no_duration(word: str, rows: Rows, house: House, twilio: Twilio) -> None:
    message = call(rows, house, status="ringing", status_sequence=1)
    status(twilio, message, word, 2, CallDuration="0", SipResponseCode="486")
    status(twilio, message, "in-progress", 3)
    assert rows.one(Message).status == word
    assert [one["status"] for one in told(rows)] == [word]
    assert "CallDuration" not in told(rows)[0]


def test_a_word_that_we_do_not_know_is_kept_and_harmless(
    rows: Rows, house: House, twilio: Twilio
) -> None:
    message = call(rows, house, status="ringing")
    assert status(twilio, message, "levitating", 2).status_code == 204
    assert rows.one(Message).status == "ringing"
    assert rows.one(MessageReport).status == "levitating"


def test_a_status_without_a_word_is_400(rows: Rows, house: House, twilio: Twilio) -> None:
    message = call(rows, house)
    assert status(twilio, message, "", 1).status_code == 400


def test_without_the_database_a_status_is_asked_for_again(
    rows: Rows, house: House, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.domain.sending import statuses

    message = call(rows, house)

    def fail(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("the database went away"))

    monkeypatch.setattr(statuses, "record_report", fail)
    assert status(twilio, message, "ringing", 1).status_code == 503
    monkeypatch.undo()
    rows.change(update(Message).values(status="queued"))
    assert status(twilio, message, "ringing", 1).status_code == 204
