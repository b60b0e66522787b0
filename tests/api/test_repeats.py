"""Every POST that changes something, repeated with the same Idempotency-Key, does it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app.api.operation import operations
from app.extensions import db
from app.models.base import utcnow
from app.models.batch import Batch
from app.models.breaker import Breaker
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote, ConversationState, EntryKind
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.house import AuditEntry, IdempotencyKey
from app.models.media import Media
from app.models.message import Message
from app.models.suppression import SuppressionEntry
from app.models.user import Membership, Role, User
from tests.support.departments import Caller, Department, api_key
from tests.support.racing import at_once
from tests.support.rows import Rows

PHONE = "+13195550150"
MEMBERS = {"members": [{"toName": "Ann", "toPhone": PHONE}], "includeBatchResponse": True}
TALK = f"conversations/+13195550111/{PHONE}"

Place = Callable[[Caller, Rows, Department], str]
"""Makes what is needed beforehand; says where the request goes."""


def at(path: str) -> Place:
    return lambda _api, _rows, of: path.format(of=of)


def a_talk(_api: Caller, rows: Rows, of: Department) -> str:
    pat = User(email="pat@example.edu", password_hash="x")
    rows.add(pat)
    rows.add(
        Membership(user_id=pat.id, client_id=of.client.id, role=Role.STAFF),
        Conversation(
            client_id=of.client.id, sender_id=of.number.id, phone=PHONE,
            state=ConversationState.WAITING, last_at=utcnow(), last_kind=EntryKind.IN,
        ),
    )  # fmt: skip
    return TALK


def a_batch(api: Caller, rows: Rows, of: Department) -> str:
    batch: str = api.post(f"communications/{of.texts.id}/batches").json["id"]
    return f"batches/{batch}"


def paused(api: Caller, rows: Rows, of: Department) -> str:
    batch = a_batch(api, rows, of)
    assert api.post(f"{batch}/pause").status_code == 200
    return batch


def asked_for(api: Caller, rows: Rows, of: Department) -> str:
    """A batch that somebody else has started, which waits for approval."""
    rows.change(update(Client).where(Client.id == of.client.id).values(approval_above=0))
    rows.add(api_key(of.client, "another-key-of-at-least-32-characters", label="other"))
    other = Caller(api.http, {"x-dispatch-api-key": "another-key-of-at-least-32-characters"})
    return a_batch(other, rows, of)


def held(of_what: Place) -> Place:
    def place(api: Caller, rows: Rows, of: Department) -> str:
        rows.add(
            Breaker(
                key=f"sms:{of.number.id}", sender_id=of.number.id, code=99999,
                tripped_at=datetime.now(UTC), reason="Twilio refused the same.",
            )
        )  # fmt: skip
        return of_what(api, rows, of)

    return place


def waits(api: Caller, rows: Rows, of: Department) -> str:
    at = (utcnow() + timedelta(days=1)).isoformat()
    text = {"to": PHONE, "from": "+13195550111", "body": "Your book is ready.", "sendAt": at}
    return f"messages/{api.post('messages', text).json['id']}"


def given_up(api: Caller, rows: Rows, of: Department) -> str:
    made = Delivery(
        client_id=of.client.id, type=EventType.SMS_RECEIVED, body="{}", sequence=1,
        endpoint_id=of.endpoint.id, occurred_at=utcnow(), give_up_at=utcnow(),
        state=DeliveryState.EXHAUSTED,
    )  # fmt: skip
    rows.add(made)
    return f"deliveries/{made.id}"


def replayed(api: Caller, rows: Rows, of: Department) -> str:
    given_up(api, rows, of)
    return f"endpoints/{of.endpoint.id}"


@dataclass(frozen=True)
class Case:
    place: Place
    verb: str
    makes: type[Any]
    """Of which there must be one more, however often it is asked for."""
    status: int
    body: Any = None
    other: Any = None
    """A body that asks for something else."""


NUMBER = at("numbers/{of.number.id}")
CASES = {
    "sending.create": Case(
        at("messages"), "", Message, 201,
        {"to": PHONE, "from": "+13195550111", "body": "Your book is ready."},
        {"to": PHONE, "from": "+13195550111", "body": "Your book is late."},
    ),
    "messages.cancel": Case(waits, "cancel", AuditEntry, 200),
    "media.upload": Case(
        at("media"), "", Media, 201,
        {"vcard": {"name": "Ann", "phone": PHONE}}, {"vcard": {"name": "Bob", "phone": PHONE}},
    ),
    "populations.subscribe": Case(
        at("populations/{of.population.id}/subscribers"), "", AuditEntry, 201,
        {"toAddress": "pat@example.edu"}, {"toAddress": "bo@example.edu"},
    ),
    "suppression_lists.add": Case(
        at("suppressionlists/{of.suppression.id}/entries"), "", SuppressionEntry, 201,
        {"phone": PHONE}, {"phone": "+13195550151"},
    ),
    "batches.adhocs": Case(
        at("communications/{of.texts.id}/adhocs"), "", Batch, 201,
        MEMBERS, MEMBERS | {"includeBatchResponse": False},
    ),
    "batches.start": Case(
        at("communications/{of.texts.id}/batches"), "", Batch, 202,
        {}, {"at": "2036-11-23T09:00:00Z"},
    ),
    "batches.pause": Case(a_batch, "pause", AuditEntry, 200),
    "batches.resume": Case(paused, "resume", AuditEntry, 200),
    "batches.cancel": Case(a_batch, "cancel", AuditEntry, 200),
    "batches.approve": Case(asked_for, "approve", AuditEntry, 200),
    "batches.reject": Case(
        asked_for, "reject", AuditEntry, 200, {"reason": "Wrong week."}, {"reason": "Wrong term."}
    ),
    "batches.try_one": Case(held(a_batch), "try-one", AuditEntry, 200),
    "numbers.try_one": Case(held(NUMBER), "try-one", AuditEntry, 200),
    "numbers.resume": Case(held(NUMBER), "resume", AuditEntry, 200),
    "conversations.reply": Case(
        a_talk, "reply", Message, 201, {"body": "At nine."}, {"body": "At ten."}
    ),
    "conversations.assign": Case(
        a_talk, "assign", AuditEntry, 200, {"user": "pat@example.edu"}, {"user": None}
    ),
    "conversations.add_note": Case(
        a_talk, "notes", ConversationNote, 201, {"text": "Called."}, {"text": "Wrote."}
    ),
    "conversations.close": Case(a_talk, "close", AuditEntry, 200),
    "deliveries.resend": Case(given_up, "resend", AuditEntry, 202),
    "endpoints.ping": Case(at("endpoints/{of.endpoint.id}"), "ping", Delivery, 202),
    "endpoints.replay": Case(
        replayed, "replay", AuditEntry, 202,
        {"from": "2026-11-21T12:00:00Z"}, {"from": "2026-11-21T12:00:00Z", "dryRun": True},
    ),
}  # fmt: skip

Asked = tuple[str, Case]


@pytest.fixture(params=CASES)
def asked(
    request: pytest.FixtureRequest, api: Caller, rows: Rows, registrar: Department
) -> tuple[str, Case]:
    """A request's path, with what it needs in place, and what is known about it."""
    case = CASES[request.param]
    return "/".join(filter(None, (case.place(api, rows, registrar), case.verb))), case


