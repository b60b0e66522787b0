"""Lists of a database that was dumped and restored into another cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from flask import Flask

import config
from app import create_app
from app.extensions import db
from embedded import postgres
from tests.api.test_lists import follow, incoming, message
from tests.support.databases import back_up, restore
from tests.support.departments import Caller, Department
from tests.support.environment import BASE
from tests.support.rows import Rows

Restored = Callable[[], Flask]


@pytest.fixture
def restored(database_url: str, tmp_path: Path) -> Iterator[Restored]:
    """Copies the database, as operators do, to a place that knows nothing of the old one."""
    with _elsewhere(database_url, tmp_path) as url:

        def copy() -> Flask:
            restore(back_up(database_url, tmp_path), url)
            return create_app(config.load({**BASE, "DATABASE_URL": url}))

        yield copy


@contextmanager
def _elsewhere(database_url: str, folder: Path) -> Iterator[str]:
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{folder / 'restored.db'}"
        return
    other = postgres.start()
    try:
        yield other.url("restored")
    finally:
        other.stop()


def _age(database_url: str) -> None:
    """Let the old cluster have seen more than the new one: its counters are far ahead."""
    if database_url.startswith("postgresql"):
        with psycopg.connect(database_url, autocommit=True) as connection:
            for _ in range(5000):
                connection.execute("SELECT pg_current_xact_id()")


@contextmanager
def _api_of(app: Flask, of: Department) -> Iterator[Caller]:
    client = app.test_client()
    client.environ_base["wsgi.url_scheme"] = "https"
    yield Caller.by_header(client, of)
    with app.app_context():
        db.engine.dispose()


def _tail(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}".removeprefix("/api/v1/")


def test_they_show_the_same_in_the_same_order_and_cursors_go_on(
    api: Caller, rows: Rows, registrar: Department, restored: Restored, database_url: str
) -> None:
    _age(database_url)
    for _ in range(7):
        rows.add(message(registrar), incoming(registrar))
    before = follow(api, "messages?limit=3")
    cursor = api.get("messages?limit=3").json["next"]
    last = before[-1][-1]["id"]
    app = restored()
    with _api_of(app, registrar) as copy:
        assert follow(copy, "messages?limit=3") == before
        assert follow(copy, _tail(cursor)) == before[1:]
        assert follow(copy, "inbound?limit=3") == follow(api, "inbound?limit=3")
        added = message(registrar)
        Rows(app).add(added)
        assert [one["id"] for one in copy.get(f"messages?after={last}").json["items"]] == [added.id]


@pytest.mark.database("sqlite")
def test_a_cursor_goes_on_when_all_rows_before_it_have_gone(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    """Retention may empty a list; what is counted by its rows must not begin anew."""
    from sqlalchemy import delete

    from app.models.message import Message

    for _ in range(3):
        rows.add(message(registrar))
    cursor = api.get("messages?limit=2").json["next"]
    rows.change(delete(Message))
    added = message(registrar)
    rows.add(added)
    assert [one["id"] for one in api.get(cursor).json["items"]] == [added.id]
