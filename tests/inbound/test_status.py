"""Twilio's status callbacks of our own texts."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import update

from app.domain import wake
from app.models.base import new_id
from app.models.credential import Credential
from app.models.message import JournaledReport, Message, MessageReport, MessageState
from tests.support.house import House, furnish, text
from tests.support.reports import apply_reports
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, Twilio, sid

SID = sid("SM")


def parameters(**changes: str) -> dict[str, str]:
    """A callback as Twilio's page "Track outbound message status" shows it."""
    values = {
        "SmsSid": SID,
        "SmsStatus": "sent",
        "MessageStatus": "sent",
        "To": "+13195550150",
        "MessageSid": SID,
        "AccountSid": ACCOUNT_SID,
        "From": "+13195550100",
        "ApiVersion": "2010-04-01",
    }
    return {**values, **changes}


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


@pytest.fixture
def message(rows: Rows, house: House) -> Message:
    message = text(house, state=MessageState.CLAIMED)
    rows.add(message)
    return message


def path(message: Message) -> str:
    return f"/inbound/sms/status/{message.id}"


def test_a_report_is_kept_before_its_204_and_applied_after(
    app: Flask, twilio: Twilio, rows: Rows, message: Message
) -> None:
    assert twilio.post(path(message), parameters()).status_code == 204
    assert rows.one(JournaledReport).message_id == message.id
    assert rows.count(MessageReport) == 0
    apply_reports(app)
    stored = rows.one(Message)
    assert (stored.state, stored.status, stored.sid) == (MessageState.ACCEPTED, "sent", SID)
    assert rows.one(MessageReport).source == "callback"
    assert rows.count(JournaledReport) == 0


def test_taking_a_report_is_one_look_and_one_row(
    twilio: Twilio, rows: Rows, message: Message, statements: list[str]
) -> None:
    assert twilio.post(path(message), parameters()).status_code == 204
    assert [one.split()[0] for one in statements if not one.startswith("BEGIN")] == [
        "SELECT", "INSERT",
    ]  # fmt: skip


def test_a_token_that_is_changed_counts_at_once(twilio: Twilio, rows: Rows, house: House) -> None:
    """Whichever process changed it: what was known a report ago is asked again."""
    message = text(house, state=MessageState.ACCEPTED, sid=SID)
    rows.add(message)
    assert twilio.post(path(message), parameters(MessageStatus="queued")).status_code == 204
    rows.change(update(Credential).values(auth_token="n" * 32))
    assert twilio.post(path(message), parameters(), token="n" * 32).status_code == 204
    assert twilio.post(path(message), parameters()).status_code == 403


def test_an_error_code_is_kept(app: Flask, twilio: Twilio, rows: Rows, message: Message) -> None:
    answer = twilio.post(path(message), parameters(MessageStatus="undelivered", ErrorCode="30003"))
    assert answer.status_code == 204
    apply_reports(app)
    assert (rows.one(Message).status, rows.one(Message).error_code) == ("undelivered", 30003)


@pytest.mark.parametrize(
    ("sid_known", "changes", "within"),
    [
        (False, {}, 0.0),
        (True, {}, wake.SOON),
        (True, {"MessageStatus": "undelivered", "ErrorCode": "30003"}, wake.SOON),
        (True, {"MessageStatus": "undelivered", "ErrorCode": "21610"}, 0.0),
    ],
    ids=["proves a SID", "ordinary", "not reached", "opted out"],
)
def test_what_others_wait_for_is_applied_at_once(
    sid_known: bool, changes: dict[str, str], within: float,
    twilio: Twilio, rows: Rows, house: House, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    message = text(house, state=MessageState.ACCEPTED, sid=SID if sid_known else None)
    rows.add(message)
    woken: list[tuple[str, float]] = []
    monkeypatch.setattr(wake, "wake", lambda name, after: woken.append((name, after)))
    assert twilio.post(path(message), parameters(**changes)).status_code == 204
    assert woken == [("reports", within)]


def test_an_unknown_id_is_harmless(twilio: Twilio, message: Message, rows: Rows) -> None:
    assert twilio.post(f"/inbound/sms/status/{new_id()}", parameters()).status_code == 204
    assert rows.count(JournaledReport) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"AccountSid": "AC" + "f" * 32},
        {"To": "+13195550151"},
        {"From": "+13195550101"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_speaks_of_another_message_is_refused(
    changes: dict[str, str], twilio: Twilio, rows: Rows, message: Message
) -> None:
    assert twilio.post(path(message), parameters(**changes)).status_code == 403
    assert rows.count(JournaledReport) == 0
    assert rows.one(Message).sid is None


def test_another_sid_than_the_stored_one_is_refused(
    twilio: Twilio, rows: Rows, house: House
) -> None:
    message = text(house, state=MessageState.ACCEPTED, sid=sid("SM"))
    rows.add(message)
    assert twilio.post(path(message), parameters()).status_code == 403


def test_another_accounts_signature_is_refused(
    twilio: Twilio, rows: Rows, message: Message
) -> None:
    assert twilio.post(path(message), parameters(), token="f" * 32).status_code == 403
    assert rows.count(JournaledReport) == 0


@pytest.mark.parametrize("missing", ["MessageStatus", "MessageSid"])
def test_what_is_missing_is_named(missing: str, twilio: Twilio, message: Message) -> None:
    answer = twilio.post(path(message), parameters(**{missing: ""}))
    assert answer.status_code == 400
    assert missing in answer.text
