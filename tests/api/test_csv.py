"""Lists of the API as CSV: all that matches, by the fields' own names, streamed page by page."""

from __future__ import annotations

import csv
import io
import json

import pytest
from flask.testing import FlaskClient

from app.api import csv_answers
from app.models.base import utcnow
from app.models.incoming import Incoming
from app.models.message import Message, MessageState
from tests.support.departments import Caller, Department, department
from tests.support.rows import Rows

CSV = {"Accept": "text/csv"}


@pytest.fixture
def registrar(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def api(client: FlaskClient, registrar: Department) -> Caller:
    return Caller.by_header(client, registrar)


def message(ours: Department, number: int, **columns: object) -> Message:
    return Message(
        client_id=ours.client.id, destination="sms", sender_id=ours.number.id, segments=1,
        credential_id=ours.credential.id, from_=ours.number.address,
        **{
            "to": f"+1319555{number:04}", "state": MessageState.ACCEPTED, "status": "sent",
            "body": f"Text {number}",
        } | columns,
    )  # fmt: skip


def read(api: Caller, url: str) -> list[dict[str, str]]:
    answer = api.get(url, **CSV)
    assert (answer.status_code, answer.mimetype) == (200, "text/csv"), answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_all_messages_that_match_come_page_by_page(
    api: Caller, registrar: Department, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_answers, "TOGETHER", 3)
    other = department(rows, "bursar", "77")
    rows.add(*(message(registrar, n) for n in range(8)), message(other, 9))
    rows.add(message(registrar, 10, status="failed", media=["https://e.edu/a.png"], body="=1+1"))
    lines = read(api, "messages")
    assert [one["body"] for one in lines] == [*(f"Text {n}" for n in range(8)), "'=1+1"]
    assert set(lines[0]) >= {"id", "status", "to", "errorCode", "createdAt", "segments"}
    (failed,) = read(api, "messages?status=failed")
    assert failed["id"] == lines[-1]["id"]
    shown = api.get("messages?status=failed").json["items"][0]
    assert json.loads(failed["history"]) == shown["history"]
    assert len(read(api, "messages?limit=2")) == 2


def test_what_came_in_and_what_was_used(api: Caller, registrar: Department, rows: Rows) -> None:
    rows.add(
        Incoming(
            client_id=registrar.client.id, sender_id=registrar.number.id, destination="sms",
            sid="SM1", from_="+13195550150", to=registrar.number.address, body="Zoë, “yes”",
            outcome="replied", received_at=utcnow(), segments=1,
        )
    )  # fmt: skip
    (came,) = read(api, "inbound?from=%2B13195550150")
    assert (came["from"], came["body"]) == ("+13195550150", "Zoë, “yes”")
    (used,) = read(api, "usage")
    assert (used["messagesIn"], used["month"]) == ("1", f"{utcnow():%Y-%m}")


@pytest.mark.parametrize("accept", ["application/json", "*/*", "text/html", ""])
def test_whoever_does_not_ask_for_it_gets_json(api: Caller, accept: str) -> None:
    assert api.get("messages", Accept=accept).is_json


def test_what_is_wrong_is_told_before_the_file(api: Caller) -> None:
    assert api.get("messages?cursor=nonsense", **CSV).status_code == 422
