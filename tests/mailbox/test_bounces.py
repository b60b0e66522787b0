"""A mail that comes back stops nothing, and nobody has to find it out alone."""

from __future__ import annotations

import json
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import select, update

from app.domain.relaying import deliveries, notices
from app.extensions import unit_of_work
from app.models.communication import Callback, CallbackEvent
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint, EndpointState
from app.models.house import MailTaken
from tests.mailbox.conftest import DESK, HelpDesk
from tests.mailbox.test_reports import OTHERS, RECIPIENT, dsn
from tests.support.relay import run

FAILED = dsn(f"{RECIPIENT}\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 unknown")
REASON = "There is no such mailbox. 550 unknown"


def comes_back(desk: HelpDesk, content: bytes = FAILED) -> int:
    """Let the newest mail come back to where its envelope says; return how that is answered."""
    return desk.hand_over(content, desk.box.envelopes[-1][0])[0]


def forwarded(desk: HelpDesk) -> Delivery:
    return desk.rows.one(select(Delivery).where(Delivery.type == EventType.SMS_RECEIVED))


def address(desk: HelpDesk) -> Endpoint:
    return desk.rows.one(select(Endpoint).where(Endpoint.url == DESK))


def test_the_return_path_is_a_mails_own_and_the_same_at_every_try(desk: HelpDesk) -> None:
    desk.box.refuse["DATA"] = "451 Later"
    desk.twilio.sms()
    run(desk.app)
    desk.box.refuse.clear()
    desk.rows.change(update(Delivery).values(next_attempt_at=Delivery.created_at))
    desk.rows.change(update(Endpoint).values(open_until=None))
    desk.next_mail()
    desk.text("Another")
    (first, _), (second, _) = desk.box.envelopes
    assert first.startswith("dispatch+b")
    assert first.endswith("@example.edu")
    assert first != second
    assert first.split("+b")[1].upper().startswith(min(one.id for one in desk.rows.all(Delivery)))


def test_it_is_shown_where_people_look_and_told_to_the_owner_once(desk: HelpDesk) -> None:
    desk.text()
    assert comes_back(desk) == 250
    assert comes_back(desk) == 250  # mail servers repeat themselves
    found = forwarded(desk)
    assert (found.state, found.delivered_at) == (DeliveryState.EXHAUSTED, None)
    assert found.last_error == f"The mail came back: {REASON}"
    assert found.bounced_at is not None
    known = address(desk)
    assert (known.bounce_reason, known.state) == (REASON, EndpointState.ACTIVE)
    assert known.consecutive_failures == 0
    told = desk.next_mail()
    assert told["To"] == desk.department.client.owner_email
    assert REASON in told.get_content()
    desk.text("Another")  # which goes there all the same, and comes back too
    assert desk.box.mails[-1]["To"] == DESK
    comes_back(desk)
    desk.next_mail()
    assert [mail["To"] for mail in desk.box.mails].count(desk.department.client.owner_email) == 1


def test_the_clients_system_is_told_where_it_asks_to_be(desk: HelpDesk) -> None:
    receiver = desk.department.endpoint()
    desk.rows.add(
        Callback(client_id=desk.department.client.id, event=CallbackEvent.MAIL_BOUNCED,
                 endpoint_id=receiver.id)
    )  # fmt: skip
    desk.text()
    comes_back(desk)
    comes_back(desk)
    told = desk.rows.one(select(Delivery).where(Delivery.endpoint_id == receiver.id))
    body = json.loads(told.body)
    assert body["type"] == "mail_bounced"
    data = body["data"]
    assert data.pop("at") == body["timestamp"]
    assert data == {
        "id": forwarded(desk).id, "client": "registrar", "address": DESK,
        "event": forwarded(desk).event_id, "reason": REASON,
    }  # fmt: skip


def test_it_can_be_sent_again(desk: HelpDesk) -> None:
    desk.text()
    comes_back(desk)
    with desk.app.app_context(), unit_of_work() as session:
        deliveries.resend(session, session.get_one(Delivery, forwarded(desk).id), "pat")
    desk.next_mail()
    assert [mail["To"] for mail in desk.box.mails].count(DESK) == 2
    found = forwarded(desk)
    assert (found.state, found.bounced_at) == (DeliveryState.DELIVERED, None)


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_what_says_of_no_failure_changes_nothing(desk: HelpDesk, content: bytes) -> None:
    desk.text()
    assert comes_back(desk, content) == 250
    assert forwarded(desk).state is DeliveryState.DELIVERED
    assert (address(desk).bounced_at, desk.rows.count(MailTaken)) == (None, 0)


def test_one_that_comes_back_before_its_end_is_known_comes_again(desk: HelpDesk) -> None:
    desk.text()
    desk.rows.change(update(Delivery).values(state=DeliveryState.IN_FLIGHT))
    assert comes_back(desk) == 451
    assert desk.rows.count(MailTaken) == 0
    desk.rows.change(update(Delivery).values(state=DeliveryState.DELIVERED))
    assert comes_back(desk) == 250
    assert forwarded(desk).state is DeliveryState.EXHAUSTED


def test_one_whose_delivery_is_gone_is_let_go(desk: HelpDesk) -> None:
    mail: EmailMessage = desk.text()
    assert mail["To"] == DESK
    with desk.app.app_context(), unit_of_work() as session:
        for name in ("delivery_attempt", "delivery"):
            session.execute(Delivery.metadata.tables[name].delete())
    assert comes_back(desk) == 250
    assert address(desk).bounced_at is None


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("registrar@example.edu", ["support@example.edu"]),
        ("support@example.edu", []),
    ],
    ids=["an owner's address", "support's own, after which nobody is left"],
)
def test_mails_of_our_own_are_told_to_support(desk: HelpDesk, to: str, told: list[str]) -> None:
    settings: Any = desk.app.extensions["settings"]
    object.__setattr__(settings, "support_email", "support@example.edu")
    with desk.app.app_context(), unit_of_work() as session:
        notices.notify(session, to, "Something", "Something has happened.")
    desk.next_mail()
    for _ in range(3):  # whatever comes back of these breeds no more
        comes_back(desk)
        desk.next_mail()
    assert [mail["To"] for mail in desk.box.mails] == [to, *told]


def test_the_owners_own_address_is_told_to_support(desk: HelpDesk) -> None:
    desk.rows.change(update(type(desk.department.client)).values(owner_email=DESK))
    settings: Any = desk.app.extensions["settings"]
    object.__setattr__(settings, "support_email", "support@example.edu")
    desk.text()
    comes_back(desk)
    assert desk.next_mail()["To"] == "support@example.edu"
