"""What makes a loop raise is left out for a while; the others go on, and support hears of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from redis import RedisError
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from app.domain import aside
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.delivery import Delivery
from app.models.house import Bookmark, SetAside
from tests.support.rows import Rows

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def stumble(name: str) -> str:
    if name.startswith("bad"):
        raise ValueError(f"the words of {name}")
    return name


def test_the_others_go_on(app: Flask, rows: Rows) -> None:
    with app.app_context():
        done = aside.one_by_one("batch", ["a", "bad", "b"], str, stumble)
    assert done == ["a", "b"]
    row = rows.one(SetAside)
    assert (row.loop, row.name, row.times) == ("batch", "bad", 1)
    assert row.reason == "ValueError in stumble"


def test_what_was_begun_is_undone(app: Flask, rows: Rows) -> None:
    with app.app_context(), aside.set_aside("batch", "bad"), unit_of_work() as session:
        session.add(Bookmark(name="half done", at=NOON))
        session.flush()
        stumble("bad")
    assert rows.count(Bookmark) == 0
    assert rows.one(SetAside).name == "bad"


def test_what_is_done_together_is_done_alone_where_that_raises(app: Flask, rows: Rows) -> None:
    def write(names: Sequence[str]) -> int:
        with unit_of_work() as session:
            session.add_all([Bookmark(name=stumble(name), at=NOON) for name in names])
        return len(names)

    with app.app_context():
        assert aside.together("batch", ["a", "b"], str, write) == [2]
        assert aside.together("batch", ["c", "bad", "d"], str, write) == [1, 1]
        assert aside.together("batch", [], str, write) == []
    assert {one.name for one in rows.all(Bookmark)} == {"a", "b", "c", "d"}


def test_it_is_tried_again_after_longer_and_longer(app: Flask, rows: Rows) -> None:
    waits = []
    with app.app_context(), time_machine.travel(NOON, tick=False) as clock:
        for _ in range(6):
            aside.one_by_one("batch", ["bad"], str, stumble)
            until = rows.one(SetAside).until
            waits.append(until - datetime.now(UTC))
            assert aside.names(db.session(), "batch") == {"bad"}
            assert aside.names(db.session(), "settle") == set()
            clock.move_to(until)
            assert aside.names(db.session(), "batch") == set()
        row = rows.one(SetAside)
        assert (row.since, row.times) == (NOON, 6)
        clock.shift(aside.KEPT + timedelta(seconds=1))
        aside.forget()
    assert waits == [*aside.PAUSES, aside.PAUSES[-1], aside.PAUSES[-1]]
    assert rows.count(SetAside) == 0


def test_support_is_mailed_once_a_day_and_loop(app: Flask, rows: Rows) -> None:
    bad = [f"bad {number}" for number in range(5)]
    with app.app_context(), time_machine.travel(NOON, tick=False) as clock:
        aside.one_by_one("batch", bad, str, stumble)
        aside.one_by_one("settle", bad, str, stumble)
        assert rows.count(Delivery) == 2
        clock.shift(timedelta(days=1))
        aside.one_by_one("batch", bad, str, stumble)
    mails = [one.body for one in rows.all(Delivery)]
    assert len(mails) == 3
    assert not any("the words of" in mail for mail in mails)


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("no luck")
    error.sqlite_errorcode = code
    return error


def state(code: str) -> Exception:
    error = Exception("no luck")
    error.sqlstate = code  # type: ignore[attr-defined]
    return error


def test_sqlite_cannot_read_json_because_of_the_row() -> None:
    error = OperationalError("SELECT", {}, sqlite_error(sqlite3.SQLITE_ERROR))
    assert not aside.is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        RedisError("gone"),
        OperationalError("SELECT 1", {}, Exception("gone"), connection_invalidated=True),
        OperationalError("BEGIN IMMEDIATE", {}, sqlite_error(sqlite3.SQLITE_BUSY)),
        OperationalError("COMMIT", {}, Exception("the server closed the connection")),
        OperationalError("SELECT 1", {}, state("57P01")),
    ],
    ids=lambda error: str(error)[:30],
)
def test_nothing_is_at_fault_when_database_or_redis_are_away(
    error: Exception, app: Flask, rows: Rows
) -> None:
    with app.app_context(), pytest.raises(type(error)), aside.set_aside("batch", "good"):
        raise error
    assert rows.count(SetAside) == 0


def test_a_lock_that_passes_is_no_reason_for_a_mail(app: Flask, rows: Rows) -> None:
    def wait(_: str) -> None:
        raise OperationalError("UPDATE …", {}, state("55P03"))

    with app.app_context():
        aside.one_by_one("batch", ["busy"], str, wait)
        assert rows.count(Delivery) == 0
        aside.one_by_one("batch", ["busy"], str, wait)
    assert rows.count(Delivery) == 1


def test_support_sees_it_and_lets_it_be_tried_again(
    app: Flask, rows: Rows, flask_command: FlaskCliRunner
) -> None:
    with app.app_context():
        aside.one_by_one("batch", ["bad <b>"], str, stumble)
        assert aside.LOOPS["batch"] in flask_command.invoke(args=["doctor"]).output
        with unit_of_work() as session:
            assert aside.try_again(session, "batch", "bad <b>", "sam@example.edu")
            assert not aside.try_again(session, "batch", "bad <b>", "sam@example.edu")
        assert aside.names(db.session(), "batch") == set()
    assert "nothing is left out" in flask_command.invoke(args=["doctor"]).output


@pytest.mark.settings(METRICS_TOKEN="let-me-see")
def test_it_is_counted(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        aside.one_by_one("batch", ["bad 1", "bad 2"], str, stumble)
    page = client.get("/metrics", headers={"Authorization": "Bearer let-me-see"}).text
    assert 'dispatch_set_aside{loop="batch"} 2.0' in page


def test_free_leaves_out_what_is_aside(app: Flask, rows: Rows) -> None:
    clients = [Client(name=name, owner_email="owner@example.edu") for name in "ab"]
    rows.add(*clients)
    fail: Callable[[Any], None] = lambda _: stumble("bad")  # noqa: E731
    with app.app_context():
        aside.one_by_one("retention", [clients[0].id], str, fail)
        free = db.session.scalars(
            select(Client.name).where(aside.free("retention", Client.id))
        ).all()
        assert free == ["b"]
        db.session.execute(text("SELECT 1"))
