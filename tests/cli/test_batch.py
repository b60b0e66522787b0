"""``flask batch``: what operators see and do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import update

from app.cli import batch as commands
from app.domain.sending.preflight import preflight
from app.extensions import db
from app.models.audience import Member
from app.models.base import new_id
from app.models.batch import Batch, BatchState
from app.models.breaker import Breaker
from app.models.client import Client
from app.models.communication import Communication
from app.models.message import Message
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import TemplateVersion
from app.outbound import batches
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.house import House, communication, furnish, join
from tests.support.rows import Rows


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows, rate=10)


@pytest.fixture
def made(rows: Rows, house: House) -> Communication:
    made = communication(rows, house, "Hi {{ toName }}, {{ course }} starts {{ day }}")
    join(
        rows,
        made,
        {"toName": "Ann", "toPhone": "319-555-0101", "course": "Art", "day": "Monday"},
        {"toName": "Bob", "toPhone": "319-555-0102", "course": "Art", "day": "Monday " * 40},
        {"toName": "Cy", "toPhone": "319-555-0103"},
        {"toName": "Di", "toPhone": "12", "course": "Art", "day": "Monday"},
    )
    return made


def invoke(flask_command: FlaskCliRunner, *arguments: str) -> str:
    result = flask_command.invoke(args=["batch", *arguments])
    assert result.exit_code == 0, result.output
    return str(result.output)


def lines(output: str) -> dict[str, str]:
    pairs = (line.split("  ", 1) for line in output.splitlines() if "  " in line)
    return {name: value.strip() for name, value in pairs if name}


def test_preflight_shows_everything_beforehand(
    flask_command: FlaskCliRunner, made: Communication
) -> None:
    output = invoke(flask_command, "preflight", "reminder")
    shown = lines(output)
    assert shown["Members"] == "4"
    assert shown["Recipients"] == "2"
    assert shown["Get nothing"] == "2"
    assert shown["Lacking"] == "course (1), day (1)"
    assert shown["Segments"] == "3"  # 34 and 306 characters
    assert shown["Estimated cost"] == "0.02 USD"
    assert shown["Takes about"] == "0 s"
    assert "Hi Ann, Art starts Monday" in output
    assert "member 4" in output
    assert "probably not registered" in output


def test_of_many_members_some_are_examined_and_the_output_says_so(
    rows: Rows,
    flask_command: FlaskCliRunner,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "EXAMINED", 100)
    made = communication(rows, house, "Hi {{ toName }}")
    people = [{"toPhone": f"+1319555{number:04}"} for number in range(2000, 2400)]
    for person in people[::2]:
        person["toName"] = "Ann"
    join(rows, made, *people)  # every other one lacks a name
    output = invoke(flask_command, "preflight", "reminder")
    shown = lines(output)
    assert shown["Members"] == "400"
    assert shown["Recipients"] == "about 400"  # every fourth was looked at: all have names
    assert "estimated from 100 of them" in output
    exact = lines(invoke(flask_command, "preflight", "reminder", "--everybody"))
    assert (exact["Recipients"], exact["Get nothing"]) == ("200", "200")
    assert exact["Lacking"] == "toName (200)"


def test_estimates_extend_what_was_seen(rows: Rows, app: Flask, house: House) -> None:
    made = communication(rows, house, "Hi {{ toName }}" + "x" * 160)
    people = [{"toPhone": f"+1319555{number:04}"} for number in range(2000, 2300)]
    for number, person in enumerate(people):
        if number % 9:
            person["toName"] = "Ann"
    join(rows, made, *people)
    with app.app_context():
        found = preflight(db.session(), db.session().get_one(Communication, made.id), examined=100)
    assert (found.total, found.examined, found.is_estimate) == (300, 100, True)
    assert found.refused["template_error"] == 102  # 34 of the 100 that were looked at
    assert (found.recipients, found.messages, found.segments) == (198, 198, 396)
    assert float(found.cost) == pytest.approx(396 * 0.0083)


def test_preflight_looks_at_the_media(
    rows: Rows, flask_command: FlaskCliRunner, house: House
) -> None:
    made = communication(rows, house, "Hi")
    join(rows, made, {"toPhone": "+13195550101"})
    rows.change(update(TemplateVersion).values(media=[f"{PUBLIC_BASE_URL}/media/gone"]))
    result = flask_command.invoke(args=["batch", "preflight", "reminder"])
    assert result.exit_code == 1
    assert "Cannot be started" in result.output
    assert "Upload it again" in result.output
    refused = flask_command.invoke(args=["batch", "start", "reminder", "--yes"])
    assert "Upload it again" in refused.output


def test_preflight_counts_the_suppressed(
    rows: Rows, flask_command: FlaskCliRunner, house: House
) -> None:
    out = SuppressionList(id=new_id(), client_id=house.client.id, name="out")
    rows.add(out)
    made = communication(rows, house, "Hello", suppression_list_id=out.id)
    phone = "+13195550101"
    join(rows, made, {"toPhone": phone}, {"toPhone": "+13195550102"}, {"toPhone": "3195550102"})
    now = datetime.now(UTC)
    rows.add(
        SuppressionEntry(list_id=out.id, phone=phone, source=SuppressionSource.MANUAL, since=now)
    )
    shown = lines(invoke(flask_command, "preflight", made.id))
    assert (shown["Recipients"], shown["Suppressed"], shown["Get nothing"]) == ("1", "1", "1")
    assert shown["Unreachable"] == "0"
    rows.change(
        update(SuppressionEntry).values(
            source="twilio", reason="unreachable", error_code=30006, until=now + timedelta(days=1)
        )
    )
    output = invoke(flask_command, "preflight", made.id)
    shown = lines(output)
    assert (shown["Suppressed"], shown["Unreachable"], shown["Get nothing"]) == ("0", "1", "1")
    assert "cannot be reached by text (Twilio's error 30006" in output


def test_many_recipients_on_a_long_code_are_warned_about(
    rows: Rows, flask_command: FlaskCliRunner, house: House
) -> None:
    made = communication(rows, house, "Hello")
    join(rows, made, *({"toPhone": f"+1319555{number:04}"} for number in range(100)))
    output = invoke(flask_command, "preflight", "reminder")
    assert "100 recipients from one long code" in output
    assert lines(output)["Takes about"] == "10 s"


def test_what_cannot_be_started_says_so(
    rows: Rows, flask_command: FlaskCliRunner, made: Communication
) -> None:
    rows.change(update(Client).values(twilio_enabled=False))
    result = flask_command.invoke(args=["batch", "preflight", "reminder"])
    assert result.exit_code == 1
    assert "Twilio is not enabled" in result.output
    result = flask_command.invoke(args=["batch", "start", "reminder", "--yes"])
    assert result.exit_code == 1
    assert "Twilio is not enabled" in result.output
    assert rows.count(Batch) == 0


def test_start_asks_first(rows: Rows, flask_command: FlaskCliRunner, made: Communication) -> None:
    result = flask_command.invoke(args=["batch", "start", "reminder"], input="n\n")
    assert result.exit_code == 1
    assert rows.count(Batch) == 0
    result = flask_command.invoke(args=["batch", "start", "reminder"], input="y\n")
    assert result.exit_code == 0
    assert rows.one(Batch).state is BatchState.PREPARING


def test_a_start_can_be_scheduled_in_the_clients_zone(
    rows: Rows, flask_command: FlaskCliRunner, made: Communication
) -> None:
    year = datetime.now(UTC).year + 1
    if datetime.now(UTC).month > 6:
        at, expected = f"{year}-01-15 09:00", datetime(year, 1, 15, 15, tzinfo=UTC)
    else:
        at, expected = f"{year - 1}-12-15 09:00", datetime(year - 1, 12, 15, 15, tzinfo=UTC)
    invoke(flask_command, "start", "reminder", "--yes", "--at", at)
    assert (rows.one(Batch).state, rows.one(Batch).scheduled_at) == (
        BatchState.SCHEDULED, expected,
    )  # fmt: skip


def test_show_pause_resume_and_cancel(
    app: Flask, rows: Rows, flask_command: FlaskCliRunner, made: Communication
) -> None:
    invoke(flask_command, "start", "reminder", "--yes")
    with app.app_context():
        batches.drain()
    batch = rows.one(Batch).id
    output = invoke(flask_command, "show", batch)
    assert "running" in output
    assert "refused" in output
    assert "last one about" in output
    assert "is paused" in invoke(flask_command, "pause", batch)
    assert "is running" in invoke(flask_command, "resume", batch)
    assert "is canceled" in invoke(flask_command, "cancel", batch)
    result = flask_command.invoke(args=["batch", "resume", batch])
    assert result.exit_code == 1
    assert "canceled" in result.output
    with app.app_context():
        batches.drain()
    watched = invoke(flask_command, "show", batch, "--watch")
    assert "100 %" in watched
    assert rows.count(Message) == 4


def test_names_that_several_have_need_the_client(
    rows: Rows, flask_command: FlaskCliRunner, made: Communication
) -> None:
    other = furnish(rows, address="+13195550199")
    communication(rows, other, "Hello")
    result = flask_command.invoke(args=["batch", "preflight", "reminder"])
    assert result.exit_code == 1
    assert "--client" in result.output
    output = invoke(flask_command, "preflight", "reminder", "--client", other.client.name)
    assert lines(output)["Members"] == "0"
    assert rows.count(Member) == 4


def test_what_is_held_is_tried_with_one_and_resumed(
    flask_command: FlaskCliRunner, app: Flask, rows: Rows, house: House, made: Communication
) -> None:
    invoke(flask_command, "start", made.id, "--yes")
    batch = rows.one(Batch).id
    refused = flask_command.invoke(args=["batch", "try-one", batch])
    assert refused.exit_code == 1
    assert "Nothing is held" in refused.output
    held = Breaker(
        key=f"sms:{house.sender.id}", sender_id=house.sender.id, code=99999,
        tripped_at=datetime.now(UTC), reason="Twilio refused the same for 5 people in a row.",
    )  # fmt: skip
    rows.add(held)
    assert held.reason in invoke(flask_command, "show", batch)
    invoke(flask_command, "try-one", batch)
    assert rows.one(Breaker).trial_at is not None
    names = (house.client.name, house.sender.address)
    for command, exit_code in (("try-one", 0), ("resume", 0), ("resume", 1)):
        result = flask_command.invoke(args=["numbers", command, *names])
        assert result.exit_code == exit_code, result.output
    assert rows.one(Breaker).tripped_at is None
