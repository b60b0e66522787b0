"""The mark: how far sending has got, noted where no backup of the database reaches.

It stands in a file beside the instance and in Redis, by installation, and names for each process
that sends how often it has claimed messages. Each machine has a file of its own; Redis knows all.
Either may get lost: what the other one has is enough.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import structlog
from redis import RedisError

from app.extensions import current_settings, redis_client

log = structlog.get_logger(__name__)

MOST = 64
"""Processes whose marks are kept, the latest: a database older than one that has gone since lacks
the later ones too."""
REDIS_PAUSE = 10.0
"""Seconds for which Redis is left alone after it has failed, as long as the file can be written."""

Counts = Mapping[str, int]
_left_alone = {"until": 0.0}


def read(installation_id: str) -> dict[str, int]:
    """Return what is noted about an installation, by process: the highest of what both know."""
    known = _in_file(installation_id)
    for holder, number in _in_redis(installation_id).items():
        known[holder] = max(number, known.get(holder, 0))
    return known


def write(installation_id: str, counts: Counts) -> None:
    """Note how often processes have claimed, before anything of that is posted.

    Nothing is thrown: who cannot write either goes on sending, and says so in the log; the doctor
    tells as well.
    """
    written = _to_file(installation_id, counts)
    if written and time.monotonic() < _left_alone["until"]:
        return
    try:
        _to_redis(installation_id, counts)
    except RedisError as error:
        _left_alone["until"] = time.monotonic() + REDIS_PAUSE
        if not written:
            log.error("no restore could be noticed now: no mark can be written", error=str(error))


def trouble(installation_id: str | None) -> str | None:
    """Return what keeps this machine's mark from being written, in a sentence; None if nothing."""
    if installation_id is None or _to_file(installation_id, {}):
        return None
    path = file_of(installation_id)
    return (
        f"{path} cannot be written: a restored backup may go unnoticed when Redis is flushed. Make"
        " its folder writable, or set INSTANCE_FOLDER to one that is and that lasts."
    )


def forget_old(installation_id: str) -> None:
    """Leave only the latest marks in Redis; one of a process that still runs comes again."""
    client, key = redis_client(), _key(installation_id)
    with contextlib.suppress(RedisError):
        oldest = sorted(client.hkeys(key))[:-MOST]  # their names begin with the time of their start
        if oldest:
            client.hdel(key, *oldest)


def file_of(installation_id: str) -> Path:
    """Return where this machine's marks of an installation stand."""
    return current_settings().instance / f"sending-{installation_id}.json"


def _in_file(installation_id: str) -> dict[str, int]:
    try:
        with file_of(installation_id).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return _parse(file.read())
    except OSError:
        return {}


def _to_file(installation_id: str, counts: Counts) -> bool:
    try:
        with _open_alone(file_of(installation_id)) as file:
            before = file.read()
            known = _parse(before)
            for holder, number in counts.items():
                known[holder] = max(number, known.pop(holder, 0))  # the latest stand last
            latest = dict(list(known.items())[-MOST:])
            # One write, never shorter than before: a process that dies leaves a whole file.
            os.pwrite(file.fileno(), json.dumps(latest).encode().ljust(len(before)), 0)
    except OSError as error:
        log.warning("the mark cannot be written to its file", error=str(error))
        return False
    return True


@contextmanager
def _open_alone(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _parse(content: bytes) -> dict[str, int]:
    """Return what a file says; one that was cut off by a loss of power says nothing."""
    try:
        found = json.loads(content)
        return {str(holder): int(number) for holder, number in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _key(installation_id: str) -> str:
    return f"dispatch:sending:{installation_id}"


def _in_redis(installation_id: str) -> dict[str, int]:
    try:
        found = redis_client().hgetall(_key(installation_id))
    except RedisError:
        return {}
    return {_text(holder): int(number) for holder, number in found.items()}


def _to_redis(installation_id: str, counts: Counts) -> None:
    redis_client().hset(_key(installation_id), mapping=dict(counts))  # type: ignore[arg-type]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
