from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from app.domain.audience import contacts
from app.extensions import db, unit_of_work
from app.models.last_contact import LastContact
from app.models.message import Message
from app.models.sender import Sender
from tests.support.clients import Department, department
from tests.support.rows import Rows

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PHONE = "+13195550150"


@pytest.fixture
def registrar(rows: Rows) -> Department:
    return department(rows)


def remember(app: Flask, message: Message, at: datetime) -> None:
    with app.app_context(), unit_of_work() as session:
        contacts.remember(session, message, at)


def find(app: Flask, registrar: Department, sender: Sender, phone: str = PHONE) -> str | None:
    """Return the name of the member that was written to last."""
    with app.app_context():
        found = contacts.find(db.session(), registrar.client.id, phone, sender)
        return None if found is None else (found.member or {}).get("toName", "nameless")


def text(registrar: Department, name: str, sender: Sender, to: str = PHONE) -> Message:
    return registrar.text(to, member={"toName": name, "course": "B12"}, sender_id=sender.id)


def test_nobody_is_found_for_a_phone_never_written_to(app: Flask, registrar: Department) -> None:
    assert find(app, registrar, registrar.number) is None


def test_everything_about_the_last_text_is_kept(
    app: Flask, registrar: Department, rows: Rows
) -> None:
    message = text(registrar, "Ada", registrar.number)
    remember(app, message, AT)
    kept = rows.one(LastContact)
    assert kept.member == {"toName": "Ada", "course": "B12"}
    assert (kept.message_id, kept.body, kept.sent_at) == (message.id, message.body, AT)


def test_the_newest_wins_in_whatever_order_they_come(
    app: Flask, registrar: Department, rows: Rows
) -> None:
    newer, older = (text(registrar, name, registrar.number) for name in ("newer", "older"))
    remember(app, newer, AT)
    remember(app, older, AT - timedelta(seconds=1))
    assert find(app, registrar, registrar.number) == "newer"
    assert rows.count(LastContact) == 1


def test_the_same_number_comes_before_a_newer_text_from_another(
    app: Flask, registrar: Department
) -> None:
    other = registrar.other_number("+13195550101")
    remember(app, text(registrar, "same", registrar.number), AT)
    remember(app, text(registrar, "other", other), AT + timedelta(days=1))
    assert find(app, registrar, registrar.number) == "same"
    assert find(app, registrar, other) == "other"


def test_the_messaging_service_of_the_number_counts_as_the_number(
    app: Flask, registrar: Department
) -> None:
    service, other = registrar.service(), registrar.other_number("+13195550101")
    inside = Sender(id=registrar.number.id, service_id=service.id)
    remember(app, text(registrar, "service", service), AT)
    remember(app, text(registrar, "other", other), AT + timedelta(days=1))
    assert find(app, registrar, inside) == "service"


def test_else_the_newest_from_any_sender_of_the_client(app: Flask, registrar: Department) -> None:
    one, two = (registrar.other_number(f"+1319555010{n}") for n in (1, 2))
    remember(app, text(registrar, "older", one), AT)
    remember(app, text(registrar, "newer", two), AT + timedelta(hours=1))
    assert find(app, registrar, registrar.number) == "newer"


def test_other_clients_are_never_looked_at(app: Flask, registrar: Department, rows: Rows) -> None:
    bursar = department(rows, "bursar", "+13195550109")
    remember(app, text(bursar, "theirs", bursar.number), AT)
    assert find(app, registrar, registrar.number) is None


def test_it_is_one_look_up_by_an_index(app: Flask, registrar: Department) -> None:
    remember(app, text(registrar, "Ada", registrar.number), AT)
    asked: list[tuple[str, object]] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
        contacts.find(db.session(), registrar.client.id, PHONE, registrar.number)
        ((statement, values),) = [one for one in asked if one[0].startswith("SELECT")]
        if db.engine.dialect.name == "sqlite":
            driver = db.session.connection()
            plan = driver.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            assert "SEARCH last_contact USING" in str(plan)
