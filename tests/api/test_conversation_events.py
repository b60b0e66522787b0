"""A client's system that asks to be told is told who looks after a conversation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.api.webhooks import ConversationAssigned, ConversationAssignedEvent
from app.domain.clients import people
from app.extensions import unit_of_work
from app.models.client import Client
from app.models.communication import Callback, CallbackEvent
from app.models.conversation import Conversation
from app.models.credential import Scope
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind
from app.models.user import Membership, Role, User
from tests.support.departments import Caller, api_key
from tests.support.inbound import NUMBER, PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio

KEY = "registrar-key-of-at-least-32-characters"
ASSIGN = f"conversations/{NUMBER}/{PHONE}/assign"
PAT, LEE = "pat@example.edu", "lee@example.edu"

Told = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def desk(client: FlaskClient, rows: Rows, twilio: Twilio) -> Caller:
    """A system of a department for which two people work; somebody has texted."""
    department = Department(rows)
    department.auto_reply()
    rows.add(api_key(department.client, KEY, label="desk", scope=Scope.SEND))
    for email, role in ((PAT, Role.STAFF), (LEE, Role.OWNER)):
        user = User(email=email)
        rows.add(user)
        rows.add(Membership(user_id=user.id, client_id=department.client.id, role=role))
    twilio.sms()
    return Caller(client, {"x-dispatch-api-key": KEY})


@pytest.fixture
def told(desk: Caller, rows: Rows) -> Told:
    """What the client's system is told, in its order."""
    client = rows.one(Client)
    receiver = Endpoint(
        client_id=client.id, name="sis", url="https://sis.test/", kind=EndpointKind.WEBHOOK
    )
    rows.add(receiver)
    event = CallbackEvent.CONVERSATION_ASSIGNED
    rows.add(Callback(client_id=client.id, event=event, endpoint_id=receiver.id))

    def read() -> list[dict[str, Any]]:
        mine = select(Delivery).where(Delivery.endpoint_id == receiver.id)
        return [json.loads(one.body) for one in rows.all(mine.order_by(Delivery.next_attempt_at))]

    return read


def test_it_is_told_who_takes_one_and_who_gives_it_back(
    desk: Caller, told: Told, rows: Rows
) -> None:
    for user in (PAT, PAT, None, None):  # what changes nothing is not told
        assert desk.post(ASSIGN, {"user": user}).status_code == 200
    first, second = told()
    assert (first["type"], first["timestamp"]) == ("conversation_assigned", first["data"]["at"])
    del first["data"]["at"]
    assert first["data"] == {
        "id": rows.one(Conversation).id, "client": "registrar", "number": NUMBER, "phone": PHONE,
        "assigned": PAT, "by": "API key desk",
    }  # fmt: skip
    assert second["data"]["assigned"] is None


def test_who_no_longer_works_there_gives_back_what_was_theirs(
    app: Flask, desk: Caller, told: Told, rows: Rows
) -> None:
    desk.post(ASSIGN, {"user": PAT})
    with app.app_context(), unit_of_work() as session:
        client, pat = session.scalars(select(Client)).one(), session.scalars(
            select(User).filter_by(email=PAT)
        ).one()  # fmt: skip
        people.leave(session, client, pat, LEE)
    assert rows.one(Conversation).assigned_id is None
    assert [(one["data"]["assigned"], one["data"]["by"]) for one in told()] == [
        (PAT, "API key desk"), (None, LEE),
    ]  # fmt: skip


def test_nothing_is_written_where_nobody_asks_to_be_told(desk: Caller, rows: Rows) -> None:
    before = rows.count(Delivery)
    desk.post(ASSIGN, {"user": PAT})
    assert rows.count(Delivery) == before


def test_the_document_describes_what_is_told(desk: Caller, told: Told) -> None:
    desk.post(ASSIGN, {"user": PAT})
    (event,) = told()
    event["data"]["sequence"] = 1
    assert set(ConversationAssigned.model_json_schema()["properties"]) == set(event["data"])
    ConversationAssignedEvent.model_validate(event)
    assert "conversation_assigned" in desk.get("openapi.json").json["webhooks"]
