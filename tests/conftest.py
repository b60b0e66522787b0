"""Fixtures for every room: databases, Redis, the application, real processes, a browser.

A test that takes `database_url`, or anything built on it (`settings`, `app`, `client`, `rows`,
`twilio`, `processes`), runs on SQLite and on PostgreSQL. Markers change that:

    @pytest.mark.database("sqlite")                  only there
    @pytest.mark.settings(TRUSTED_PROXY_HOPS="1")    environment variables for this test
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis
from argon2 import PasswordHasher, profiles
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from playwright.sync_api import Browser, Page
from sqlalchemy import event

import config
from app import create_app
from app.domain import passwords, wake
from app.extensions import db
from app.outbound.send.posting import Posting
from embedded import process, valkey
from tests.support import browser as browsers
from tests.support.databases import PostgresTemplate, SqliteTemplate
from tests.support.environment import BASE, PUBLIC_BASE_URL
from tests.support.processes import Processes
from tests.support.rendering import watched
from tests.support.rows import Rows
from tests.support.twilio import Twilio

# The same examples on every run, however busy the machine is; `--hypothesis-profile=search` looks
# for others, and for more of them.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", max_examples=1000, deadline=None)
hypothesis.settings.load_profile("same")

DATABASES = ("sqlite", "postgresql")
ARTEFACTS = Path(__file__).parent / "artefacts"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=DATABASES, help="run on one of the two databases only")
    parser.addoption("--faults", action="store_true", help="each fault by itself (make faults)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_url" not in metafunc.fixturenames:
        return
    wanted = [metafunc.config.getoption("--database")]
    marker = metafunc.definition.get_closest_marker("database")
    allowed = marker.args if marker else DATABASES
    chosen = [name for name in allowed if wanted == [None] or name in wanted]
    metafunc.parametrize("database_url", chosen, ids=chosen, indirect=True, scope="function")


@pytest.fixture(scope="session", autouse=True)
def _passwords_cost_little() -> Iterator[PasswordHasher]:
    """Signing in is meant to take a tenth of a second; thousands of tests do it."""
    real = passwords._hasher
    passwords._hasher = PasswordHasher.from_parameters(profiles.CHEAPEST)
    yield real
    passwords._hasher = real


@pytest.fixture
def real_passwords(_passwords_cost_little: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost what they cost in production."""
    monkeypatch.setattr(passwords, "_hasher", _passwords_cost_little)


@pytest.fixture(autouse=True)
def nothing_is_filled_in_while_others_wait() -> Iterator[None]:
    """A template takes what its author decides: in no test may a transaction of ours be open."""
    with watched() as seen:
        yield
    assert seen == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show the logs of real processes and keep a picture of the page when a test fails."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for running in item.funcargs.values():
            if isinstance(running, Processes):
                logs = [(f"log of {name}", text[-8000:]) for name, text in running.logs()]
                report.sections += logs
        page = item.funcargs.get("page")
        if isinstance(page, Page) and report.when == "call":
            report.sections.append(("screenshot", str(_picture(page, item.nodeid))))
    return report


def _picture(page: Page, name: str) -> Path:
    ARTEFACTS.mkdir(exist_ok=True)
    path = ARTEFACTS / (re.sub(r"[^\w.-]+", "_", name) + ".png")
    page.screenshot(path=path, full_page=True)
    return path


