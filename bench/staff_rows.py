"""What the staff pages' bench writes down: a client whose log, lists and batch are all long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import insert

from app.domain import passwords
from app.extensions import unit_of_work
from app.models.audience import Member, Population
from app.models.base import new_id, utcnow
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.communication import Campaign, Communication
from app.models.conversation import (
    Conversation,
    ConversationNote,
    ConversationState,
    EntryKind,
)
from app.models.credential import Credential
from app.models.delivery import (
    AttemptTrigger,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    EventType,
)
from app.models.endpoint import Endpoint, EndpointKind
from app.models.house import AuditEntry, SetAside
from app.models.incoming import Incoming, Outcome
from app.models.link import Click, Link
from app.models.message import Direction, Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import Template, TemplateKind, TemplateVersion
from app.models.user import Membership, Role, User

ROWS = 100_000
CHUNK = 5_000
PHONES = 5_000
"""Different phones of the log."""
PASSWORD = "four plain words here"
Row = dict[str, Any]


@dataclass(frozen=True)
class Ids:
    """The ids of the client's things."""

    client: str
    number: str
    credential: str
    endpoint: str
    population: str
    suppression: str
    communication: str
    batch: str


def prepare(app: Flask) -> Ids:
    """Make a client with one of each thing, and a person."""
    with app.app_context(), unit_of_work() as session:
        client = Client(name="registrar", owner_email="r@example.edu", twilio_enabled=True)
        user = User(email="pat@example.edu", password_hash=passwords.hash_password(PASSWORD))
        user.is_support = True  # who sees the house's pages as well
        session.add_all([client, user])
        session.flush()
        of_client = {"client_id": client.id}
        credential = Credential(
            **of_client, name="main", account_sid="AC" + "0" * 32, auth_token="t" * 32
        )
        template = Template(**of_client, name="news", kind=TemplateKind.SMS)
        template.versions.append(TemplateVersion(number=1, body="Hi {{ toName }}", created_by="p"))
        endpoint = Endpoint(
            **of_client, kind=EndpointKind.WEBHOOK, name="sis", url="https://sis.example.edu/hooks"
        )
        population = Population(**of_client, name="students")
        listed = SuppressionList(**of_client, name="opted-out")
        campaign = Campaign(**of_client, name="spring")
        things = [credential, template, endpoint, population, listed, campaign]
        member = Membership(user_id=user.id, client_id=client.id, role=Role.OWNER)
        session.add_all([member, *things])
        session.flush()
        number = Sender(
            **of_client, credential_id=credential.id, kind=SenderKind.TWILIO,
            address="+13195550100", rate=1.0,
        )  # fmt: skip
        session.add(number)
        session.flush()
        communication = Communication(
            **of_client, campaign_id=campaign.id, name="reminders", destination=Destination.SMS,
            template_id=template.id, sender_id=number.id, population_id=population.id,
            link_tracking=True,
        )  # fmt: skip
        session.add(communication)
        session.flush()
        batch = Batch(
            **of_client, communication_id=communication.id, state=BatchState.COMPLETE, total=ROWS,
            scheduled_at=utcnow(), started_at=utcnow() - timedelta(days=30),
            lane_key=f"sms:{number.id}", created_by="pat@example.edu",
            plan={"link_tracking": True},
        )  # fmt: skip
        session.add(batch)
        session.flush()
        return Ids(
            client.id, number.id, credential.id, endpoint.id, population.id, listed.id,
            communication.id, batch.id,
        )  # fmt: skip


def fill(app: Flask, ids: Ids, rows: range = range(ROWS)) -> None:
    """Write one of everything for each number; the log is spread over 30 days and 5,000 phones."""
    step = timedelta(days=30) / rows.stop
    for first in range(0, len(rows), CHUNK):
        numbers = rows[first : first + CHUNK]
        with app.app_context(), unit_of_work() as session:
            for model, values in _chunk(ids, numbers, utcnow() - timedelta(days=30), step):
                session.execute(insert(model), values)
        print(f"\r  {numbers.stop:>7,} of {rows.stop:,} rows", end="", file=sys.stderr)
    with app.app_context(), unit_of_work() as session:
        session.connection().exec_driver_sql("ANALYZE")
    print(file=sys.stderr)


