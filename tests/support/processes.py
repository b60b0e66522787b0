"""Real processes for tests: started with an environment, watched, killed, always ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded.process import spawn, stop
from embedded.supervisor import read_procfile

ROOT = Path(__file__).resolve().parents[2]
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until `condition()` is true; after `seconds` fail with the name of what was awaited."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def status(url: str) -> int | None:
    """Return the HTTP status that `url` answers with; None while nobody listens."""
    try:
        with _DIRECTLY.open(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def alive(pid: int) -> bool:
    """Whether a process lives: neither gone nor a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal (Linux)."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return bool(int(fields["SigCgt"], 16) >> (number - 1) & 1)


@dataclass
class Running:
    """One process under test and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_output(self, text: str, seconds: float = 20.0) -> None:
        """Wait until the process has written `text`."""
        wait_until(lambda: text in self.output(), f"{self.name} writes {text!r}", seconds)

    def wait_until_stoppable(self, seconds: float = 20.0) -> None:
        """Wait until it is far enough to end cleanly when asked: while starting, it just dies."""
        wait_until(lambda: catches(self.pid, signal.SIGTERM), f"{self.name} is up", seconds)

    def kill(self) -> None:
        """kill -9 of the process and all its children, as when a machine loses power."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, patience: float = 15.0) -> int:
        """SIGTERM, as an operator's process manager does; return the exit code."""
        stop(self.process, signal.SIGTERM, patience)
        return self.process.returncode


class Processes:
    """Starts the commands of the Procfile, or any other, with one environment."""

    def __init__(self, folder: Path, env: Mapping[str, str], cwd: Path = ROOT) -> None:
        """`folder` takes the logs; the commands run in `cwd`."""
        self._folder = folder
        self._cwd = cwd
        self.env = dict(env)
        self._running: list[Running] = []

    @property
    def base_url(self) -> str:
        """Where `web` listens: known before it starts, so that workers agree on it."""
        return f"http://127.0.0.1:{self.env['PORT']}"

    def start(self, name: str, argv: Sequence[str], **env: str) -> Running:
        """Start a command in the folder of the project."""
        log = self._folder / f"{len(self._running)}-{name}.log"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with log.open("wb") as output:
            process = spawn(
                argv,
                output=output,
                cwd=self._cwd,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PATH": path, **self.env, **env},
            )
        running = Running(name, process, log)
        self._running.append(running)
        return running

    def procfile(self, name: str, **env: str) -> Running:
        """Start a process of the Procfile: `worker-send`, `clock`, …; `web` has its own method."""
        command = read_procfile(ROOT / "Procfile")[name]
        return self.start(name, ["/bin/sh", "-c", f"exec {command}"], **env)

    def web(self, *, workers: int = 1, seconds: float = 30.0, **env: str) -> Running:
        """Start gunicorn and wait until it answers."""
        running = self.procfile("web", WEB_CONCURRENCY=str(workers), **env)
        self.wait_healthy(running, f"{self.base_url}/healthz", seconds)
        return running

    def flask(
        self, *arguments: str, timeout: float = 60, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run an operator's command to its end; its output is returned, not checked."""
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", *arguments],
            cwd=self._cwd,
            env={**os.environ, **self.env, **env},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def wait_healthy(self, running: Running, url: str, seconds: float = 30.0) -> None:
        """Wait until `url` answers 200; fail at once, with the log, if the process ends."""

        def healthy() -> bool:
            if running.process.poll() is not None:
                raise AssertionError(f"{running.name} ended at once:\n{running.output()}")
            return status(url) == 200

        wait_until(healthy, f"{running.name} answers at {url}", seconds)

    def logs(self) -> list[tuple[str, str]]:
        """Return name and output of everything that was started, for a failure's report."""
        return [(running.name, running.output()) for running in self._running]

    def stop(self) -> None:
        """End everything that still runs."""
        for running in self._running:
            if running.process.poll() is None:
                running.process.terminate()
        for running in self._running:
            running.stop(patience=10)
