"""SQLite as several writing processes need it: begun by ourselves, one writer after the other."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import time
from typing import Final, cast

from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

BUSY_MS: Final = 10_000
IMMEDIATE: Final = "dispatch_begin_immediate"
"""The execution option of a transaction that writes."""
NO_BEGIN: Final = "dispatch_no_begin"
"""That of a look at the database which needs no transaction."""


def _take_write_lock(connection: Connection) -> None:
    """Begin a transaction that writes, as soon as the one before it has ended.

    SQLite itself looks again after 1, 2, 5, … and at last 100 ms, and so passes over whoever has
    waited longest: a busy writer's pauses are shorter. Here they look more often the longer they
    have waited, and soon from the start: a transaction is over in a millisecond. Of the threads of
    a process one looks, and the others wait for it. They look past SQLAlchemy, to which each vain
    look would be an error with all that belongs to one.

    :raises sqlalchemy.exc.OperationalError: when the lock was not free for ``BUSY_MS``.
    """
    began = time.monotonic()
    file = cast(sqlite3.Connection, connection.connection.driver_connection)
    file.execute("PRAGMA busy_timeout = 0")
    turn, has_turn = _looking, False
    try:
        has_turn = turn.acquire(timeout=BUSY_MS / 1000)
        while (waited := time.monotonic() - began) < BUSY_MS / 1000:
            try:
                file.execute(_BEGIN)
            except sqlite3.Error as error:
                if "locked" not in str(error):
                    break
            else:
                return
            time.sleep(max(_SHORTEST_PAUSE, _FIRST_PAUSE / (1 + waited / _HALVED_AFTER)))
        connection.exec_driver_sql(_BEGIN)  # what it raises is SQLAlchemy's
    finally:
        if has_turn:
            turn.release()
        file.execute(f"PRAGMA busy_timeout = {BUSY_MS}")


_looking = threading.Lock()


def _look_anew() -> None:
    """Begin with a lock that nobody has: a thread that had it does not survive a fork."""
    global _looking
    _looking = threading.Lock()


os.register_at_fork(after_in_child=_look_anew)

_BEGIN = "BEGIN IMMEDIATE"
_FIRST_PAUSE = 0.0005
"""Seconds between the first looks for the write lock."""
_HALVED_AFTER = 0.005
"""Seconds of waiting after which the pause is half of that; after twice as many, a third."""
_SHORTEST_PAUSE = 0.0002


def _keep_private(connection: sqlite3.Connection) -> None:
    """Let nobody but our user read the database, whatever the umask, before anything is written.

    SQLite gives the files beside it the rights of the database.
    """
    (_, _, name), *_ = connection.execute("PRAGMA database_list")
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):  # -wal and -shm come and go
            found = os.stat(name + ending)
            if stat.S_IMODE(found.st_mode) & 0o177 and found.st_uid == os.geteuid():
                os.chmod(name + ending, 0o600)


def prepare(engine: Engine) -> None:
    """Let SQLite serve several writing processes: WAL, and transactions begun by ourselves.

    Each commit is synced to the disk (``synchronous = FULL``): what has been claimed, answered or
    acknowledged must still be known after a power failure.
    """

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        _keep_private(connection)
        for pragma in (
            f"busy_timeout = {BUSY_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get(NO_BEGIN):
            if options.get(IMMEDIATE):
                _take_write_lock(connection)
            else:
                connection.exec_driver_sql("BEGIN")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
