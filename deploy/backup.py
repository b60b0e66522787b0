"""Back up the database of DATABASE_URL, and try whether a backup can be restored.

``python -m deploy.backup make FOLDER --days 14`` writes a new file and removes older ones;
``python -m deploy.backup check FOLDER`` restores the newest into a database beside the real one,
looks at it and drops it again. PostgreSQL's own programs do the work; a password is handed to them
by the environment, where other users of the machine cannot read it.
"""

from __future__ import annotations

import argparse
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

SCRATCH = "dispatch_restore_check"
_SQLITE = "sqlite:///"
_POSTGRES = re.compile(
    r"postgresql://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<hosts>[^/?]*)/(?P<name>[^?]*)(?P<rest>\?.*)?"
)


class Failed(Exception):
    """What went wrong, in a sentence."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="deploy.backup", description=__doc__)
    parser.add_argument("verb", choices=["make", "check"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=14, help="how long backups are kept")
    chosen = parser.parse_args(arguments)
    url = os.environ.get("DATABASE_URL", "")
    try:
        if chosen.verb == "make":
            print(f"{make(url, chosen.folder)} is written.")
            forget(chosen.folder, chosen.days)
        else:
            found = newest(chosen.folder)
            print(f"{found} can be restored: a database at {check(url, found)}.")
    except (Failed, OSError, sqlite3.Error) as error:
        sys.exit(f"The backup failed: {error}")


def make(url: str, folder: Path) -> Path:
    """Write a backup of the database into ``folder``; a half-written one has another name."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"dispatch-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if url.startswith(_SQLITE):
        done, part = folder / f"{stem}.db", folder / f"{stem}.part"
        with closing(sqlite3.connect(_file(url))) as ours, closing(sqlite3.connect(part)) as copy:
            ours.backup(copy)
    else:
        done, part = folder / f"{stem}.dump", folder / f"{stem}.part"
        _run("pg_dump", "--format=custom", "--no-owner", f"--file={part}", url=url)
    return part.replace(done)


def forget(folder: Path, days: int) -> None:
    """Remove backups that were written more than ``days`` days ago."""
    limit = datetime.now(UTC) - timedelta(days=days)
    for one in _all(folder):
        if datetime.fromtimestamp(one.stat().st_mtime, UTC) < limit:
            one.unlink()


def newest(folder: Path) -> Path:
    """Return the last backup.

    :raises Failed: when there is none.
    """
    if not (found := _all(folder)):
        raise Failed(f"there is no backup in {folder}.")
    return found[-1]


def check(url: str, backup: Path) -> str:
    """Restore ``backup`` beside the real database; return the revision that it is at.

    :raises Failed: when there is no revision in it.
    """
    if backup.suffix == ".db":
        return _check_sqlite(backup)
    _run("dropdb", "--if-exists", SCRATCH, url=url, by="--maintenance-db")
    _run("createdb", SCRATCH, url=url, by="--maintenance-db")
    try:
        restore = ("pg_restore", "--exit-on-error", "--no-owner", str(backup))
        _run(*restore, url=url, name=SCRATCH)
        asked = "SELECT version_num FROM alembic_version"
        revision = _run("psql", "-X", "-At", "-c", asked, url=url, name=SCRATCH).strip()
    finally:
        _run("dropdb", "--if-exists", SCRATCH, url=url, by="--maintenance-db")
    return _sound(revision, backup)


def _check_sqlite(backup: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / backup.name
        copy.write_bytes(backup.read_bytes())
        with closing(sqlite3.connect(copy)) as restored:
            if (word := restored.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                raise Failed(f"{backup} is damaged: {word}")
            found = restored.execute("SELECT version_num FROM alembic_version").fetchone()
    return _sound(found[0] if found else "", backup)


def _sound(revision: str, backup: Path) -> str:
    if not revision:
        raise Failed(f"{backup} is of no migrated database.")
    return revision


def _all(folder: Path) -> list[Path]:
    return sorted([*folder.glob("dispatch-*.db"), *folder.glob("dispatch-*.dump")])


def _file(url: str) -> str:
    path = url.removeprefix(_SQLITE).partition("?")[0]
    if not Path(path).exists():
        raise Failed(f"there is no database {path}.")
    return path


def _run(*command: str, url: str, name: str | None = None, by: str = "--dbname") -> str:
    """Run a program of PostgreSQL against ``url``, or its database ``name``; return its words."""
    found = _POSTGRES.fullmatch(url)
    if found is None:
        raise Failed("DATABASE_URL is not set, or is no address of a database.")
    user = f"{found['user']}@" if found["user"] else ""
    address = f"postgresql://{user}{found['hosts']}/{name or found['name']}{found['rest'] or ''}"
    password = {"PGPASSWORD": unquote(found["password"])} if found["password"] else {}
    done = subprocess.run(
        [command[0], f"{by}={address}", *command[1:]],
        env={**os.environ, **password}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failed(f"{command[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()
