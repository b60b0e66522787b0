"""The calendar, and the pages on which something is put into it."""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from app.models.audience import Member
from app.models.communication import Communication
from app.models.conversation import Conversation, ConversationState, EntryKind
from app.models.message import Message, MessageState
from app.outbound import due
from tests.staff.conftest import Staff
from tests.staff.of_department import ours as ours
from tests.staff.of_department import pat as pat
from tests.support.departments import Department, department
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
NOW = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)  # Monday, 8:00 in Chicago
PHONE = "+13195550142"


@pytest.fixture(autouse=True)
def travel() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=True) as travel:
        yield travel


def words(pat: Staff, path: str) -> str:
    answer = pat.http.get(f"{HOME}/{path}")
    assert answer.status_code == 200
    return html.unescape(answer.get_data(as_text=True))


def save(pat: Staff, ours: Department, **fields: Any) -> Any:
    path = f"{HOME}/communications/{ours.texts.id}/edit"
    return pat.send(
        path, name="reminders", campaign="spring", template="reminder", population="students",
        sender=ours.number.id, **fields,
    )  # fmt: skip


def remind(pat: Staff, ours: Department, rows: Rows) -> None:
    rows.add(
        Member(roll=ours.population.id,
               attributes={"toPhone": PHONE, "appointment": "2026-12-04"}),
        Member(roll=ours.population.id, attributes={"toPhone": PHONE}),
    )  # fmt: skip
    answer = save(pat, ours, schedule="relative", attribute="appointment", days="2",
                  direction="before", relative_at="09:00")  # fmt: skip
    assert answer.status_code == 302


def test_what_goes_out_by_itself_is_set_up_shown_and_ended(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    remind(pat, ours, rows)
    page = words(pat, f"communications/{ours.texts.id}")
    assert "2 days before appointment at 09:00" in page
    assert "Dec 2, 9:00 am" in page
    assert "set by pat@example.edu" in page
    assert "no date under “appointment” that can be read" in page
    form = words(pat, f"communications/{ours.texts.id}/edit")
    assert 'name="schedule" value="relative" checked' in form
    assert save(pat, ours, schedule="").status_code == 302
    assert "Goes out by itself" not in words(pat, f"communications/{ours.texts.id}")


def test_a_form_without_the_fields_changes_nothing_about_it(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    remind(pat, ours, rows)
    save(pat, ours)
    kept = rows.one(select(Communication).where(Communication.id == ours.texts.id))
    assert kept.relative is not None


def test_mistakes_are_told_at_the_field(pat: Staff, ours: Department) -> None:
    answer = save(pat, ours, schedule="repeat", every="week", repeat_at="09:00")
    assert answer.status_code == 422
    page = html.unescape(answer.get_data(as_text=True))
    assert '<a href="#repeat">Say on which weekdays it goes out.</a>' in page
    answer = save(pat, ours, schedule="relative", attribute="", days="-1", relative_at="")
    page = html.unescape(answer.get_data(as_text=True))
    for sentence in ("Choose the time of day", "which column", "0 to 365"):
        assert sentence in page


def test_the_calendar_shows_what_is_to_come_and_what_was(
    app: Flask, pat: Staff, ours: Department, rows: Rows, travel: Any
) -> None:
    assert "Nothing is planned in this month." in words(pat, "calendar")
    remind(pat, ours, rows)
    december = words(pat, "calendar?month=2026-12")
    assert "December 2026" in december
    assert "9:00 am" in december
    assert "1 person" in december
    for days in range(3):
        travel.move_to(NOW + timedelta(days=days, hours=1, seconds=1))
        with app.app_context():
            due.turn()
    pat.sign_in("pat@example.edu")
    assert "Went out" in words(pat, "calendar")


@pytest.mark.parametrize("month", ["2026-13", "x", "9999-12", "0001-01", "2026-12-31"])
def test_any_month_that_is_asked_for_is_answered(pat: Staff, month: str) -> None:
    assert "Calendar" in words(pat, f"calendar?month={month}")


@pytest.fixture
def talk(rows: Rows, ours: Department) -> str:
    """Somebody waits for an answer; the path of the conversation."""
    rows.add(
        Conversation(
            client_id=ours.client.id, sender_id=ours.number.id, phone=PHONE, unread=1,
            state=ConversationState.WAITING, last_at=NOW, last_kind=EntryKind.IN,
            last_text="When?", waiting_since=NOW,
        )
    )  # fmt: skip
    return f"conversations/{ours.number.id}/{PHONE}"


def answer(pat: Staff, ours: Department, talk: str, **fields: str) -> Any:
    path = f"{HOME}/conversation-answer/{ours.number.id}/{PHONE}"
    return pat.send(path, f"{HOME}/{talk}", body="At nine.", **fields)


def test_an_answer_waits_for_its_hour_where_everybody_sees_it_and_is_canceled(
    pat: Staff, ours: Department, rows: Rows, talk: str
) -> None:
    assert answer(pat, ours, talk, at="2026-12-01T09:00").status_code == 302
    message = rows.one(Message)
    assert message.send_at == datetime(2026, 12, 1, 15, tzinfo=UTC)
    page = words(pat, talk)
    assert "Waits until Dec 1, 9:00 am" in page
    assert "Waits for an answer" in page
    assert PHONE[-4:] in words(pat, "calendar?month=2026-12")
    shown = f"messages/{message.id}"
    assert "Waits until Dec 1, 9:00 am" in words(pat, shown)
    pat.send(f"{HOME}/{shown}/cancel", f"{HOME}/{shown}")
    assert rows.one(Message).state is MessageState.CANCELED
    pat.send(f"{HOME}/{shown}/cancel", f"{HOME}/{talk}")
    assert "does not wait for its hour any more" in words(pat, shown)


@pytest.mark.parametrize("at", ["2026-11-30T07:59", "soon", "2026-13-01T09:00", "0001-01-01T00:00"])
def test_an_hour_that_cannot_be_is_told_and_the_answer_stays_in_the_box(
    pat: Staff, ours: Department, rows: Rows, talk: str, at: str
) -> None:
    told = answer(pat, ours, talk, at=at)
    assert told.status_code == 422
    page = told.get_data(as_text=True)
    assert "Not sent." in page
    assert "At nine." in page
    assert rows.count(Message) == 0


def test_another_clients_text_cannot_be_canceled(
    pat: Staff, rows: Rows, ours: Department, talk: str
) -> None:
    other = department(rows, "library", "22")
    held = Message(
        client_id=other.client.id, destination="sms", sender_id=other.number.id, to=PHONE,
        credential_id=other.credential.id, from_=other.number.address, body="x",
        send_at=NOW + timedelta(days=1),
    )  # fmt: skip
    rows.add(held)
    token = {"csrf_token": pat.token(f"{HOME}/{talk}")}
    assert pat.http.post(f"{HOME}/messages/{held.id}/cancel", data=token).status_code == 404
    assert rows.one(Message).state is MessageState.WAITING
