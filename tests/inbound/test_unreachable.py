"""Who cannot be reached is not who does not want to be: two facts about a phone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from app.domain import reach
from app.domain.audience import in_force
from app.domain.sending import statuses
from app.domain.sending.reports import Report
from app.domain.sending.texts import queue_text
from app.extensions import db, unit_of_work
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.message import Message, MessageState
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionReason
from app.twilio import errors
from app.twilio.errors import Action
from tests.support.house import House, text
from tests.support.inbound import PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio

UNREACHABLE = [21211, 21265, 21268, 21614, 21635, 30004, 30005, 30006, 63024]
"""Twilio's error dictionary: invalid numbers, short codes, premium numbers, landlines, blocked,
unknown, unreachable carriers, no recipient of the channel."""


@pytest.fixture
def house(rows: Rows) -> House:
    department = Department(rows)
    sender = department.auto_reply(suppression_list_id=department.suppression_list().id)
    return House(department.client, department.credential, sender)


def sent(rows: Rows, house: House, **changes: object) -> Message:
    """Add a text that Twilio has taken."""
    one = text(
        house, to=PHONE, state=MessageState.ACCEPTED, status="sent", sid="SM" + new_id().lower(),
        suppression_list_id=house.sender.suppression_list_id, **changes,
    )  # fmt: skip
    rows.add(one)
    return one


def report(app: Flask, message: Message, status: str, code: int | None = None) -> None:
    with app.app_context(), unit_of_work() as session:
        statuses.record_report(session, message.id, Report(status, "callback", error_code=code))


def why(app: Flask, house: House) -> reach.Listed | None:
    with app.app_context():
        listed = house.sender.suppression_list_id
        return in_force.why_suppressed(db.session(), listed, PHONE, house.sender)


def write(app: Flask, house: House) -> Message:
    with app.app_context(), unit_of_work() as session:
        return queue_text(
            session, session.get_one(Client, house.client.id),
            session.get_one(Sender, house.sender.id), PHONE, body="Hello",
        )  # fmt: skip


def test_every_code_of_a_phone_that_cannot_be_reached_has_an_end() -> None:
    found = {code for code, rule in errors.RULES.items() if rule.action is Action.SUPPRESS}
    wishes = {code for code in found if errors.RULES[code].opted_out}
    assert sorted(found - wishes) == UNREACHABLE
    now = utcnow()
    for code in UNREACHABLE:
        until = errors.RULES[code].unreachable_until(now)
        assert until is not None
        assert timedelta(days=30) <= until - now <= timedelta(days=180)
    assert all(errors.RULES[code].unreachable_until(now) is None for code in wishes)


@pytest.mark.parametrize("code", UNREACHABLE)
def test_it_is_said_with_its_code_since_and_an_end(
    code: int, app: Flask, rows: Rows, house: House
) -> None:
    report(app, sent(rows, house), "undelivered", code)
    entry = rows.one(SuppressionEntry)
    assert (entry.reason, entry.error_code) == (SuppressionReason.UNREACHABLE, code)
    assert entry.until is not None
    assert entry.until > entry.since
    next_one = write(app, house)
    assert (next_one.state, next_one.reason) == (MessageState.SUPPRESSED, "suppressed")
    assert next_one.error_code == code
    assert "cannot be reached" in (next_one.error_message or "")
    assert "opted out" not in (next_one.error_message or "")


@pytest.mark.parametrize("code", [21610, 63033])
def test_a_wish_is_a_wish(code: int, app: Flask, rows: Rows, house: House) -> None:
    report(app, sent(rows, house), "undelivered", code)
    entry = rows.one(SuppressionEntry)
    assert (entry.reason, entry.error_code, entry.until) == (
        SuppressionReason.OPTED_OUT, None, None,
    )  # fmt: skip
    assert "opted out" in (write(app, house).error_message or "")


@pytest.mark.parametrize("first", [30005, 21610])
def test_both_can_be_so_and_the_wish_comes_first(
    first: int, app: Flask, rows: Rows, house: House, twilio: Twilio
) -> None:
    for code in (first, 30005 + 21610 - first):
        report(app, sent(rows, house), "undelivered", code)
    assert rows.count(SuppressionEntry) == 2
    found = why(app, house)
    assert found is not None
    assert found.code is None
    twilio.sms(Body="START")
    found = why(app, house)
    assert found is not None
    assert found.code == 30005  # START took back the wish, and only that


@pytest.mark.parametrize(
    ("fields", "lifts"),
    [
        ({"Body": "Hello"}, True),
        ({"Body": "STOP"}, True),
        ({"Body": "HELP"}, True),
        ({"Body": ""}, True),
        ({"Body": "START"}, False),
        ({"Body": "Start."}, False),
        ({"Body": "Hello", "From": f"whatsapp:{PHONE}"}, False),
        ({"Body": "Hello", "From": f"rcs:{PHONE}"}, True),
        ({"Body": "Hello", "From": "+13195550177"}, False),
    ],
    ids=["words", "STOP", "HELP", "nothing", "START", "Start.", "WhatsApp", "RCS", "another"],
)
def test_a_text_from_that_phone_lifts_it(
    fields: dict[str, str], lifts: bool, app: Flask, rows: Rows, house: House, twilio: Twilio
) -> None:
    report(app, sent(rows, house), "undelivered", 30006)
    twilio.sms(**fields)
    lifted = [
        one.lifted_at is not None
        for one in rows.all(SuppressionEntry)
        if one.reason is SuppressionReason.UNREACHABLE
    ]
    assert lifted == [lifts]


@pytest.mark.parametrize(
    ("status", "code", "lifts"),
    [("delivered", None, True), ("read", None, True), ("sent", None, False),
     ("undelivered", 30008, False)],
)  # fmt: skip
def test_a_text_that_arrived_lifts_it(
    status: str, code: int | None, lifts: bool, app: Flask, rows: Rows, house: House
) -> None:
    late = sent(rows, house)
    rows.change(update(Message).values(status="queued"))
    report(app, sent(rows, house), "undelivered", 30005)
    report(app, late, status, code)
    assert (rows.one(SuppressionEntry).lifted_at is not None) is lifts


def test_what_arrives_at_another_client_lifts_nothing_here(
    app: Flask, rows: Rows, house: House
) -> None:
    report(app, sent(rows, house), "undelivered", 30005)
    other = Department(rows, name="library")
    theirs = House(other.client, other.credential, other.number("+13195550109"))
    report(app, sent(rows, theirs), "delivered")
    assert rows.one(SuppressionEntry).lifted_at is None


def test_when_it_has_ended_the_phone_is_tried_again(app: Flask, rows: Rows, house: House) -> None:
    report(app, sent(rows, house), "undelivered", 30005)
    past = datetime.now(UTC) - timedelta(days=200)
    ended = update(SuppressionEntry).values(since=past, until=past + timedelta(days=90))
    rows.change(ended)
    assert write(app, house).state is MessageState.WAITING
    report(app, sent(rows, house), "undelivered", 30006)
    entry = rows.one(SuppressionEntry)
    assert (entry.error_code, entry.lifted_at) == (30006, None)
    assert write(app, house).state is MessageState.SUPPRESSED
