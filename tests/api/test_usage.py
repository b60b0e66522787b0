"""What a client used: counted once, corrected late, kept when the log is gone."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import delete, update

from app.domain.clients import usage as counting
from app.extensions import db
from app.maintenance import usage as house
from app.models.client import Client
from app.models.delivery import Delivery
from app.models.house import UsageEntry
from app.models.incoming import Incoming, Outcome
from app.models.message import Message, MessageState
from app.models.route import Destination
from tests.api.test_lists import incoming, message
from tests.support.departments import Caller, Department
from tests.support.rows import Rows
from tests.support.twilio import sid

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def november() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def taken(of: Department, **more: Any) -> Message:
    return message(
        of, state=MessageState.ACCEPTED,
        **{"sid": sid("SM"), "status": "delivered", "accepted_at": NOW, **more},
    )  # fmt: skip


def call(of: Department, **more: Any) -> Message:
    return taken(
        of, **{"destination": Destination.VOICE, "status": "completed", "segments": 0, **more}
    )


def shown(api: Caller, query: str = "") -> dict[str, Any]:
    answer = api.get(f"usage{query}")
    assert answer.status_code == 200
    return answer.json


def test_a_month_has_every_field_of_the_contract(
    api: Caller, rows: Rows, registrar: Department, library: Department
) -> None:
    rows.add(
        taken(registrar, segments=2, price=0.0158, price_unit="USD"),
        taken(registrar, segments=3),
        taken(registrar, media=["https://e.edu/a.png"], segments=1),
        call(registrar, call_duration=61),
        message(registrar),  # waits
        message(registrar, state=MessageState.SUPPRESSED),
        taken(registrar, status="failed"),
        incoming(registrar, segments=2),
        incoming(
            registrar, destination=Destination.VOICE, sid=sid("CA"), body=None, call_duration=60,
            outcome=Outcome.PLAYED,
        ),
        taken(library, segments=100),
    )  # fmt: skip
    rows.change(update(Client).values(alert_segments=1000))
    assert shown(api) == {
        "month": "2026-11",
        "segmentsIn": 2,
        "segmentsOut": 6,
        "messagesIn": 1,
        "messagesOut": 3,
        "callMinutes": 3,
        # Twilio's price, then estimates: 3 segments, a picture, 2 minutes; 2 segments, 1 minute in.
        "price": pytest.approx(0.0158 + 3 * 0.0083 + 0.022 + 2 * 0.014 + 2 * 0.0083 + 0.0085),
        "currency": "USD",
        "numbersMonthlyCost": 1.15,
        "thresholds": {"segments": 1000, "callMinutes": None},
    }


def test_counting_again_changes_nothing_and_late_news_corrects(
    app: Flask, api: Caller, rows: Rows, registrar: Department, november: Any
) -> None:
    rows.add(taken(registrar, segments=1))
    first = shown(api)
    assert shown(api) == first
    november.shift(timedelta(days=3))
    rows.change(update(Message).values(price=0.01, segments=2))
    corrected = shown(api)
    assert (corrected["segmentsOut"], corrected["messagesOut"]) == (2, 1)
    assert corrected["price"] == pytest.approx(0.01)
    november.shift(timedelta(days=1))
    rows.change(update(Message).values(status="failed", price=None))
    assert shown(api)["segmentsOut"] == 0


def test_a_month_outlives_its_messages(
    app: Flask, api: Caller, rows: Rows, registrar: Department, november: Any
) -> None:
    rows.add(taken(registrar), incoming(registrar, received_at=NOW, updated_at=NOW))
    before = shown(api)
    rows.change(delete(Message))
    rows.change(delete(Incoming))
    november.shift(timedelta(days=50))
    assert shown(api)["segmentsOut"] == 0
    assert shown(api, "?month=2026-11") == before
    november.shift(timedelta(days=200))
    with app.app_context():
        assert house.prune() == 2
    assert rows.count(UsageEntry) == 0
    assert shown(api, "?month=2026-11") == before


def test_a_message_belongs_to_the_utc_month_in_which_twilio_took_it(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    rows.add(taken(registrar, accepted_at=datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)))
    assert shown(api)["messagesOut"] == 0
    assert shown(api, "?month=2026-10")["messagesOut"] == 1


def test_more_rows_than_fit_in_one_step_are_all_counted(
    api: Caller, rows: Rows, registrar: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "CHUNK", 3)
    rows.add(*(taken(registrar) for _ in range(10)))
    assert shown(api)["messagesOut"] == 10


def test_many_rows_of_one_moment_do_not_keep_the_count_from_getting_on(
    app: Flask, rows: Rows, registrar: Department, november: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "CHUNK", 3)
    rows.add(*(taken(registrar) for _ in range(10)))
    with app.app_context():
        counting.count(limit=3)
        november.shift(timedelta(minutes=1))
        rows.add(taken(registrar))
        assert counting.count(limit=3), "a limited count never reached what came later"
        month = counting.of_month(db.session(), registrar.client.id, "2026-11")
    assert month.figures.messages_out == 11


@pytest.mark.parametrize("month", ["2026-13", "2026", "november", "1999-01", "2026-11-01"])
def test_a_month_that_is_none_is_422(api: Caller, month: str) -> None:
    answer = api.get(f"usage?month={month}")
    assert answer.status_code == 422
    assert answer.json["detail"] == f"“{month}” is no month; write it like 2026-11."


def test_owner_and_support_are_told_once_at_80_and_once_at_100_percent(
    app: Flask, rows: Rows, registrar: Department
) -> None:
    rows.change(update(Client).values(alert_segments=10, alert_call_minutes=2))

    def mails() -> list[str]:
        with app.app_context():
            house.tick()
            house.tick()
        return [one.body for one in rows.all(Delivery)]

    rows.add(taken(registrar, segments=7))
    assert mails() == []
    rows.add(incoming(registrar, segments=1))
    assert len(mails()) == 2
    assert all("80 %" in mail and "segments" in mail for mail in mails())
    rows.add(taken(registrar, segments=1))
    assert len(mails()) == 2
    rows.add(taken(registrar, segments=5))
    assert len([mail for mail in mails() if "100 %" in mail]) == 2
    rows.add(call(registrar, call_duration=300))
    assert len([mail for mail in mails() if "% of its call minutes" in mail]) == 4
    assert len(mails()) == 8


def test_whoever_raises_the_threshold_is_told_of_the_new_one(
    app: Flask, rows: Rows, registrar: Department
) -> None:
    def mails(allowed: int) -> int:
        rows.change(update(Client).values(alert_segments=allowed))
        with app.app_context():
            house.tick()
            house.tick()
        return rows.count(Delivery)

    rows.add(taken(registrar, segments=10))
    assert mails(10) == 4  # 80 and 100 %, to owner and support
    assert mails(20) == 4
    rows.add(taken(registrar, segments=6))
    assert mails(20) == 6  # 80 % of the new one
    assert mails(20) == 6


def test_a_report_of_no_month_is_refused(flask_command: FlaskCliRunner) -> None:
    result = flask_command.invoke(args=["usage", "report", "--month", "2026-13"])
    assert result.exit_code != 0
    assert "“2026-13” is no month; write it like 2026-11." in result.output


def test_the_report_shows_what_to_recover_the_dearest_first(
    flask_command: FlaskCliRunner, rows: Rows, registrar: Department, library: Department
) -> None:
    rows.add(taken(registrar, segments=2, price=3.5), taken(library, price=7.25))
    rows.change(update(Client).where(Client.name == "library").values(alert_segments=1))
    lines = flask_command.invoke(args=["usage", "report"]).output.splitlines()
    assert lines[1].startswith("library")
    assert "8.40 USD" in lines[1]
    assert "OVER ITS THRESHOLD of segments" in lines[1]
    assert lines[2].startswith("registrar")
    assert lines[-1] == "Together: 13.05 USD"
    written = flask_command.invoke(args=["usage", "report", "--csv", "-"]).output
    table = list(csv.DictReader(io.StringIO(written)))
    assert [(row["client"], row["segments_out"], row["total"]) for row in table] == [
        ("library", "1", "8.4"), ("registrar", "2", "4.65"),
    ]  # fmt: skip