def everything(app: Flask) -> dict[str, list[Any]]:
    """All rows of all tables."""
    with app.app_context(), db.engine.connect() as connection:
        return {
            name: sorted(map(repr, connection.execute(table.select())))
            for name, table in db.metadata.tables.items()
        }


def test_there_is_a_case_for_every_post_that_changes_something() -> None:
    assert set(CASES) == {f"{one.group}.{one.name}" for one in operations if one.takes_key}
    others = {f"{one.group}.{one.name}" for one in operations if one.method == "POST"} - set(CASES)
    assert others == {"preview.preview"}


def test_a_repeat_changes_nothing_and_gets_the_same_answer_and_something_else_409(
    app: Flask, api: Caller, rows: Rows, asked: Asked
) -> None:
    path, case = asked
    before = rows.count(case.makes)
    first = api.post(path, case.body, Idempotency_Key="one")
    assert first.status_code == case.status, first.text
    assert rows.count(case.makes) == before + 1
    found = everything(app)
    again = api.post(path, case.body, Idempotency_Key="one")
    assert (again.status_code, again.get_data()) == (first.status_code, first.get_data())
    assert dict(again.headers) == dict(first.headers)
    others = [("media", {"vcard": {"name": "Cy", "phone": PHONE}})]
    if case.other is not None:
        others.append((path, case.other))
    for where, body in others:
        refused = api.post(where, body, Idempotency_Key="one")
        assert (refused.status_code, refused.mimetype) == (409, "application/problem+json")
        assert "other content" in refused.json["detail"]
    assert everything(app) == found


def test_of_two_at_once_one_does_it(app: Flask, api: Caller, rows: Rows, asked: Asked) -> None:
    path, case = asked
    before = rows.count(case.makes)

    def post() -> tuple[int, bytes, str | None]:
        answer = api.post(path, case.body, Idempotency_Key="one")
        return answer.status_code, answer.get_data(), answer.headers.get("Location")

    answers = at_once(app, IdempotencyKey.__tablename__, [post, post])
    assert answers[0] == answers[1]
    assert answers[0][0] == case.status
    assert (rows.count(case.makes), rows.count(IdempotencyKey)) == (before + 1, 1)


def test_what_is_no_key_is_refused_without_a_body_too(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    path = f"endpoints/{registrar.endpoint.id}/ping"
    assert api.post(path, Idempotency_Key="").status_code == 422
    assert rows.count(Delivery) == 0


def test_what_was_refused_can_be_asked_again(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    batch = a_batch(api, rows, registrar)
    assert api.post(f"{batch}/resume", Idempotency_Key="one").status_code == 409
    api.post(f"{batch}/pause")
    assert api.post(f"{batch}/resume", Idempotency_Key="one").status_code == 200


def test_the_place_of_what_was_made_is_told_again(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    path = f"communications/{registrar.texts.id}/adhocs"
    told = [api.post(path, MEMBERS, Idempotency_Key="one").headers["Location"] for _ in range(2)]
    assert told == [f"https://dispatch.example.edu/api/v1/batches/{rows.one(Batch).id}"] * 2
