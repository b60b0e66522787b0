"""`make run` as people see it: it comes up, says what to do, and leaves nothing behind."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from embedded.process import free_port
from tests.support.processes import ROOT, Processes, Running, status, wait_until

pytestmark = pytest.mark.processes


def left_in(folder: Path) -> list[str]:
    """Return the command lines of all processes that work in a folder (Linux)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "cwd")).is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # gone meanwhile, or somebody else's
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project as a fresh clone has it: whoever runs these tests may have a demo running."""
    return Path(
        shutil.copytree(
            ROOT,
            tmp_path / "clone",
            ignore=shutil.ignore_patterns(".*", "instance", "tests", "__pycache__"),
        )
    )


@pytest.fixture
def demo(copy: Path, tmp_path: Path) -> Iterator[Processes]:
    ports = {name: str(free_port()) for name in ("PORT", "SANDBOX_PORT", "SANDBOX_SMTP_PORT")}
    processes = Processes(tmp_path, ports, cwd=copy)
    yield processes
    processes.stop()


def start(demo: Processes) -> Running:
    return demo.start("run", [sys.executable, "-m", "embedded.run"])


def test_it_comes_up_and_ctrl_c_ends_everything(demo: Processes, copy: Path) -> None:
    run = start(demo)
    run.wait_for_output("Ctrl-C stops it.", 90)
    assert requests.get(f"{demo.base_url}/readyz", timeout=5).json()["redis"] == "ok"
    again = start(demo)
    assert again.process.wait(30) == 1
    assert "already runs from this folder" in again.output()
    assert status(f"{demo.base_url}/healthz") == 200
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(20) == 0, run.output()
    assert left_in(copy) == []


def test_what_is_killed_comes_back_and_nothing_outlives_the_supervisor(
    demo: Processes, copy: Path
) -> None:
    run = start(demo)
    run.wait_for_output("Ctrl-C stops it.", 90)
    master = re.search(r"Listening at: \S+ \((\d+)\)", run.output())
    assert master
    os.kill(int(master[1]), signal.SIGKILL)
    run.wait_for_output("was ended by SIGKILL; starting it again in 1 s")
    wait_until(lambda: status(f"{demo.base_url}/healthz") == 200, "web is back", 30)
    run.process.kill()
    run.process.wait()
    wait_until(lambda: left_in(copy) == [], "everything has died with the supervisor", 20)


def test_a_migration_that_fails_ends_it_with_the_reason(demo: Processes, copy: Path) -> None:
    run = demo.start("run", [sys.executable, "-m", "embedded.run"], DATABASE_URL="mysql://here")
    assert run.process.wait(60) == 1
    assert "DATABASE_URL" in run.output()
    assert "Dispatch did not start. `flask db upgrade` failed" in run.output()
    assert left_in(copy) == []
