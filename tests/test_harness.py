"""The harness itself: what it hands out is what it promises."""

from pathlib import Path

import pytest
import redis
import requests
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page

import config
from app.extensions import db
from app.models.client import Client
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.processes import Processes, alive, status, wait_until
from tests.support.rows import Rows
from tests.support.twilio import signature


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_finds_an_empty_migrated_database(turn: int, rows: Rows) -> None:
    assert rows.count(Client) == 0
    rows.add(Client(name=f"client {turn}", owner_email="owner@example.edu"))
    assert [client.name for client in rows.all(Client)] == [f"client {turn}"]


def test_the_database_is_the_one_that_was_asked_for(
    app: Flask, settings: config.Settings, request: pytest.FixtureRequest
) -> None:
    with app.app_context():
        assert db.engine.dialect.name == request.node.callspec.params["database_url"]


@pytest.mark.database("sqlite")
def test_a_marker_chooses_one_database(settings: config.Settings) -> None:
    assert settings.is_sqlite


@pytest.mark.database("sqlite")
@pytest.mark.settings(TRUSTED_PROXY_HOPS="2")
def test_a_marker_changes_a_setting(settings: config.Settings) -> None:
    assert settings.trusted_proxy_hops == 2


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_finds_an_empty_redis(turn: int, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_signatures_are_those_of_twilios_documentation() -> None:
    """The example of Twilio's page "Webhooks security"."""
    parameters = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature(url, parameters, "12345") == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_the_client_speaks_to_the_public_address(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.request.url == f"{PUBLIC_BASE_URL}/healthz"


@pytest.mark.processes
def test_web_workers_and_clock_run_for_real_and_end_cleanly(processes: Processes) -> None:
    web = processes.web()
    ready = {"status": "ok", "database": "ok", "redis": "ok", "sending": "ok"}
    url = f"{processes.base_url}/readyz"
    wait_until(lambda: requests.get(url, timeout=15).json() == ready, "it is ready")
    others = [processes.procfile(name) for name in ("worker-send", "clock")]
    with redis.Redis.from_url(processes.env["REDIS_URL"]) as client:
        wait_until(lambda: client.scard("rq:workers") == 1, "the worker registers")
    for process in (*others, web):
        process.wait_until_stoppable()
        assert process.stop() == 0, process.output()


@pytest.mark.processes
@pytest.mark.database("sqlite")
def test_kill_takes_the_children_along(processes: Processes) -> None:
    web = processes.web(workers=2)
    children = Path(f"/proc/{web.pid}/task/{web.pid}/children").read_text().split()
    assert len(children) == 4  # a front, and a process for each kind of request
    web.kill()
    wait_until(lambda: not any(alive(int(pid)) for pid in children), "the workers are gone")
    assert status(f"{processes.base_url}/healthz") is None


@pytest.mark.browser
@pytest.mark.processes
@pytest.mark.database("sqlite")
def test_a_browser_reads_our_pages(page: Page, processes: Processes) -> None:
    processes.web()
    answer = page.goto(f"{processes.base_url}/healthz")
    assert answer is not None
    assert answer.status == 200
    assert "ok" in page.content()
