"""`make run` in small: the Procfile is read, output is prefixed, what dies comes back."""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded import supervisor
from embedded.supervisor import Supervisor, read_procfile
from tests.support.processes import ROOT, alive, wait_until

PATH = {"PATH": "/usr/bin:/bin"}


def within(seconds: float, condition: Callable[[], bool]) -> Callable[[], bool]:
    deadline = time.monotonic() + seconds

    def check() -> bool:
        assert time.monotonic() < deadline, f"not within {seconds} s"
        return condition()

    return check


def test_the_procfile_names_every_process_we_run() -> None:
    assert list(read_procfile(ROOT / "Procfile")) == [
        "web",
        "worker-relay",
        "worker-send",
        "worker-house",
        "clock",
    ]


def test_a_malformed_procfile_says_where(tmp_path: Path) -> None:
    file = tmp_path / "Procfile"
    file.write_text("# comment\n\nweb: serve --port 80\nworker\n")
    with pytest.raises(ValueError, match="line 4: expected `name: command`, found 'worker'"):
        read_procfile(file)


def test_every_line_carries_its_process_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    def done() -> bool:
        seen.append(capsys.readouterr().out)
        return "end" in "".join(seen)

    with Supervisor(tmp_path, PATH) as run:
        run.add(
            "one", "sh -c 'echo first; printf in; sleep 0.1; echo complete; printf end; sleep 9'"
        )
        run.run(until=within(10, lambda: "incomplete" in "".join(seen) or done()))
    seen.append(capsys.readouterr().out)
    assert re.findall(r"^one +\| (.*)$", "".join(seen), re.M) == ["first", "incomplete", "end"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param("sh -c 'exit 3'", "ended with code 3", id="exit"),
        pytest.param("sh -c 'kill -9 $$'", "was ended by SIGKILL", id="kill"),
    ],
)
def test_a_process_that_dies_is_started_again_later_each_time(
    command: str,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE", 0.05)
    output: list[str] = []

    def three_times() -> bool:
        output.append(capsys.readouterr().out)
        return "".join(output).count(said) == 3

    with Supervisor(tmp_path, PATH) as run:
        run.add("mayfly", command)
        run.run(until=within(20, three_times))
    pauses = re.findall(rf"{said}; starting it again in ([\d.]+) s", "".join(output))
    assert [float(pause) for pause in pauses] == pytest.approx([0.05, 0.1, 0.2])


def test_stopping_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_PATIENCE", 0.5)
    pids = tmp_path / "pids"
    stubborn = "import os,signal,time; signal.signal(15, signal.SIG_IGN); os.fork()\n"
    stubborn += "open('pids','a').write(f'{os.getpid()}\\n'); time.sleep(60)"
    script = tmp_path / "stubborn.py"
    script.write_text(stubborn)
    with Supervisor(tmp_path, PATH) as run:
        run.add("stubborn", f"{sys.executable} stubborn.py")
        run.run(until=within(10, lambda: pids.exists() and len(pids.read_text().splitlines()) == 2))
        parent_and_child = [int(pid) for pid in pids.read_text().split()]
        assert all(alive(pid) for pid in parent_and_child)
    # Signalled, both are; a machine may take a moment to take them away.
    wait_until(lambda: not any(alive(pid) for pid in parent_and_child), "both are gone")
