"""Child processes that never outlive whoever started them."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
# Loaded here, not between fork and exec, where loading a library is not safe.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StartError(Exception):
    """An embedded server did not come up; the message says which, and shows the end of its log."""


@dataclass(frozen=True)
class Account:
    """The system account a child runs under instead of ours."""

    user: int
    group: int


def die_with_parent(how: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn` with which the kernel sends `how` to the child when its parent dies.

    The parent is the *thread* that starts the child: start children from the main thread.
    Only Linux knows this; elsewhere a parent that is killed outright leaves its children running.
    """
    parent = os.getpid()

    def request() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(how))
        if os.getppid() != parent:  # it died before we could ask
            os.kill(os.getpid(), signal.SIGKILL)

    return request


def spawn(
    argv: Sequence[str],
    *,
    output: IO[bytes] | int,
    dies_by: signal.Signals = signal.SIGTERM,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
    account: Account | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own that dies with us (see `die_with_parent`).

    Its output and errors go to `output`; `keep_open` are file descriptors that it inherits.
    """
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=env,
        pass_fds=tuple(keep_open),
        start_new_session=True,
        user=account.user if account else None,
        group=account.group if account else None,
        extra_groups=[] if account else None,
        preexec_fn=die_with_parent(dies_by),  # noqa: PLW1509 - no threads are running
    )


def stop(process: subprocess.Popen[bytes], how: signal.Signals, patience: float) -> None:
    """Ask a child to end by signal `how`; after `patience` seconds kill its whole group."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port(*preferred: int) -> int:
    """Return the first of the preferred TCP ports that is free on 127.0.0.1, else any free one."""
    for port in (*preferred, 0):
        with socket.socket() as probe:
            # As servers do: a port whose last connections are winding down counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StartError("No TCP port is free on 127.0.0.1.")


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, for an error message."""
    if not log.exists():
        return "(it wrote no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
