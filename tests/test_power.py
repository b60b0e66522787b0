"""The power fails: what has left the house is known to have left it, and what came in is kept.

On SQLite, whose disk is this process's own; PostgreSQL syncs each commit unless told otherwise.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from app.extensions import db, reading, unit_of_work
from app.models.message import Lane, MessageState
from app.outbound.send import drains
from config import Settings
from tests.support.fake_twilio import FakeTwilio, Form
from tests.support.house import furnish, text
from tests.support.inbound import Department
from tests.support.power import Disk, watched
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, Twilio, sid

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def fake(twilio_port: int) -> Iterator[FakeTwilio]:
    with FakeTwilio(port=twilio_port) as twilio:
        yield twilio


@pytest.fixture
def environ(environ: dict[str, str], fake: FakeTwilio) -> dict[str, str]:
    return {**environ, "TWILIO_API_BASE_URL": fake.url}


@pytest.fixture
def disk(app: Flask, settings: Settings, tmp_path: Path) -> Iterator[Disk]:
    """The disk under the application's database, from the next connection on."""
    database = make_url(settings.database_url).database
    assert database is not None
    kept = tmp_path / "synced"
    kept.mkdir()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
        with watched(Path(database), kept) as disk:
            yield disk
            db.session.remove()
            db.engine.dispose()


def found(disk: Disk, copy: Path, question: str) -> list[tuple[object, ...]]:
    """Ask the database that a restart after a power failure would find."""
    with sqlite3.connect(disk.after_power_loss(copy)) as connection:
        return connection.execute(question).fetchall()


def test_what_came_in_is_kept_before_twilio_is_answered(
    rows: Rows, twilio: Twilio, disk: Disk, tmp_path: Path
) -> None:
    Department(rows).auto_reply()
    message = sid("SM")
    assert twilio.sms(MessageSid=message).status_code == 200
    kept = "SELECT incoming.sid, message.state FROM incoming JOIN message ON message.id = reply_id"
    assert found(disk, tmp_path / "copy", kept) == [(message, "accepted")]


def test_a_claim_is_kept_before_its_text_is_posted(
    app: Flask, rows: Rows, fake: FakeTwilio, disk: Disk, tmp_path: Path
) -> None:
    states: list[list[tuple[object, ...]]] = []

    def look(_form: Form, _number: int) -> None:
        states.append(found(disk, tmp_path / "copy", "SELECT state FROM message"))

    fake.plan = look
    house = furnish(rows)
    rows.add(text(house))
    rows.add(Lane(key=f"sms:{house.sender.id}", rate=1))
    with app.app_context():
        drains.drain()
    assert states == [[("claimed",)]]


def test_a_report_is_kept_before_twilio_may_forget_it(
    rows: Rows, twilio: Twilio, disk: Disk, tmp_path: Path
) -> None:
    house = furnish(rows)
    message = text(house, state=MessageState.ACCEPTED, sid=sid("SM"), status="queued")
    rows.add(message)
    form = {
        "MessageSid": message.sid or "", "MessageStatus": "delivered", "To": message.to,
        "From": message.from_, "AccountSid": ACCOUNT_SID, "ApiVersion": "2010-04-01",
    }  # fmt: skip
    assert twilio.post(f"/inbound/sms/status/{message.id}", form).status_code == 204
    reports = found(disk, tmp_path / "copy", "SELECT report FROM report_journal")
    assert [json.loads(str(report))["status"] for (report,) in reports] == ["delivered"]


def test_every_connection_syncs_its_commits(app: Flask) -> None:
    with app.app_context():
        with unit_of_work() as session:
            assert session.connection().exec_driver_sql("PRAGMA synchronous").scalar() == 2
        with reading() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
