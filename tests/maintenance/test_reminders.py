"""Somebody is told of what nobody has answered in time: once, the right person, without words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update

from app.domain.conversations import record
from app.extensions import unit_of_work
from app.maintenance import reminders
from app.models.client import Client
from app.models.conversation import Conversation, ConversationState, EntryKind
from app.models.delivery import Delivery
from app.models.user import Membership, User
from tests.support.inbound import PHONE, Department
from tests.support.rows import Rows

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def told(app: Flask, rows: Rows) -> Any:
    """Lets the clock look at a minute after noon; returns who was written to, and what."""

    def look(minute: float) -> list[tuple[str, str]]:
        before = {one.id for one in rows.all(Delivery)}
        with time_machine.travel(NOON + timedelta(minutes=minute), tick=False), app.app_context():
            reminders.tick()
        mails = [json.loads(one.body)["data"] for one in rows.all(Delivery) if one.id not in before]
        return [(mail["subject"], mail["text"]) for mail in mails]

    return look


def ask(rows: Rows, office: Department, number: Any, phone: str, minute: float = 0, **more: Any):
    at = NOON + timedelta(minutes=minute)
    rows.add(
        Conversation(
            client_id=office.client.id, sender_id=number.id, phone=phone, last_at=at, unread=1,
            **{
                "state": ConversationState.WAITING, "waiting_since": at,
                "last_kind": EntryKind.IN, "last_text": "secret words",
            } | more,
        )
    )  # fmt: skip


def test_each_waiting_text_is_told_once_when_its_time_is_over(
    rows: Rows, app: Flask, told: Any
) -> None:
    office = Department(rows, remind_after=60)
    number = office.number()
    ask(rows, office, number, PHONE)
    ask(rows, office, number, "+13195550151", minute=30)
    ask(rows, office, number, "+13195550152", state=ConversationState.ANSWERED, waiting_since=None)
    assert told(59) == []
    [(subject, text)] = told(60)
    assert subject == "1 person waits for an answer from registrar"
    assert f"/staff/clients/registrar/conversations/{number.id}/{PHONE.replace('+', '%2B')}" in text
    assert "secret" not in text
    assert told(61) == []
    [(_, text)] = told(95)
    assert (PHONE in text, "+13195550151" in text) == (False, True)
    with app.app_context(), unit_of_work() as session:  # answered, and asked again
        at = NOON + timedelta(minutes=100)
        record.end_waiting(session, number.id, PHONE, ConversationState.ANSWERED, at)
        connection = session.connection()
        again = record.heard(
            office.client.id, number.id, PHONE, EntryKind.IN, at + timedelta(minutes=1), "Again?",
            waits=True,
        )  # fmt: skip
        connection.execute(record.heard_on(connection.dialect.name), again)
    assert told(160) == []
    assert PHONE in told(161)[0][1]


def test_whoever_has_taken_it_is_told_else_the_owner_and_nobody_where_none_is_set(
    rows: Rows, told: Any
) -> None:
    office = Department(rows, remind_after=5)
    number = office.number()
    pat = User(email="pat@example.edu")
    rows.add(pat)
    rows.add(Membership(user_id=pat.id, client_id=office.client.id))
    ask(rows, office, number, PHONE, assigned_id=pat.id)
    ask(rows, office, number, "+13195550151")
    ask(rows, office, number, "+13195550152")
    rows.change(update(Client).values(remind_after=None))
    assert told(10) == []
    rows.change(update(Client).values(remind_after=5))
    assert sorted(subject for subject, _ in told(10)) == [
        "1 person waits for an answer from registrar",
        "2 people wait for an answer from registrar",
    ]