@pytest.fixture(scope="session")
def sqlite_template() -> Iterator[SqliteTemplate]:
    """Files in memory where that can be had: each commit waits until it is written."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield SqliteTemplate(Path(folder))


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[PostgresTemplate]:
    """A cluster per test process: it is up in a second and shares nothing with the others."""
    template = PostgresTemplate()
    yield template
    template.stop()


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """The `DATABASE_URL` of a migrated, empty database."""
    if request.param == "sqlite":
        sqlite: SqliteTemplate = request.getfixturevalue("sqlite_template")
        return sqlite.fresh()
    postgresql: PostgresTemplate = request.getfixturevalue("postgres_template")
    return postgresql.fresh()


@pytest.fixture(scope="session")
def _redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[valkey.Valkey]:
    server = valkey.start(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.fixture
def redis_url(_redis_server: valkey.Valkey) -> str:
    """The `REDIS_URL` of a real, empty server that only this test process uses."""
    with redis.Redis.from_url(_redis_server.url) as client:
        client.flushall()
    return _redis_server.url


@pytest.fixture
def environ(request: pytest.FixtureRequest, database_url: str, redis_url: str) -> dict[str, str]:
    """The environment that settings are read from, and that real processes get."""
    marked = [marker.kwargs for marker in request.node.iter_markers("settings")]
    merged = {**BASE, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
    for changes in reversed(marked):  # the closest marker wins
        merged |= changes
    return merged


@pytest.fixture(scope="session")
def _instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("process") / "instance"


@pytest.fixture
def settings(environ: dict[str, str], _instance: Path) -> config.Settings:
    shutil.rmtree(_instance, ignore_errors=True)
    return config.load(environ, _instance)


@lru_cache(maxsize=8)
def _application(settings: config.Settings) -> Flask:
    made = create_app(settings)
    made.testing = True
    return made


@pytest.fixture
def app(settings: config.Settings) -> Iterator[Flask]:
    """The application with these settings, made once per test process.

    A hundred and fifty routes take 100 ms to compile. What a test changes in the application's
    extensions and configuration is put back, threads that it had started end; its database and
    Redis are empty for every test.
    """
    application = _application(settings)
    before = dict(application.extensions), application.config.copy()
    yield application
    for name in ("waker", "posting"):
        if (kept := application.extensions.get(name)) is not before[0].get(name):
            kept[1].close()
    wake._on_stop.clear()
    application.extensions, application.config = before
    with application.app_context():
        db.engine.dispose()


class _PublicClient(FlaskClient):
    """Asks for the public address, so that secure cookies and signatures work as outside."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("base_url", PUBLIC_BASE_URL)
        return super().open(*args, **kwargs)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    app.test_client_class = _PublicClient
    return app.test_client()


@pytest.fixture
def flask_command(app: Flask) -> FlaskCliRunner:
    """Runs operators' commands in this process: `flask_command.invoke(args=["apply", …])`."""
    return app.test_cli_runner()


@pytest.fixture
def rows(app: Flask) -> Rows:
    """What a test puts into the database and finds there."""
    return Rows(app)


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """The statements that the application gives the database, as they come; may be emptied."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def twilio(client: FlaskClient) -> Twilio:
    """Twilio, posting signed webhooks."""
    return Twilio(client)


@pytest.fixture(scope="session")
def twilio_port() -> int:
    """A TCP port of this test process: with one address for all, they share an application.

    Nobody listens on it between two tests; so it is none of those that connections get by chance.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port


@pytest.fixture
def posting(app: Flask) -> Iterator[Posting]:
    """The threads of one process that sends."""
    made = Posting(app)
    yield made
    made.close()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Returns a TCP port that nobody listens on."""
    return process.free_port


@pytest.fixture
def processes(environ: dict[str, str], tmp_path: Path) -> Iterator[Processes]:
    """Starts gunicorn, workers and the clock for real; whatever still runs is ended."""
    port = process.free_port()
    folder = tmp_path / "processes"
    folder.mkdir()
    here = {
        "PORT": str(port),
        "BIND": f"127.0.0.1:{port}",
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "LOG_LEVEL": "INFO",
        "INSTANCE_FOLDER": str(tmp_path / "instance"),
    }
    started = Processes(folder, {**environ, **here})
    yield started
    started.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium per test module; the test is skipped where there is none."""
    with browsers.chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh browser window without cookies."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.set_default_timeout(10_000)
        yield context.new_page()
