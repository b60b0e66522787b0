"""Of a message of unknown fate people say whether it arrived, once Twilio cannot tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from app.domain.reach import Refusal
from app.domain.sending import fates, resending
from app.domain.sending.fates import Candidate
from app.extensions import db, unit_of_work
from app.models.house import AuditEntry
from app.models.message import Message, MessageState
from app.models.route import Destination
from tests.support.house import House, furnish, text
from tests.support.rows import Rows
from tests.support.twilio import sid

NOW = datetime.now(UTC)


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


def lost(house: House, **changes: object) -> Message:
    """A message about which Twilio is asked no more."""
    values = {
        "state": MessageState.UNKNOWN, "claimed_at": NOW - timedelta(hours=1), "check_at": None,
    }  # fmt: skip
    return text(house, **{**values, **changes})


def remember(app: Flask, message: Message, *sids: str) -> None:
    with app.app_context(), unit_of_work() as session:
        fates.keep_candidates(session, message.id, [Candidate(one, "sent", NOW) for one in sids])


def test_it_arrived_takes_the_id_that_somebody_saw_in_twilios_log(
    app: Flask, rows: Rows, house: House
) -> None:
    message, theirs = lost(house), sid("SM")
    rows.add(message)
    remember(app, message, theirs, sid("SM"))
    with app.app_context(), unit_of_work() as session:
        fates.arrived(session, message.id, theirs, "pat")
    found = rows.one(Message)
    assert (found.state, found.sid, found.status) == (MessageState.ACCEPTED, theirs, "sent")
    assert found.error_message is None
    assert found.check_at is not None, "Twilio's last word, and the price, are asked for"
    assert rows.one(AuditEntry).actor == "pat"


def test_it_did_not_arrive_lets_it_be_sent_again(app: Flask, rows: Rows, house: House) -> None:
    message = lost(house)
    rows.add(message)
    with app.app_context(), unit_of_work() as session:
        fates.did_not_arrive(session, message.id, "pat")
    with app.app_context(), unit_of_work() as session:
        again = resending.send_again(session, message.id, "pat").id
    states = {one.id: one.state for one in rows.all(Message)}
    assert states == {message.id: MessageState.FAILED, again: MessageState.WAITING}


@pytest.mark.parametrize(
    "known",
    [
        {"state": MessageState.ACCEPTED, "sid": "SM" + "1" * 32},
        {"state": MessageState.FAILED},
        {"state": MessageState.WAITING},
        {"state": MessageState.CLAIMED},
        {"check_at": NOW + timedelta(minutes=1), "claimed_at": NOW - timedelta(minutes=20)},
    ],
    ids=["arrived", "not sent", "waits", "on its way", "Twilio is being asked"],
)
@pytest.mark.parametrize("arrived", [True, False])
def test_nobody_says_what_is_known_or_about_to_be(
    known: dict[str, object], arrived: bool, app: Flask, rows: Rows, house: House
) -> None:
    message = lost(house, **known)
    rows.add(message)
    before = rows.one(Message).state
    with app.app_context(), unit_of_work() as session:
        if arrived:
            with pytest.raises(Refusal, match="Nothing was changed"):
                fates.arrived(session, message.id, sid("SM"), "pat")
        else:
            with pytest.raises(Refusal, match="Nothing was changed"):
                fates.did_not_arrive(session, message.id, "pat")
    assert rows.one(Message).state is before


def test_when_twilio_cannot_be_asked_for_half_an_hour_people_may_say(
    app: Flask, rows: Rows, house: House
) -> None:
    message = lost(house, check_at=NOW + timedelta(minutes=1))
    rows.add(message)
    with app.app_context(), unit_of_work() as session:
        fates.did_not_arrive(session, message.id, "pat")
    assert rows.one(Message).state is MessageState.FAILED


@pytest.mark.parametrize(
    ("destination", "wrong"),
    [
        (Destination.SMS, ""), (Destination.SMS, "SM123"), (Destination.SMS, "CA" + "1" * 32),
        (Destination.SMS, "SM" + "G" * 32), (Destination.VOICE, "SM" + "1" * 32),
    ],
)  # fmt: skip
def test_what_is_no_id_of_twilios_is_refused(
    destination: Destination, wrong: str, app: Flask, rows: Rows, house: House
) -> None:
    message = lost(house, destination=destination)
    rows.add(message)
    with app.app_context(), pytest.raises(Refusal, match="Twilio's id begins"), unit_of_work() as s:
        fates.arrived(s, message.id, wrong, "pat")
    assert rows.one(Message).state is MessageState.UNKNOWN


def test_one_id_is_one_messages(app: Flask, rows: Rows, house: House) -> None:
    theirs = sid("SM")
    message, other = lost(house), text(house, state=MessageState.ACCEPTED, sid=theirs)
    rows.add(message, other)
    remember(app, message, theirs)
    with app.app_context(), pytest.raises(Refusal, match="Another message"), unit_of_work() as s:
        fates.arrived(s, message.id, theirs, "pat")
    with app.app_context():
        assert fates.candidates(db.session(), message) == []


def test_what_is_alike_is_looked_for_once_more(app: Flask, rows: Rows, house: House) -> None:
    first, second = lost(house), lost(house)
    stranger = lost(house, to="+13195550151")
    rows.add(first, second, stranger)
    with app.app_context(), unit_of_work() as session:
        fates.arrived(session, first.id, sid("SM"), "pat")
    looked_for = {one.id: one.check_at for one in rows.all(Message)}
    assert looked_for[second.id] is not None
    assert looked_for[stranger.id] is None
