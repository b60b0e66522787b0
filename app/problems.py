"""Errors as programs read them: RFC 9457 problem details, and never a traceback."""

from __future__ import annotations

import sqlite3

import structlog
from flask import Flask, Response, json
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import HTTPException

log = structlog.get_logger(__name__)

COLLISION = (
    "Somebody else changed the same thing at the same moment. Nothing was saved: look at it again,"
    " and repeat what is still to be done."
)
_UNIQUE_OR_GONE = ("23505", "23503")
"""PostgreSQL's codes for a key that is there already, and for one that is no more."""
_SQLITE_UNIQUE_OR_GONE = (
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
)


def collides(error: IntegrityError) -> bool:
    """Tell whether two did the same, or opposite things, at once: each had looked before.

    What a constraint refuses otherwise is a defect of ours.
    """
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", None) in _SQLITE_UNIQUE_OR_GONE
    return getattr(error.orig, "sqlstate", None) in _UNIQUE_OR_GONE


def problem(status: int, title: str, detail: str, **more: object) -> Response:
    """Make an answer of type ``application/problem+json``."""
    body = {"type": "about:blank", "status": status, "title": title, "detail": detail, **more}
    return Response(json.dumps(body), status, content_type="application/problem+json")


def init_app(app: Flask) -> None:
    """Answer every error of ``app`` that a blueprint does not answer itself."""
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(IntegrityError, _collision)
    app.register_error_handler(Exception, _failure)


def http_error(error: HTTPException) -> Response:
    """Say in problem details what was wrong with a request."""
    answer = problem(error.code or 500, error.name, error.description or error.name)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return answer


def _collision(error: IntegrityError) -> Response:
    if not collides(error):
        return _failure(error)
    log.info("two at once", error=type(error.orig).__name__)
    return problem(409, "Conflict", COLLISION)


def _failure(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return problem(
        500, "Internal Server Error", "Something failed on our side; it has been logged."
    )
