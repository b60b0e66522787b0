"""The embedded PostgreSQL: as root, as an ordinary user, and gone when its starter is."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from embedded import postgres
from tests.support.processes import ROOT, alive, wait_until

STARTER = """
import time
from embedded import postgres
server = postgres.start()
print(server.process.pid, server.folder, server.url(), flush=True)
time.sleep(60)
"""


def test_it_serves_and_leaves_nothing_behind() -> None:
    server = postgres.start()
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    server.stop()
    assert server.process.poll() is not None
    assert not server.folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that we died")
def test_it_dies_when_its_starter_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pid, folder, _ = starter.stdout.readline().split()
        assert alive(int(pid))
        starter.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(int(pid)), "PostgreSQL dies with its starter", 10)
    os.utime(folder, (0, 0))
    postgres.start().stop()
    assert not Path(folder).exists(), "the next start removes what was abandoned"


@pytest.fixture
def reachable_by_nobody() -> Iterator[Path]:
    """The project as another user can read it: it may sit where only we may go."""
    folder = Path(tempfile.mkdtemp(prefix="dispatch-readable-"))
    folder.chmod(0o755)
    shutil.copytree(ROOT / "embedded", folder / "embedded")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_an_ordinary_user_can_start_it(reachable_by_nobody: Path) -> None:
    code = STARTER.replace("time.sleep(60)", "server.stop(); print(server.process.returncode)")
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=reachable_by_nobody,
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except PermissionError:
        pytest.skip("the virtual environment is in a folder that only root can enter")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "0"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_root_without_a_usable_account_falls_back_to_a_name_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probe = subprocess.run([*postgres._NAMESPACE, "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("this machine has no user name spaces")
    runs = postgres._runs
    monkeypatch.setattr(postgres, "_runs", lambda how, at: not how.account and runs(how, at))
    server = postgres.start()
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    server.stop()
    assert not server.folder.exists()
