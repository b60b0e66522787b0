"""What operators and their machines ask: is the process alive, can it do its work?"""

from __future__ import annotations

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Response, current_app, jsonify
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db, redis_client

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that the process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Say whether the database is there and migrated; report Redis, which is not needed."""
    database = _database()
    ready = database == "ok"
    answer = jsonify(status="ok" if ready else "failing", database=database, redis=_redis())
    return answer, 200 if ready else 503


def _database() -> str:
    try:
        context = MigrationContext.configure(db.session.connection())
        current = set(context.get_current_heads())
    except SQLAlchemyError:
        return "unreachable"
    return "ok" if current == _expected_heads() else "not migrated: run flask db upgrade"


def _expected_heads() -> set[str]:
    heads: set[str] | None = current_app.extensions.get("migration_heads")
    if heads is None:
        folder = str(current_app.extensions["migrate"].directory)
        heads = set(ScriptDirectory(folder).get_heads())
        current_app.extensions["migration_heads"] = heads
    return heads


def _redis() -> str:
    try:
        redis_client().ping()
    except RedisError:
        return "unreachable"
    return "ok"
