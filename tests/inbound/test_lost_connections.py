"""A database that was restarted, or a connection that was cut, costs nobody an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.pool import PoolProxiedConnection
from werkzeug.test import TestResponse

from app.extensions import db
from app.models.incoming import Incoming
from app.models.message import Message
from app.twiml.voice import NEUTRAL
from tests.support.databases import HARNESS
from tests.support.inbound import AWAY, Department
from tests.support.our_calls import answer, call, listening
from tests.support.rows import Rows
from tests.support.twilio import Twilio

pytestmark = pytest.mark.database("postgresql")
Ask = Callable[[Twilio], TestResponse]


def test_connections_that_the_server_closed_are_replaced(
    rows: Rows, twilio: Twilio, database_url: str
) -> None:
    Department(rows).auto_reply()
    assert twilio.sms().status_code == 200
    with psycopg.connect(database_url, autocommit=True) as admin:
        closed = admin.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND application_name <> %s",
            [HARNESS],
        ).fetchone()
    assert closed
    assert closed[0] >= 1
    assert twilio.sms().status_code == 200
    assert rows.count(Incoming) == 2


@pytest.fixture
def asks(rows: Rows, request: pytest.FixtureRequest) -> Ask:
    """Something that Twilio asks, by its kind; everybody is to hear what was chosen for them."""
    if request.param == "a call of ours":
        message = call(rows, listening(rows))
        return lambda twilio: answer(twilio, message)
    Department(rows).auto_reply()
    return Twilio.sms if request.param == "a text" else Twilio.call


def said(response: TestResponse) -> str:
    assert response.status_code == 200
    return " ".join(ElementTree.fromstring(response.text).itertext())


EXPECTED = {"a text": AWAY, "a call": NEUTRAL, "a call of ours": "Hello Ann."}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("asks", EXPECTED, indirect=True)
def test_a_connection_cut_in_commit_changes_no_answer(
    asks: Ask, after: bool, app: Flask, rows: Rows, twilio: Twilio, database_url: str,
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """Whether the server has got it or not: the second try finds what the first has stored."""
    with app.app_context():
        dialect = db.engine.dialect
    commit, cuts = dialect.do_commit, [True]

    def cut(pooled: PoolProxiedConnection) -> None:
        if not cuts:
            return commit(pooled)
        cuts.clear()
        if after:
            commit(pooled)
        connection: Any = pooled.dbapi_connection
        with psycopg.connect(database_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        return connection.execute("SELECT 1")  # which is told so

    monkeypatch.setattr(dialect, "do_commit", cut)
    first = asks(twilio)
    kind = request.node.callspec.params["asks"]
    assert EXPECTED[kind] in said(first)
    assert cuts == []
    assert asks(twilio).text == first.text or kind != "a call of ours"
    assert rows.count(Message) == {"a text": 2, "a call": 0, "a call of ours": 1}[kind]


@pytest.mark.parametrize("asks", ["a call", "a call of ours"], indirect=True)
def test_who_is_on_the_line_is_worth_a_second_of_waiting(
    asks: Ask, app: Flask, twilio: Twilio, request: pytest.FixtureRequest
) -> None:
    """A database that crashed is mostly back in less; nobody calls again because of that."""
    refused = _refuse_connections(app, 4)
    assert EXPECTED[request.node.callspec.params["asks"]] in said(asks(twilio))
    assert len(refused) == 4


def test_a_text_is_given_back_to_twilio_at_once(app: Flask, rows: Rows, twilio: Twilio) -> None:
    """Twilio comes again with it, which costs nobody anything."""
    Department(rows).auto_reply()
    refused = _refuse_connections(app, 1)
    assert twilio.sms().status_code == 503
    assert len(refused) == 1
    assert twilio.sms().status_code == 200


def _refuse_connections(app: Flask, times: int) -> list[bool]:
    """Have the database refuse connections, as one that has just been started does."""
    with app.app_context():
        engine = db.engine
    engine.dispose()
    refused: list[bool] = []

    def connect(*_: object) -> None:
        refused.append(True)
        if len(refused) == times:
            event.remove(engine, "do_connect", connect)
        raise psycopg.OperationalError("FATAL: the database system is starting up")

    event.listen(engine, "do_connect", connect)
    return refused
