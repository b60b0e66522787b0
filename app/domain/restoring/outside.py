"""What is kept where no backup of the database reaches: which erasures there were.

As the mark of sending (:mod:`app.domain.restoring.marks`) it stands in a file beside the instance
and in Redis; either may get lost. Of a person there is only a digest with the secret key: it tells
nothing to whoever finds the file, and enough to whoever holds a restored database to find them.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from redis import RedisError

from app.extensions import current_settings, redis_client

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Noted:
    """An erasure as it is noted."""

    id: str
    client_id: str
    digest: str
    at: str
    """ISO 8601, UTC: what is older goes."""


def read(installation_id: str) -> dict[str, Noted]:
    """Return the erasures that are noted about an installation, by id."""
    return {**_in_redis(installation_id), **_in_file(installation_id)}


def write(installation_id: str, erasures: Iterable[Noted], oldest: str) -> bool:
    """Note erasures, each once; return whether the file or Redis has them.

    :param oldest: the id (its beginning is its time) before which none is kept any longer.
    """
    lines = {one.id: json.dumps(asdict(one)) for one in erasures}
    return any(
        [_to_file(installation_id, lines, oldest), _to_redis(installation_id, lines, oldest)]
    )


def file_of(installation_id: str) -> Path:
    """Return where this machine's notes of an installation stand."""
    return current_settings().instance / f"erased-{installation_id}.jsonl"


def _in_file(installation_id: str) -> dict[str, Noted]:
    try:
        with file_of(installation_id).open("r", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return _parsed(file)
    except OSError:
        return {}


def _in_redis(installation_id: str) -> dict[str, Noted]:
    try:
        found = redis_client().hvals(_key(installation_id))
    except RedisError:
        return {}
    return _parsed(one.decode() if isinstance(one, bytes) else one for one in found)


def _parsed(lines: Iterable[str]) -> dict[str, Noted]:
    """Read lines; one that was cut off by a loss of power says nothing."""
    found = {}
    for line in lines:
        try:
            noted = Noted(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[noted.id] = noted
    return found


def _to_file(installation_id: str, lines: Mapping[str, str], oldest: str) -> bool:
    """Write a whole new file beside the old one and put it in its place, once it is on the disk."""
    path = file_of(installation_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "rb") as alone:
            fcntl.flock(alone, fcntl.LOCK_EX)
            known = {one.id: json.dumps(asdict(one)) for one in _in_file(installation_id).values()}
            kept = {id_: line for id_, line in {**known, **lines}.items() if id_ >= oldest}
            new = path.with_suffix(".new")
            number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in kept.values())
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
    except OSError as error:
        log.warning("an erasure cannot be noted in its file", error=str(error))
        return False
    return True


def _to_redis(installation_id: str, lines: Mapping[str, str], oldest: str) -> bool:
    client, key = redis_client(), _key(installation_id)
    try:
        if lines:
            client.hset(key, mapping=dict(lines))  # type: ignore[arg-type]
        names = (one.decode() if isinstance(one, bytes) else one for one in client.hkeys(key))
        if too_old := [one for one in names if one < oldest]:
            client.hdel(key, *too_old)
    except RedisError:
        return False
    return True


def _key(installation_id: str) -> str:
    return f"dispatch:erased:{installation_id}"