def _chunk(
    ids: Ids, numbers: range, start: datetime, step: timedelta
) -> list[tuple[type[Any], Sequence[Row]]]:
    replies = {n: new_id() for n in numbers}
    batched = {n: new_id() for n in numbers}
    deliveries = {n: new_id() for n in numbers}
    codes = {n: f"c{n:07x}" for n in numbers}
    talks = {n: new_id() for n in numbers}

    def each(make: Callable[[int, datetime], Row]) -> list[Row]:
        return [make(n, start + n * step) for n in numbers]

    def of_number(n: int) -> Row:
        return {"client_id": ids.client, "sender_id": ids.number, "destination": Destination.SMS,
                "commit_order": n, "segments": 1}  # fmt: skip

    return [
        (Incoming, each(lambda n, at: {
            **of_number(n), "id": new_id(), "sid": f"SM{n:032x}", "from_": _phone(n),
            "to": "+13195550100", "body": f"Question {n} about the library?", "media": [],
            "parameters": {}, "received_at": at, "recovered": False, "flagged": n % 1000 == 0,
            "answer": "<Response/>", "outcome": Outcome.REPLIED})),
        (Message, each(lambda n, at: {
            **of_number(n), "id": replies[n], "credential_id": ids.credential, "to": _phone(n),
            "from_": "+13195550100", "body": f"Answer {n}", "direction": Direction.REPLY,
            "state": MessageState.ACCEPTED, "status": "delivered", "created_at": at})),
        (Message, each(lambda n, _: {
            **of_number(n), "id": batched[n], "credential_id": ids.credential, "to": _phone(n),
            "from_": "+13195550100", "body": f"News {n}", "direction": Direction.API,
            "state": MessageState.ACCEPTED, "status": "failed" if n % 5000 == 7 else "delivered",
            "error_code": 30003 if n % 5000 == 7 else None,
            "created_at": utcnow(), "batch_id": ids.batch, "position": n, "step": 0,
            "communication_id": ids.communication, "suppression_list_id": ids.suppression})),
        (Link, each(lambda n, _: {
            "client_id": ids.client, "code": codes[n], "message_id": batched[n],
            "url": "https://example.edu/"})),
        (Click, each(lambda n, at: {"code": codes[n], "batch_id": ids.batch, "at": at,
            "is_preview": n % 3 == 0})),
        (Delivery, each(lambda n, at: {
            "id": deliveries[n], "client_id": ids.client, "endpoint_id": ids.endpoint,
            "event_id": f"msg_{n}", "type": EventType.MESSAGE_STATUS, "sequence": n,
            "occurred_at": at, "created_at": at, "body": '{"type": "message.status"}',
            "context": {}, "give_up_at": at, "commit_order": n, "message_id": batched[n],
            "state": DeliveryState.EXHAUSTED if n % 5000 == 7 else DeliveryState.DELIVERED})),
        (DeliveryAttempt, each(lambda n, at: {
            "delivery_id": deliveries[n], "endpoint_id": ids.endpoint, "number": 1,
            "trigger": AttemptTrigger.AUTO, "started_at": at, "duration_ms": n % 500,
            "url": "https://sis.example.edu/hooks", "status": 200})),
        (Member, each(lambda n, _: {
            "roll": ids.population,
            "attributes": {"toName": f"Person {n}", "toPhone": _phone(n), "major": "Art"}})),
        (SuppressionEntry, each(lambda n, at: {
            "id": new_id(), "list_id": ids.suppression, "phone": f"+1319{n:07}", "since": at,
            "source": SuppressionSource.IMPORT})),
        (Conversation, each(lambda n, at: {
            **{key: of_number(n)[key] for key in ("client_id", "sender_id", "commit_order")},
            "id": talks[n], "phone": _phone(n) if n < PHONES else f"+1320{n:07}", "last_at": at,
            "state": list(ConversationState)[n % 3], "last_kind": EntryKind.IN, "unread": n % 2,
            "last_text": f"Question {n} about the library?"})),
        (ConversationNote, each(lambda n, at: {
            "client_id": ids.client, "id": new_id(), "conversation_id": talks[n], "at": at,
            "author": "pat@example.edu", "text": f"Asked the porter about {n}"})),
        (SetAside, each(lambda _, at: {
            "loop": "send", "name": new_id(), "reason": "It cannot be read.", "since": at,
            "until": utcnow() + timedelta(hours=1)})),
        (AuditEntry, each(lambda _, at: {
            "client_id": None, "at": at, "actor": "pat@example.edu", "action": "sign in",
            "target": "from 192.0.2.7", "details": {}})),
        (AuditEntry, each(lambda n, at: {
            "client_id": ids.client, "at": at, "actor": "pat@example.edu", "action": "save",
            "target": f"canned reply {n}", "details": {}})),
    ]  # fmt: skip


def _phone(n: int) -> str:
    return f"+1319555{n % PHONES:04d}"
