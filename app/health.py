"""What operators and their machines ask: is the process alive, can it do its work?"""

from __future__ import annotations

import hmac

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Response, abort, current_app, jsonify, redirect, request
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as WerkzeugResponse

from app import problems
from app.domain import metrics
from app.domain.restoring import hold
from app.extensions import current_settings, db, redis_client
from app.version import VERSION

blueprint = Blueprint("health", __name__)


@blueprint.get("/")
def front_door() -> WerkzeugResponse:
    """Lead whoever types the bare address to the pages of staff."""
    return redirect("/staff/")


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that the process answers, and which Dispatch it is."""
    return jsonify(status="ok", version=VERSION)


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Say whether the database is there and migrated; report Redis, which is not needed.

    Whether texts and calls go out is told as well: they are held where a backup was restored.
    """
    database = _database()
    ready = database == "ok"
    answer = jsonify(
        status="ok" if ready else "failing",
        database=database,
        redis=_redis(),
        sending=_sending() if ready else "unknown",
    )
    return answer, 200 if ready else 503


@blueprint.get("/metrics")
def show_metrics() -> Response:
    """Show figures in Prometheus's format to whoever has the token; without a token, to nobody."""
    token = current_settings().metrics_token
    if token is None:
        abort(404)
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        answer = problems.problem(
            401, "Unauthorized", "Send the value of METRICS_TOKEN as a bearer token."
        )
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    text, content_type = metrics.exposition()
    return Response(text, content_type=content_type)


def _database() -> str:
    try:
        context = MigrationContext.configure(db.session.connection())
        current = set(context.get_current_heads())
    except SQLAlchemyError:
        return "unreachable"
    return "ok" if current == _expected_heads() else "not migrated: run flask db upgrade"


def _sending() -> str:
    return "ok" if hold.state() is None else hold.HELD


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
