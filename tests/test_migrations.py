"""The tables come and go by migrations alone, on both databases, and are what the models say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
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
from app.models.conversation import Conversation
from app.models.house import Bookmark, IdempotencyKey
from app.models.said import FULL_TEXT, Said
from app.models.suppression import SuppressionEntry
from tests.support.databases import PostgresTemplate, migrate
from tests.support.environment import BASE
from tests.support.processes import ROOT

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
            found = set(inspect(db.engine).get_table_names()) - {"alembic_version"}
            return {name for name in found if not name.startswith(FULL_TEXT)}

    return run


def test_each_migration_follows_the_one_before_it_by_number() -> None:
    """Two of one number would hide one another: Alembic runs only one of them."""
    files = sorted((ROOT / "migrations/versions").glob("*.py"))
    said = [re.findall(r'^(?:down_)?revision = "?(\w+)"?$', one.read_text(), re.M) for one in files]
    names = [one.name[:4] for one in files]
    assert said == [[now, before] for now, before in zip(names, ["None", *names], strict=False)]


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


def test_words_that_were_said_before_are_found_and_those_said_since(alone: Flask, run: Run) -> None:
    """“Words that were said”: in their order; and no later migration loses the triggers."""
    script = next(Path("migrations/versions").glob("*_words_that_were_said.py")).name[:4]
    run("downgrade", f"{int(script) - 1:04}")
    began = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def say(connection: Connection, *texts: tuple[str, int, str]) -> None:
        tables = MetaData()
        tables.reflect(connection)
        for id, minute, destination in texts:
            fill(
                connection, tables, "incoming", id=id, sid=id, client_id="r", sender_id="n",
                reply_id=None, destination=destination, body=f"Said by {id}",
                received_at=began + timedelta(minutes=minute),
            )  # fmt: skip

    with alone.app_context(), db.engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        fill(connection, tables, "client", id="r", name="registrar")
        fill(connection, tables, "credential", id="c", client_id="r", auth_token=b"x")
        fill(connection, tables, "sender", id="n", client_id="r", credential_id="c", rate=1)
        say(connection, ("late", 9, "sms"), ("early", 1, "sms"), ("call", 2, "voice"))
    run("upgrade")
    run("downgrade", f"{int(script) - 1:04}")
    run("upgrade")
    with alone.app_context(), db.engine.begin() as connection:
        say(connection, ("new", 5, "sms"))
        heard = connection.scalars(select(Said.incoming_id).order_by(Said.id)).all()
    assert heard == ["early", "late", "new"]
    run("downgrade", "base")


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


def test_what_twilio_said_of_phones_is_told_apart_by_the_log(alone: Flask, run: Run) -> None:
    """“Cannot be reached”: every entry stays; what a text's code explains gets it, and an end."""
    script = next(Path("migrations/versions").glob("*_cannot_be_reached.py")).name[:4]
    before = f"{int(script) - 1:04}"
    run("downgrade", before)
    since = datetime(2026, 11, 1, tzinfo=UTC)
    told = {  # by phone: the source of its entry, and the codes of its texts
        "1": ("twilio", [30006]), "2": ("twilio", [21610]), "3": ("twilio", [30006, 21610]),
        "4": ("twilio", []), "5": ("keyword", [30006]), "6": ("manual", [30006]),
        "7": ("twilio", [30008]),
    }  # fmt: skip
    with alone.app_context(), db.engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        fill(connection, tables, "client", id="c", name="c")
        fill(connection, tables, "credential", id="k", client_id="c", auth_token=b"x")
        about = {"client_id": "c", "credential_id": "k"}
        fill(connection, tables, "sender", id="s", address="+1", kind="twilio", **about)
        fill(connection, tables, "suppression_list", id="l", client_id="c", name="l")
        for phone, (source, codes) in told.items():
            fill(
                connection, tables, "suppression_entry", id=phone, list_id="l", phone=phone,
                scope="s", source=source, since=since,
            )  # fmt: skip
            for code in codes:
                fill(
                    connection, tables, "message", id=f"{phone}{code}", sender_id="s", to=phone,
                    error_code=code, destination="sms", direction="api", state="failed", **about,
                )  # fmt: skip
    run("upgrade")
    with alone.app_context(), db.engine.connect() as connection:
        entries = connection.execute(select(SuppressionEntry.__table__)).all()
    found = {one.phone: (one.reason, one.error_code, one.until) for one in entries}
    assert found.pop("1") == ("unreachable", 30006, since + timedelta(days=180))
    assert found == dict.fromkeys("234567", ("opted_out", None, None))
    run("downgrade", before)
    run("upgrade")
    with alone.app_context(), db.engine.connect() as connection:
        assert len(connection.execute(select(SuppressionEntry.__table__)).all()) == len(told)


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


