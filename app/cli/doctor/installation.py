"""What the doctor looks at in our own house: database, Redis, workers, what is held."""

from __future__ import annotations

from collections.abc import Iterator

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from redis import Redis, RedisError, ResponseError
from sqlalchemy import select

from app.cli.doctor import clock
from app.cli.doctor.finding import Finding, bad, ok, warn
from app.domain import alive, aside, clocks
from app.domain.restoring import hold, marks
from app.extensions import current_settings, db, redis_client
from app.models.installation import Installation


def database() -> Iterator[Finding]:
    """Is it there, and migrated?"""
    heads = set(ScriptDirectory(str(current_app.extensions["migrate"].directory)).get_heads())
    current = set(MigrationContext.configure(db.session.connection()).get_current_heads())
    if current == heads:
        yield ok("database", f"migrated to {', '.join(sorted(heads))}.")
    else:
        found = ", ".join(sorted(current)) or "nothing"
        yield bad("database", f"it is at {found}; run: flask db upgrade")
    if not current_settings().is_sqlite:
        yield clock.judge("the database's clock", clocks.database(db.session()))
    elif not current_settings().is_development:
        yield ok("database", "it is SQLite: fine for one machine; use PostgreSQL for several.")
    db.session.rollback()


def redis() -> Iterator[Finding]:
    """Is it there, does it keep its data, and is there a worker for each queue?"""
    connection = redis_client()
    try:
        persistence = connection.info("persistence")
        memory = connection.info("memory")
    except RedisError as error:
        yield bad(
            "Redis",
            f"it cannot be reached ({error}): answers go on, sends and deliveries wait. See"
            " REDIS_URL.",
        )
        return
    kept = bool(persistence.get("aof_enabled")) or _snapshots(connection)
    if kept:
        yield ok("Redis", "it keeps its data on disk.")
    elif kept is None:
        yield warn("Redis", "it does not say whether it keeps its data on disk; ask its host.")
    else:
        yield warn(
            "Redis",
            "it keeps nothing on disk: after its restart the clock finds what is to be done"
            " again, seconds later. Better: appendonly yes.",
        )
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield warn(
            "Redis",
            f"it may throw jobs away ({policy}), which the clock finds again; better:"
            " maxmemory-policy noeviction.",
        )
    yield from _processes()


def _snapshots(connection: Redis) -> bool | None:
    """Tell whether Redis writes snapshots; None where its host does not let us ask."""
    try:
        return bool(connection.config_get("save").get("save"))
    except ResponseError:
        return None


def _processes() -> Iterator[Finding]:
    for name, is_there in alive.processes(redis_client()).items():
        command = name.replace("-", " ")
        if is_there:
            yield ok("processes", f"there is a {name}.")
        else:
            yield bad("processes", f"there is no {name}; start: flask {command}")


def sending() -> Iterator[Finding]:
    """Is anything held, and would a restored backup be noticed?"""
    held = hold.state()
    if held is None:
        yield ok("sending", "nothing is held.")
    else:
        yield bad("sending", held.sentence)
    if problem := marks.trouble(db.session.scalar(select(Installation.id))):
        yield bad("restores", problem)
    else:
        yield ok("restores", "the mark by which a restored backup is noticed can be written.")
    db.session.rollback()


def set_aside() -> Iterator[Finding]:
    """What has made a loop of ours raise?"""
    found = aside.current(db.session())
    for one in found:
        yield bad(
            "set aside",
            f"while {aside.LOOPS.get(one.loop, one.loop)}, “{one.name}” raised {one.reason}"
            f" ({one.times} times since {one.since:%Y-%m-%d %H:%M} UTC); the log says more.",
        )
    if not found:
        yield ok("set aside", "nothing is left out by any loop.")
    db.session.rollback()
