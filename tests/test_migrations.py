"""The tables come and go by migrations alone, on both databases, and are what the models say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import JSON, Connection, MetaData, inspect, select

import config
from app import create_app
from app.extensions import db
from app.maintenance.news import HOSTS_ADDED
from app.models.audience import Member
from app.models.client import Client
from app.models.house import Bookmark
from tests.support.databases import PostgresTemplate, migrate
from tests.support.environment import BASE

Run = Callable[..., set[str]]


@pytest.fixture
def alone(request: pytest.FixtureRequest, database_url: str) -> Iterator[Flask]:
    """The application with a migrated database of this test alone."""
    url = database_url
    if not url.startswith("sqlite"):
        template: PostgresTemplate = request.getfixturevalue("postgres_template")
        url = template.create("migrations")
        migrate(url)
    app = create_app(config.load({**BASE, "DATABASE_URL": url}))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def run(alone: Flask) -> Run:
    """Runs `flask db …` on it; returns its tables."""

    def run(*arguments: str) -> set[str]:
        result = FlaskCliRunner(alone).invoke(args=["db", *arguments])
        assert result.exit_code == 0, result.output
        with alone.app_context():
            return set(inspect(db.engine).get_table_names()) - {"alembic_version"}

    return run


def test_up_down_and_up_again(run: Run) -> None:
    assert run("downgrade", "base") == set()
    assert run("upgrade") == set(db.metadata.tables)


def test_the_models_ask_for_nothing_more(run: Run) -> None:
    run("check")


def test_hosts_that_saved_templates_use_are_listed(alone: Flask, run: Run) -> None:
    """0024: nothing that worked stops, and the owner of who got something listed is noted."""
    run("downgrade", "0023")
    bodies = {
        "ivr": """<Response><Gather action="https://IVR.example.edu:8443/{{ id }}"/><Play>
            https://cdn.test/a.mp3</Play><Redirect method="GET"> http://next.example.edu/a</Redirect>
            <Connect><Stream url='wss://stream.example.edu'/></Connect><Dial>
            <Sip>sip:desk@pbx.example.edu;transport=tls</Sip></Dial></Response>""",
        "plain": "<Response><Say>See https://www.example.edu/</Say></Response>",
    }
    with alone.app_context(), db.engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        for name, body in bodies.items():
            fill(connection, tables, "client", id=name, name=name)
            fill(connection, tables, "template", id=name, client_id=name, kind="voice")
            fill(
                connection,
                tables,
                "template_version",
                id=name,
                template_id=name,
                number=1,
                body=body,
            )
    run("upgrade")
    with alone.app_context(), db.engine.connect() as connection:
        clients = {row.id: row for row in connection.execute(select(Client.__table__))}
        names = list(connection.scalars(select(Bookmark.name)))
    assert clients["ivr"].twiml_hosts == [
        "ivr.example.edu", "next.example.edu", "stream.example.edu",
    ]  # fmt: skip
    assert clients["ivr"].sip_domains == ["pbx.example.edu"]
    assert (clients["plain"].twiml_hosts, clients["plain"].sip_domains) == ([], [])
    assert names == [f"{HOSTS_ADDED}ivr"]
    run("downgrade", "0023")
    run("upgrade")


def test_people_who_were_there_before_are_found_by_their_phone(alone: Flask, run: Run) -> None:
    """“Members by phone”: what was written before it has the key, too."""
    phones = {
        "+13195550111": "13195550111", "319 555 0112": "13195550112", "": None,
        "+44 20 7946 0018": "442079460018", None: None,
    }  # fmt: skip
    script = next(Path("migrations/versions").glob("*_members_by_phone.py")).name[:4]
    run("downgrade", f"{int(script) - 1:04}")
    with alone.app_context(), db.engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        fill(connection, tables, "client", id="registrar", name="registrar")
        fill(connection, tables, "population", id="p", client_id="registrar", name="students")
        for place, phone in enumerate(phones, 1):
            about = {"population_id": "p", "attributes": {"toPhone": phone}}
            fill(connection, tables, "member", id=place, **about)
    run("upgrade")
    with alone.app_context(), db.engine.connect() as connection:
        found = connection.execute(select(Member.attributes, Member.phone_key)).all()
    assert {attributes["toPhone"]: key for attributes, key in found} == phones


def fill(connection: Connection, tables: MetaData, table: str, **values: Any) -> None:
    """Add a row of a table as it was then; what is not given and needed is something."""
    needed = {
        column.name: column.type
        for column in tables.tables[table].columns
        if not column.nullable and column.server_default is None and column.name not in values
        and not (column.primary_key and column.autoincrement is True)
    }  # fmt: skip
    now = datetime(2026, 11, 21, tzinfo=UTC)
    made: dict[type, Any] = {bool: False, int: 1, float: 1.0, str: "x", datetime: now}
    for name, kind in needed.items():
        values[name] = [] if isinstance(kind, JSON) else made.get(kind.python_type)
    connection.execute(tables.tables[table].insert().values(values))
