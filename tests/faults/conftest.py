"""A database, a Redis and a Twilio of each test's own: they are broken."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.faults.house import House, Redis, furnish
from tests.faults.outside import Outside
from tests.faults.table import HEAD
from tests.faults.wire import Wire
from tests.support.databases import PostgresTemplate
from tests.support.fake_twilio import FakeTwilio
from tests.support.processes import Processes
from tests.support.relay import receiving
from tests.support.rows import Rows

ROWS = pytest.StashKey[list[str]]()
"""The table, a line for each fault that has happened."""
Build = Callable[[int], House]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the faults one by one to ``--faults``, which has nothing else."""
    one_by_one = config.getoption("--faults")
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    unwanted = [item for item in ours if _is_one_fault(item) != one_by_one or not _fits(item)]
    config.hook.pytest_deselected(items=unwanted)
    items[:] = [item for item in items if item not in unwanted]


def _is_one_fault(item: pytest.Item) -> bool:
    return "fault" in _parameters(item)


def _fits(item: pytest.Item) -> bool:
    """Whether the fault can happen to this database."""
    given = _parameters(item)
    return "fault" not in given or given["database_url"] in given["fault"].databases


def _parameters(item: pytest.Item) -> dict[str, Any]:
    return item.callspec.params if isinstance(item, pytest.Function) else {}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table."""
    if rows := config.stash.get(ROWS, []):
        terminalreporter.section("faults")
        for line in (*HEAD, *rows):
            terminalreporter.write_line(line)


@pytest.fixture
def postgres_template() -> Iterator[PostgresTemplate]:
    template = PostgresTemplate()
    yield template
    template.stop()


@pytest.fixture
def fake() -> Iterator[FakeTwilio]:
    with FakeTwilio(latency=0.05) as twilio:
        yield twilio


@pytest.fixture
def redis_server() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = Redis(Path(folder))
        yield server
        server.stop()


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    return redis_server.url


@pytest.fixture
def environ(environ: dict[str, str], fake: FakeTwilio) -> dict[str, str]:
    return {
        **environ, "TWILIO_API_BASE_URL": fake.url, "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }  # fmt: skip


@pytest.fixture
def build(
    app: Flask, rows: Rows, processes: Processes, fake: FakeTwilio, redis_server: Redis,
    database_url: str, tmp_path: Path,
) -> Iterator[Build]:  # fmt: skip
    """Start a house in which everything works; the seed decides what happens when."""
    with ExitStack() as stack:

        def start(seed: int) -> House:
            outside = Outside(processes.base_url, fake)
            receiver = stack.enter_context(receiving(outside.behave))
            furnish(rows, receiver.url())
            clock_file = tmp_path / "clock"
            clock_file.write_text("0")
            wire = None
            if database_url.startswith("postgresql"):
                server, _, name = database_url.rpartition("/")
                wire = stack.enter_context(Wire(int(server.rpartition(":")[2])))
                processes.env["DATABASE_URL"] = (
                    f"postgresql://postgres@127.0.0.1:{wire.port}/{name}"
                )
            processes.env |= {
                "FAULT_CLOCK": str(clock_file),
                "PYTHONPATH": str(Path(__file__).parent / "shifted"),
                "LOG_LEVEL": "WARNING",
            }
            house = House(
                processes, outside, rows, redis_server, wire, tmp_path, database_url, clock_file,
                random.Random(seed),
            )  # fmt: skip
            house.start()
            return house

        yield start
