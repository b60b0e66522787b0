"""The doctor finds what is wrong and says what to do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from flask import Flask
from flask.testing import FlaskCliRunner
from redis import Redis, ResponseError
from sqlalchemy import text, update

from app.cli import doctor
from app.cli.doctor.finding import bad, ok, warn
from app.maintenance import audits
from app.models.client import Client
from app.models.credential import Credential
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind, EndpointState
from app.models.house import Bookmark
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender
from config import Settings
from embedded.process import free_port
from tests.support.rows import Rows
from tests.support.sandbox import Running

SMTP_PORT = free_port()


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return {**environ, "SMTP_URL": f"smtp://127.0.0.1:{SMTP_PORT}"}


@pytest.fixture
def mail() -> Any:
    controller = Controller(Sink(), hostname="127.0.0.1", port=SMTP_PORT)
    controller.start()
    yield
    controller.stop()


def current(app: Flask) -> Settings:
    settings: Settings = app.extensions["settings"]
    return settings


def lines(flask_command: FlaskCliRunner) -> list[str]:
    return flask_command.invoke(args=["doctor"]).output.splitlines()


def test_everything_but_the_processes_is_well(
    flask_command: FlaskCliRunner, registrar: Client, live: None, mail: None
) -> None:
    flask_command.invoke(args=["numbers", "import", "registrar", "+13195550100", "+18885550104"])
    shown = lines(flask_command)
    bad = [line for line in shown if line.startswith("BAD")]
    assert bad == [
        *(
            f"BAD  processes: there is no worker-{name}; start: flask worker {name}"
            for name in ("house", "relay", "send")
        ),
        "BAD  processes: there is no clock; start: flask clock",
    ]
    well = {line.removeprefix("ok   ").partition(":")[0] for line in shown if line[:2] == "ok"}
    assert well >= {
        "database", "Redis", "credentials", "mail", "Twilio", "Twilio's clock", "public address",
        "numbers",
    }  # fmt: skip
    assert shown[-1] == "4 things to put right."


def test_what_is_wrong_is_named_with_what_to_do(
    app: Flask, flask_command: FlaskCliRunner, registrar: Client, rows: Rows, box: Running
) -> None:
    flask_command.invoke(args=["numbers", "import", "registrar", "+13195550100"])
    box.client().incoming_phone_numbers.list(phone_number="+13195550100")[0].update(
        sms_url="", sms_fallback_url=""
    )
    rows.change(update(Sender).values(stopped_reason="not registered (30034)"))
    rows.add(
        Endpoint(
            client_id=registrar.id, kind=EndpointKind.WEBHOOK, name="sis", url="https://e.edu/",
            state=EndpointState.DISABLED,
        )
    )  # fmt: skip
    rows.change(text("UPDATE alembic_version SET version_num = '0001'"))
    app.extensions["redis"] = Redis.from_url("unix:///nonexistent")
    shown = "\n".join(lines(flask_command))
    for sentence in (
        "database: it is at 0001; run: flask db upgrade",
        "Redis: it cannot be reached",
        "mail: 127.0.0.1",
        "public address: http://127.0.0.1",
        "sms_url is not set",
        "See: flask numbers repair",
        "sis of registrar is disabled",
    ):
        assert sentence in shown


def test_a_wrong_log_in_at_twilio_is_told_from_a_wrong_setting(
    flask_command: FlaskCliRunner, registrar: Client, rows: Rows, box: Running
) -> None:
    flask_command.invoke(args=["numbers", "import", "registrar", "+13195550100"])
    rows.change(update(Credential).values(api_key_sid=None, auth_token="0" * 32))
    (shown,) = (line for line in lines(flask_command) if "could not be checked" in line)
    assert shown.endswith(
        "Authenticate. Check the client's credential, then: flask numbers audit registrar"
    )


def test_a_redis_that_keeps_nothing_is_named(
    app: Flask, flask_command: FlaskCliRunner, registrar: Client
) -> None:
    redis = app.extensions["redis"]
    before = {name: redis.config_get(name)[name] for name in ("appendonly", "save")}
    try:
        for name, value in (("appendonly", "no"), ("save", "")):
            redis.config_set(name, value)
        (shown,) = (line for line in lines(flask_command) if "keeps nothing on disk" in line)
        assert shown.startswith("warn Redis: ")
        assert shown.endswith("Better: appendonly yes.")
        redis.config_set("save", "3600 1")
        assert "ok   Redis: it keeps its data on disk." in lines(flask_command)
    finally:
        for name, value in before.items():
            redis.config_set(name, value)


def test_what_is_allowed_or_could_not_be_asked_is_neither_well_nor_bad(
    app: Flask, flask_command: FlaskCliRunner, registrar: Client, rows: Rows, box: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    flask_command.invoke(args=["numbers", "import", "registrar", "+13195550100"])
    before = current(app)
    app.extensions["settings"] = dataclasses.replace(
        before, smtp_url=None, public_base_url="https://127.0.0.1:9", trusted_proxy_hops=0
    )
    rows.add(
        Endpoint(
            client_id=registrar.id, kind=EndpointKind.WEBHOOK, name="sis", url="https://e.edu/",
            state=EndpointState.DISABLED,
        )
    )  # fmt: skip
    rows.change(update(Credential).values(api_key_sid=None, auth_token="0" * 32))
    monkeypatch.setattr(
        Redis, "config_get", lambda *_: (_ for _ in ()).throw(ResponseError("no CONFIG here"))
    )
    monkeypatch.setattr(Redis, "info", lambda *_: {})
    try:
        shown = lines(flask_command)
    finally:
        app.extensions["settings"] = before
    looked = [line for line in shown if line.startswith("warn ")]
    for words in (
        "mail: SMTP_URL is not set",
        "proxies: TRUSTED_PROXY_HOPS is 0",
        "endpoints: sis of registrar is disabled",
        "could not be checked",
        "Redis: it does not say whether it keeps its data",
    ):
        assert [line for line in looked if words in line], words
    assert shown[-2] == f"{len(looked)} things to look at."
    subjects = {line[5:].partition(":")[0] for line in shown if line.startswith("ok")}
    assert subjects.isdisjoint({"mail", "proxies", "endpoints", "numbers", "Redis"})


def test_what_is_only_to_be_looked_at_does_not_fail(
    flask_command: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (lambda: iter([warn("mail", "look.")]),))
    result = flask_command.invoke(args=["doctor"])
    assert (result.exit_code, result.output) == (0, "warn mail: look.\n1 thing to look at.\n")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: iter([bad("mail", "mend it.")]),))
    assert flask_command.invoke(args=["doctor"]).exit_code == 1
    monkeypatch.setattr(doctor, "CHECKS", (lambda: iter([ok("mail", "good.")]),))
    result = flask_command.invoke(args=["doctor"])
    assert (result.exit_code, result.output) == (0, "ok   mail: good.\nAll is well.\n")


def test_the_clock_tells_support_once_a_day_what_differs(
    app: Flask, flask_command: FlaskCliRunner, registrar: Client, rows: Rows, box: Running
) -> None:
    flask_command.invoke(args=["numbers", "import", "registrar", "+13195550100"])
    box.client().incoming_phone_numbers.list(phone_number="+13195550100")[0].update(
        sms_url="", sms_fallback_url=""
    )
    for _ in range(2):
        with app.app_context():
            audits.tick()
        rows.change(update(Bookmark).values(at=registrar.created_at.replace(year=2025)))
    (mail,) = rows.all(Delivery)
    assert "flask numbers repair" in mail.body
    assert "sms_url is not set" in mail.body


def test_a_changed_route_is_looked_at_soon(
    app: Flask, flask_command: FlaskCliRunner, registrar: Client, rows: Rows, box: Running
) -> None:
    flask_command.invoke(args=["numbers", "import", "registrar", "+13195550100"])
    with app.app_context():
        audits.tick()
        audits.tick()
    assert rows.all(Delivery) == []
    rows.add(
        Route(
            client_id=registrar.id, sender_id=rows.one(Sender).id, destination=Destination.SMS,
            handler=Handler.HANDLE_YOURSELF, url="https://own.example.edu/", updated_by="test",
        )
    )  # fmt: skip
    with app.app_context():
        audits.tick()
    assert "https://own.example.edu/" in rows.one(Delivery).body
