"""In which order endpoints and deliveries are locked: nobody ever waits in a circle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.domain.relaying import announcements, notices, outbox
from app.domain.relaying.events import Happening
from app.extensions import unit_of_work
from app.models.communication import CallbackEvent
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint
from app.models.message import Message
from tests.domain.relaying.test_announcements import NOW, call, completed, listen, report
from tests.support.house import House, furnish
from tests.support.processes import wait_until
from tests.support.rows import Rows

pytestmark = pytest.mark.database("postgresql")
OWNER = "owner@example.edu"
_WAITING = (
    select(func.count())
    .select_from(text("pg_stat_activity"))
    .where(text("datname = current_database() AND wait_event_type = 'Lock'"))
)


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


@contextmanager
def while_another_waits(
    app: Flask, rows: Rows, endpoint: Endpoint, act: Callable[[Session], object]
) -> Iterator[Session]:
    """Hold the endpoint's row, as who disables it does, until ``act`` waits for it.

    The block then goes on as that does; ``act`` commits after it.
    """

    def another() -> None:
        with app.app_context(), unit_of_work() as session:
            act(session)

    with ThreadPoolExecutor(1) as pool:
        with app.app_context(), unit_of_work() as session:
            session.execute(select(Endpoint.id).where(Endpoint.id == endpoint.id).with_for_update())
            waits = pool.submit(another)
            wait_until(lambda: rows.one(_WAITING) == 1, "the other one waits", 10)
            yield session
        waits.result(10)


def test_a_recording_locks_the_endpoint_before_the_delivery(
    app: Flask, rows: Rows, house: House
) -> None:
    endpoint = listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS)
    message = call(house)
    url = f"https://dispatch.example.edu/inbound/voice/recorded/{message.id}"
    message.answer_twiml = f'<Response><Record action="{url}"/></Response>'
    rows.add(message)
    report(app, message, completed())

    def recorded(session: Session) -> None:
        called = session.get_one(Message, message.id)
        called.recording_url = "https://api.twilio.com/RE1"
        session.flush()
        announcements.more_came(session, called)

    with while_another_waits(app, rows, endpoint, recorded) as session:
        session.execute(select(Delivery.id).with_for_update(nowait=True))
    delivery = rows.one(Delivery)
    assert delivery.state is DeliveryState.PENDING
    assert "https://api.twilio.com/RE1" in delivery.body


def test_mails_of_our_own_are_locked_after_clients_endpoints(
    app: Flask, rows: Rows, house: House
) -> None:
    endpoint = listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS)
    with app.app_context(), unit_of_work() as session:
        notices.notify(session, OWNER, "The first", "makes the address known")

    def stopped(session: Session) -> None:
        """As when Twilio reports an error that stops a sender: a mail, and an event."""
        notices.notify(session, OWNER, "Stopped", "…")
        happening = Happening(
            endpoint.id, EventType.MESSAGE_PROBLEM, {}, house.client.id, NOW, "problem"
        )
        outbox.tell(session, happening)

    with while_another_waits(app, rows, endpoint, stopped) as session:
        session.execute(
            select(Endpoint.id).where(Endpoint.url == OWNER).with_for_update(nowait=True)
        )
        notices.notify(session, OWNER, "Given up", "…")
    assert rows.count(Delivery) == 4


def test_support_is_locked_last(app: Flask, rows: Rows, house: House) -> None:
    """A mail that nobody takes is told to support while its own address is locked."""
    support = app.extensions["settings"].support_email
    with app.app_context(), unit_of_work() as session:
        notices.notify(session, {"a@example.edu", "z@example.edu", support}, "Used", "80 %")
    sent = rows.all(select(Endpoint.url).join(Delivery).order_by(Delivery.id))
    assert sent == ["a@example.edu", "z@example.edu", support]
