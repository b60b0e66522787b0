"""Running a communication by program."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, update

from app.models.batch import Batch, BatchMember, BatchState
from app.models.breaker import Breaker
from app.models.client import Client
from app.models.communication import Communication
from app.models.credential import Scope
from app.models.message import Message
from app.models.suppression import SuppressionEntry, SuppressionSource
from app.outbound import batches
from tests.api.test_repeats import asked_for
from tests.support.departments import Caller, Department, api_key
from tests.support.rows import Rows


@pytest.fixture
def path(registrar: Department) -> str:
    return f"communications/{registrar.texts.id}"


def test_a_batch_is_begun_for_the_population(api: Caller, rows: Rows, path: str) -> None:
    answer = api.post(f"{path}/batches")
    assert answer.status_code == 202
    batch = answer.json
    assert list(batch)[:4] == ["id", "name", "communication", "state"]
    assert (batch["state"], batch["total"], batch["counts"]) == ("preparing", 1, {})
    assert batch["members"] is None
    assert answer.headers["Location"].endswith(f"/batches/{batch['id']}")
    shown = api.get(f"batches/{batch['id']}?includemembers=true").json
    assert [(one["index"], one["member"]["toName"]) for one in shown["members"]] == [(0, "Ann")]
    assert api.get(f"batches/{batch['id']}").json["members"] is None


def test_a_batch_is_scheduled(api: Caller, path: str) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    answer = api.post(f"{path}/batches", {"at": at.isoformat()})
    assert answer.json["state"] == "scheduled"
    assert datetime.fromisoformat(answer.json["scheduledAt"]) == at
    assert api.post(f"{path}/batches", {"at": "2026-11-22T09:00:00"}).status_code == 422
    far = (at + timedelta(days=400)).isoformat()
    assert api.post(f"{path}/batches", {"at": far}).status_code == 409


def keep_house(app: Flask) -> None:
    with app.app_context():
        batches.drain()


def test_a_batch_is_paused_resumed_and_canceled(app: Flask, api: Caller, path: str) -> None:
    body = {"members": [{"toName": "Ann", "toPhone": "+13195550150"}]}
    batch = api.post(f"{path}/adhocs", body).json["batch"]
    keep_house(app)
    states = [
        (api.post(f"{batch}/{action}").status_code, api.get(batch).json["state"])
        for action in ("pause", "resume", "cancel", "resume")
    ]
    assert states == [(200, "paused"), (200, "running"), (200, "canceled"), (409, "canceled")]


def test_members_that_get_nothing_count_in_the_total(
    app: Flask, api: Caller, rows: Rows, registrar: Department, path: str
) -> None:
    rows.change(update(Communication).values(suppression_list_id=registrar.suppression.id))
    rows.add(
        SuppressionEntry(
            list_id=registrar.suppression.id, phone="+13195550152",
            source=SuppressionSource.MANUAL, since=datetime.now(UTC),
        )
    )  # fmt: skip
    phones = ["+13195550150", "+13195550152", "911", "+442079460000"]
    members = [{"toName": "Ann", "toPhone": phone} for phone in phones]
    answer = api.post(f"{path}/adhocs", {"members": members, "includeBatchResponse": True})
    assert [one["reason"] for one in answer.json["refused"]] == [
        "suppressed", "invalid_phone", "not_allowed",
    ]  # fmt: skip
    assert answer.json["batch"]["total"] == 4
    assert answer.json["batch"]["counts"] == {"suppressed": 1, "refused": 2}
    keep_house(app)
    batch = api.get(f"batches/{answer.json['batch']['id']}").json
    assert (batch["total"], batch["counts"]) == (4, {"queued": 1, "suppressed": 1, "refused": 2})


def test_a_thousand_members_are_taken_by_a_few_short_statements(
    api: Caller, rows: Rows, path: str, statements: list[str]
) -> None:
    """None is rendered: the answer does not depend on what the template costs."""
    members = [{"toName": "Ann", "toPhone": f"+1319555{n:04}"} for n in range(1000)]
    statements.clear()
    assert api.post(f"{path}/adhocs", {"members": members}).status_code == 201
    assert len(statements) <= 30
    assert rows.count(BatchMember) == 1000
    assert rows.count(Message) == 0


def test_what_needs_approval_is_approved_by_another_key_of_admin_scope(
    app: Flask, api: Caller, rows: Rows, registrar: Department, path: str
) -> None:
    rows.change(update(Client).values(approval_above=1))
    assert api.get("client").json["approvalAbove"] == 1
    boss, clerk = (f"{name}-key-of-at-least-32-characters" for name in ("boss", "clerk"))
    rows.add(
        api_key(registrar.client, boss, label="boss"),
        api_key(registrar.client, clerk, label="clerk", scope=Scope.SEND),
    )
    members = [{"toName": "Ann", "toPhone": f"+1319555015{n}"} for n in range(2)]
    answer = api.post(f"{path}/adhocs", {"members": members, "includeBatchResponse": True})
    assert (answer.status_code, answer.json["batch"]["state"]) == (201, "awaiting_approval")
    batch = f"batches/{answer.json['batch']['id']}"

    own = api.post(f"{batch}/approve")
    assert (own.status_code, own.mimetype) == (403, "application/problem+json")
    assert "somebody else" in own.json["detail"]
    for_reading = Caller(api.http, {"x-dispatch-api-key": clerk})
    assert for_reading.post(f"{batch}/approve").status_code == 403
    other = Caller(api.http, {"x-dispatch-api-key": boss})
    assert other.post(f"{batch}/reject", {"reason": " "}).status_code == 422
    approved = other.post(f"{batch}/approve")
    assert (approved.status_code, approved.json["state"]) == (200, "scheduled")
    assert approved.json["decidedBy"] == "API key boss"
    assert other.post(f"{batch}/approve").status_code == 409
    assert other.post(f"{batch}/reject", {"reason": "Late."}).status_code == 409
    keep_house(app)
    assert api.get(batch).json["state"] == "running"


def test_a_rejected_batch_says_why(api: Caller, rows: Rows, registrar: Department) -> None:
    batch = asked_for(api, rows, registrar)
    answer = api.post(f"{batch}/reject", {"reason": "The exam week is wrong."})
    assert (answer.status_code, answer.json["state"]) == (200, "refused")
    assert answer.json["reason"] == "Not approved by API key sis: The exam week is wrong."
    assert api.post(f"{batch}/cancel").status_code == 409


def test_what_the_template_lacks_is_told_afterwards(
    app: Flask, api: Caller, rows: Rows, registrar: Department, path: str
) -> None:
    answer = api.post(f"{path}/adhocs", {"members": [{"toPhone": "+13195550150"}]})
    assert answer.json["refused"] == []
    keep_house(app)
    assert rows.one(Message).reason == "template_error"


def test_a_call_goes_to_a_member_too(
    app: Flask, api: Caller, rows: Rows, registrar: Department
) -> None:
    body = {"members": [{"toName": "Ann", "toPhone": "+13195550150"}]}
    answer = api.post(f"communications/{registrar.calls.id}/adhocs", body)
    assert answer.status_code == 201
    keep_house(app)
    assert rows.one(Message).destination == "voice"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "members"),
        ({"members": []}, "members"),
        ({"members": {}}, "members"),
        ({"members": [[]]}, "members[0]"),
        ({"members": [{"toPhone": 5}]}, "members[0]"),
        ({"members": [{"": "x"}]}, "members[0]"),
        ({"members": [{"toName": {"first": "Ann"}}]}, "members[0]"),
        ({"members": [{"toPhone": "1"}], "includeBatchResponse": "perhaps"},
         "includeBatchResponse"),
        ({"members": [{"toPhone": "1"}], "when": "now"}, "when"),
    ],
)  # fmt: skip
def test_a_body_that_makes_no_sense_is_422(
    api: Caller, rows: Rows, path: str, body: dict[str, Any], field: str
) -> None:
    answer = api.post(f"{path}/adhocs", body)
    assert answer.status_code == 422
    assert all(one["field"].startswith(field) for one in answer.json["errors"])
    assert rows.count(Batch) == 0


def test_a_client_that_may_not_send_is_told_so(api: Caller, rows: Rows, path: str) -> None:
    rows.change(update(Client).values(twilio_enabled=False))
    body = {"members": [{"toName": "Ann", "toPhone": "+13195550150"}]}
    assert api.post(f"{path}/adhocs", body).status_code == 403
    assert api.post(f"{path}/batches").status_code == 403


def test_a_communication_without_a_population_cannot_be_started(
    api: Caller, rows: Rows, path: str
) -> None:
    rows.change(update(Communication).values(population_id=None))
    assert api.post(f"{path}/batches").status_code == 409


def test_another_clients_batch_is_not_there(
    api: Caller, other: Caller, rows: Rows, library: Department
) -> None:
    theirs = other.post(f"communications/{library.texts.id}/batches").json["id"]
    for action in ("pause", "resume", "cancel"):
        assert api.post(f"batches/{theirs}/{action}").status_code == 404
    assert api.get(f"batches/{theirs}").status_code == 404
    assert api.post(f"communications/{library.texts.id}/batches").status_code == 404
    assert rows.one(Batch).state is BatchState.PREPARING


def test_what_is_held_says_why_and_is_tried_with_one(
    app: Flask, api: Caller, rows: Rows, registrar: Department, path: str
) -> None:
    body = {"members": [{"toName": "Ann", "toPhone": "+13195550150"}]}
    batch = api.post(f"{path}/adhocs", body).json["batch"]
    keep_house(app)
    assert api.get(batch).json["eta"] is not None
    number = f"numbers/{registrar.number.id}"
    assert api.get(number).json["held"] == []
    for refused in (f"{batch}/try-one", f"{number}/try-one", f"{number}/resume"):
        assert api.post(refused).status_code == 409
    since = datetime.now(UTC)
    held = Breaker(
        key=f"sms:{registrar.number.id}", sender_id=registrar.number.id, code=99999,
        tripped_at=since, reason="Twilio refused the same for 5 people in a row.",
    )  # fmt: skip
    rows.add(held)
    shown = api.get(batch).json
    assert (shown["state"], shown["eta"], shown["reason"]) == ("running", None, held.reason)
    assert datetime.fromisoformat(shown["heldSince"]) == since
    assert [(one["destination"], one["reason"]) for one in api.get(number).json["held"]] == [
        ("sms", held.reason)
    ]
    assert api.post(f"{batch}/try-one").status_code == 200
    assert rows.one(Breaker).trial_at is not None
    assert api.post(f"{number}/try-one").json["held"] != []
    assert api.post(f"{number}/resume").json["held"] == []
    assert api.get(batch).json["heldSince"] is None


def test_members_are_listed_a_page_at_a_time_whether_their_turn_has_come_or_not(
    app: Flask, api: Caller, rows: Rows, path: str
) -> None:
    people = [{"toName": f"P{n}", "toPhone": f"+131955501{n:02}"} for n in range(7)]
    batch = api.post(f"{path}/adhocs", {"members": people}).json["batch"]
    address = f"{batch.partition('/api/v1/')[2]}/members"

    def walk() -> list[tuple[int, str, bool]]:
        found, following = [], f"{address}?limit=3"
        while following:
            page = api.get(following.partition("/api/v1/")[2] or following).json
            assert len(page["items"]) <= 3
            found += page["items"]
            following = page["next"]
        return [(one["index"], one["member"]["toName"], bool(one["message"])) for one in found]

    assert walk() == [(n, f"P{n}", False) for n in range(7)]
    keep_house(app)
    assert walk() == [(n, f"P{n}", True) for n in range(7)]
    rows.change(delete(Message).where(Message.position.in_([2, 3])))
    assert [place for place, _, _ in walk()] == [0, 1, 4, 5, 6]
    assert api.get(f"{address}?cursor=x").status_code == 422
