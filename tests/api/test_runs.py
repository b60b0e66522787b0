"""Client systems let communications go out by themselves, see their runs, and send texts later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update

from app.models.audience import Member
from app.models.communication import Communication
from app.models.house import AuditEntry
from app.models.message import Message
from app.models.run import CommunicationRun
from app.outbound import due
from tests.support.departments import Caller, Department
from tests.support.rows import Rows

NOW = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
WEEKLY = {"every": "week", "on": ["mon"], "at": "09:00", "until": "2026-12-14"}
BY_DATE = {"attribute": "appointment", "days": -2, "at": "09:00"}


@pytest.fixture(autouse=True)
def travel() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=True) as travel:
        yield travel


@pytest.fixture
def put(api: Caller, registrar: Department) -> Callable[..., Any]:
    def put(status: int = 200, **body: Any) -> Any:
        answer = api.put(f"communications/{registrar.texts.id}/schedule", body)
        assert answer.status_code == status, answer.text
        return answer.json

    return put


def runs(api: Caller, **query: str) -> list[tuple[str, str, int | None]]:
    path = "&".join(f"{name}={value}" for name, value in query.items())
    found = api.get(f"runs?{path}").json["items"]
    return [(one["at"], one["state"], one["people"]) for one in found]


def test_a_communication_is_let_go_out_by_itself_and_not_any_more(
    api: Caller, registrar: Department, rows: Rows, put: Callable[..., Any]
) -> None:
    made = put(repeat=WEEKLY)
    assert (made["repeat"], made["relative"]) == (WEEKLY, None)
    assert made["nextRunAt"] == "2026-11-30T15:00:00Z"
    assert api.get(f"communications/{registrar.texts.id}").json == made
    made = put(relative=BY_DATE)
    assert (made["repeat"], made["relative"]) == (None, BY_DATE)
    made = put()
    assert (made["relative"], made["nextRunAt"]) == (None, None)
    said = [one.details["goes out"][1] for one in rows.all(AuditEntry)]
    assert said == [
        "each Monday at 09:00, until 2026-12-14", "2 days before appointment at 09:00",
        "when somebody starts it",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"repeat": {**WEEKLY, "on": []}}, "repeat", "on which weekdays"),
        ({"repeat": {**WEEKLY, "at": "25:00"}}, "repeat.at", "no time of day"),
        ({"repeat": WEEKLY, "relative": BY_DATE}, "relative", "not both"),
        ({"relative": {**BY_DATE, "days": 400}}, "relative.days", "365 or less"),
        ({"often": True}, "often", "not known here"),
    ],
)
def test_what_cannot_be_is_422(
    put: Callable[..., Any], rows: Rows, body: dict[str, Any], field: str, words: str
) -> None:
    (error,) = put(422, **body)["errors"]
    assert error["field"] == field
    assert words in error["message"]
    assert all(one.next_run_at is None for one in rows.all(Communication))


def test_without_a_list_nothing_goes_out_by_itself(put: Callable[..., Any], rows: Rows) -> None:
    rows.change(update(Communication).values(population_id=None))
    (error,) = put(422, repeat=WEEKLY)["errors"]
    assert error["field"] == "population"


def test_another_clients_communication_is_404(other: Caller, registrar: Department) -> None:
    path = f"communications/{registrar.texts.id}"
    assert other.put(f"{path}/schedule", {"repeat": WEEKLY}).status_code == 404
    assert other.get(f"runs?communication={registrar.texts.id}").status_code == 404


def test_runs_are_listed_with_what_came_of_them(
    app: Flask, api: Caller, other: Caller, registrar: Department, rows: Rows,
    put: Callable[..., Any], travel: Any,
) -> None:  # fmt: skip
    put(repeat=WEEKLY)
    coming = [(f"2026-{day}T15:00:00Z", "coming", None) for day in ("11-30", "12-07", "12-14")]
    assert runs(api) == coming
    assert runs(api, to="2026-12-07T15:00:00Z") == coming[:1]
    travel.move_to(NOW + timedelta(hours=1, seconds=1))
    with app.app_context():
        assert due.turn()
    assert runs(api) == coming[1:]
    (first, *_) = api.get("runs?from=2026-11-30T00:00:00Z").json["items"]
    people = len([one for one in rows.all(Member) if one.roll == registrar.population.id])
    assert (first["state"], first["people"], first["kind"]) == ("started", people, "repeat")
    assert api.get(first["batch"].partition("/api/v1/")[2]).json["total"] == people
    assert runs(other, **{"from": "2026-11-30T00:00:00Z"}) == []
    assert rows.one(CommunicationRun).key == "2026-11-30T09:00"


def test_of_what_is_about_a_date_only_days_are_listed_on_which_somebody_is_due(
    api: Caller, registrar: Department, rows: Rows, put: Callable[..., Any]
) -> None:
    rows.add(*[
        Member(roll=registrar.population.id,
               attributes={"toPhone": f"+1319555{n:04}", "appointment": day})
        for n, day in enumerate(["2026-12-05", "2026-12-05T10:00", "2026-12-09", "next week"])
    ])  # fmt: skip
    put(relative=BY_DATE)
    assert runs(api) == [
        ("2026-12-03T15:00:00Z", "coming", 2), ("2026-12-07T15:00:00Z", "coming", 1),
    ]  # fmt: skip


def test_a_batch_that_was_started_for_later_is_among_them(
    api: Caller, registrar: Department
) -> None:
    at = "2026-12-01T16:00:00Z"
    batch = api.post(f"communications/{registrar.texts.id}/batches", {"at": at}).json
    (one,) = api.get("runs").json["items"]
    assert (one["at"], one["kind"], one["state"]) == (at, "once", "scheduled")
    assert one["batch"].endswith(batch["id"])


def message(**more: Any) -> dict[str, Any]:
    return {"to": "+13195550150", "from": "+13195550111", "body": "Hello", **more}


def test_a_text_waits_for_its_hour_and_can_be_canceled(api: Caller, rows: Rows) -> None:
    made = api.post("messages", message(sendAt="2026-11-30T09:30:00-06:00"))
    assert made.status_code == 201
    assert (made.json["status"], made.json["sendAt"]) == ("queued", "2026-11-30T15:30:00Z")
    path = f"messages/{made.json['id']}/cancel"
    ended = api.post(path, {}, **{"Idempotency-Key": "once"})
    assert (ended.status_code, ended.json["status"]) == (200, "canceled")
    assert api.post(path, {}, **{"Idempotency-Key": "once"}).json == ended.json
    assert api.post(path, {}).status_code == 409


def test_only_ones_own_text_can_be_canceled(api: Caller, other: Caller) -> None:
    made = api.post("messages", message(sendAt="2026-12-24T09:00:00Z")).json
    assert other.post(f"messages/{made['id']}/cancel", {}).status_code == 404
    gone = api.post("messages", message()).json
    assert api.post(f"messages/{gone['id']}/cancel", {}).status_code == 409


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"sendAt": "2026-12-24T09:00:00"}, "with its zone"),
        ({"sendAt": "2028-01-01T09:00:00Z"}, "366 days"),
        ({"body": "", "twiml": "<Response><Say>Hi</Say></Response>",
          "sendAt": "2026-12-24T09:00:00Z"}, "Only a text"),
    ],
)  # fmt: skip
def test_an_hour_that_cannot_be_is_422(
    api: Caller, rows: Rows, more: dict[str, Any], words: str
) -> None:
    answer = api.post("messages", message(**more))
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert (error["field"], words in error["message"]) == ("sendAt", True)
    assert rows.count(Message) == 0