def test_conversations_begin_with_what_the_log_tells(alone: Flask, run: Run) -> None:
    """“Conversations”: who was answered is answered; machines and batches answered nobody."""
    script = next(Path("migrations/versions").glob("*_conversations.py")).name[:4]
    run("downgrade", f"{int(script) - 1:04}")
    began = datetime(2026, 11, 1, 12, tzinfo=UTC)
    came = {  # phone: (minute, body, opt_out, destination) of each
        "+13195550111": [(1, "When?", None, "sms"), (5, "Hello?", None, "sms")],
        "+13195550112": [(1, "When?", None, "sms")],
        "+13195550113": [(1, "When?", None, "sms"), (9, "STOP", "STOP", "sms")],
        "+13195550114": [(1, None, None, "voice")],
        "anonymous": [(1, None, None, "voice")],
    }
    went = {  # phone: (minute, direction, batch)
        "+13195550111": (3, "outbound-api", None),
        "+13195550112": (3, "outbound-api", None),
        "+13195550113": (3, "outbound-reply", None),
    }
    with alone.app_context(), db.engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        fill(connection, tables, "client", id="r", name="registrar")
        fill(connection, tables, "credential", id="c", client_id="r", auth_token=b"x")
        fill(connection, tables, "sender", id="n", client_id="r", credential_id="c", rate=1)
        own = {"client_id": "r", "sender_id": "n"}
        for phone, texts in came.items():
            for minute, body, opt_out, destination in texts:
                at = began + timedelta(minutes=minute)
                key = f"{phone[-4:]} {minute}"
                about = {
                    "id": key,
                    "sid": key,
                    "from": phone,
                    "to": "n",
                    "destination": destination,
                }
                rest = {"body": body, "opt_out": opt_out, "received_at": at}
                fill(connection, tables, "incoming", **own, **about, **rest, reply_id=None)
        for phone, (minute, direction, batch) in went.items():
            about = {"id": phone, "sid": phone, "to": phone, "destination": "sms"}
            rest = {"created_at": began + timedelta(minutes=minute), "batch_id": batch}
            fill(
                connection, tables, "message", **own, **about, **rest, direction=direction,
                credential_id="c", communication_id=None, template_version_id=None,
                suppression_list_id=None,
            )  # fmt: skip
    run("upgrade")
    with alone.app_context(), db.engine.connect() as connection:
        rows = connection.execute(select(Conversation.__table__)).all()
    assert {row.phone: (row.state.value, row.last_text, row.unread) for row in rows} == {
        "+13195550111": ("waiting", "Hello?", 0), "+13195550112": ("answered", "When?", 0),
        "+13195550113": ("waiting", "STOP", 0), "+13195550114": ("closed", None, 0),
    }  # fmt: skip
    assert [row.waiting_since for row in rows if row.phone.endswith("111")] == [
        began + timedelta(minutes=5)
    ]
    run("downgrade", "base")


def test_the_version_before_gets_no_answer_that_it_would_change(alone: Flask, run: Run) -> None:
    """“Answers with headers”: it knew 201 alone, and repeats it as it was."""
    script = next(Path("migrations/versions").glob("*_answers_with_headers.py")).name[:4]
    with alone.app_context(), db.engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        fill(connection, tables, "client", id="r", name="registrar")
        for status in (200, 201, 202):
            fill(
                connection, tables, "idempotency_key", client_id="r", key=str(status),
                status=status, headers={"Location": "here"},
            )  # fmt: skip
    run("downgrade", f"{int(script) - 1:04}")
    run("upgrade")
    with alone.app_context(), db.engine.connect() as connection:
        rows = connection.execute(select(IdempotencyKey.__table__)).all()
    assert [(row.key, row.headers) for row in rows] == [("201", {})]
    run("downgrade", "base")
