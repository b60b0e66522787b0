"""Runs the processes of the Procfile side by side, as `make run` shows them."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from embedded.process import spawn

# A process that dies is started again after 1, 2, 4 … 30 s; a minute of life resets that.
_FIRST_PAUSE, _LONGEST_PAUSE, _SETTLED = 1.0, 30.0, 60.0
# Workers end a drain within seconds, gunicorn its requests within 10.
_PATIENCE = 12.0


def read_procfile(path: Path) -> dict[str, str]:
    """Return the commands of a Procfile by process name, in its order.

    Raises:
        ValueError: a line is not `name: command`.
    """
    commands: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, command = (part.strip() for part in line.partition(":"))
        if not colon or not name or not command:
            raise ValueError(f"{path}, line {number}: expected `name: command`, found {line!r}.")
        commands[name] = command
    return commands


@dataclass
class _Service:
    name: str
    command: str
    prefix: str
    pause: float
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    unfinished: bytes = field(default=b"", repr=False)


class Supervisor:
    """Starts services, prints what they say with their name in front, restarts those that die.

    Use it from the main thread, as a context manager: leaving it stops every service.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder = folder
        self._env = dict(env)
        self._services: list[_Service] = []
        self._selector = selectors.DefaultSelector()
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add(self, name: str, command: str) -> None:
        """Start one more service: a command for `sh`, as in a Procfile."""
        prefix = f"{name:<13}| "
        if self._colour:
            prefix = f"\033[{31 + (len(self._services) + 1) % 6}m{prefix}\033[0m"
        service = _Service(name, command, prefix, _FIRST_PAUSE)
        self._services.append(service)
        self._start(service)

    def alive(self) -> dict[str, bool]:
        """Return which services run at the moment."""
        return {s.name: s.process is not None and s.process.poll() is None for s in self._services}

    def run(self, until: Callable[[], bool]) -> None:
        """Serve until `until()` is true; it is asked at least five times a second."""
        while not until():
            self._turn()

    def stop(self) -> None:
        """Ask every service to end, print their last words, and kill what stays too long."""
        running = [s for s in self._services if s.process is not None]
        for service in running:
            assert service.process is not None  # noqa: S101 - narrows the type
            service.process.terminate()
        deadline = time.monotonic() + _PATIENCE
        while any(self.alive().values()) and time.monotonic() < deadline:
            self._print_output(0.05)
        for service in running:
            _kill_group(service)
        self._print_output(0.05)
        self._services.clear()

    def _turn(self) -> None:
        self._print_output(0.2)
        now = time.monotonic()
        for service in self._services:
            if service.process is None:
                if now >= service.due:
                    self._start(service)
            elif (code := service.process.poll()) is not None:
                self._schedule_restart(service, code, now)

    def _start(self, service: _Service) -> None:
        read, write = os.pipe()
        try:
            service.process = spawn(
                ["/bin/sh", "-c", f"exec {service.command}"],
                output=write,
                cwd=self._folder,
                env=self._env,
            )
        finally:
            os.close(write)
        os.set_blocking(read, False)
        service.started = time.monotonic()
        self._selector.register(os.fdopen(read, "rb", 0), selectors.EVENT_READ, service)

    def _schedule_restart(self, service: _Service, code: int, now: float) -> None:
        _kill_group(service)
        service.process = None
        if now - service.started > _SETTLED:
            service.pause = _FIRST_PAUSE
        how = (
            f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        self._say(service, f"{how}; starting it again in {service.pause:g} s")
        service.due = now + service.pause
        service.pause = min(service.pause * 2, _LONGEST_PAUSE)

    def _print_output(self, wait: float) -> None:
        if not self._selector.get_map():
            time.sleep(wait)
        for key, _ in self._selector.select(wait):
            stream, service = key.fileobj, key.data
            assert not isinstance(stream, int)  # noqa: S101 - narrows the type
            self._forward(stream, service)  # type: ignore[arg-type]

    def _forward(self, stream: IO[bytes], service: _Service) -> None:
        data = os.read(stream.fileno(), 65536)
        if not data:
            self._selector.unregister(stream)
            stream.close()
            data = b"\n" if service.unfinished else b""
        *lines, service.unfinished = (service.unfinished + data).split(b"\n")
        for line in lines:
            self._say(service, line.decode(errors="replace"))

    def _say(self, service: _Service, line: str) -> None:
        print(f"{service.prefix}{line}", flush=True)


def _kill_group(service: _Service) -> None:
    """End whatever a service's process has left behind, and reap it."""
    if service.process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(service.process.pid, signal.SIGKILL)
    service.process.wait()
