"""Errors as programs read them: RFC 9457 problem details, and never a traceback."""

from __future__ import annotations

import structlog
from flask import Flask, Response, json
from werkzeug.exceptions import HTTPException

log = structlog.get_logger(__name__)


def problem(status: int, title: str, detail: str, **more: object) -> Response:
    """Make an answer of type ``application/problem+json``."""
    body = {"type": "about:blank", "status": status, "title": title, "detail": detail, **more}
    return Response(json.dumps(body), status, content_type="application/problem+json")


def init_app(app: Flask) -> None:
    """Answer every error of ``app`` that a blueprint does not answer itself."""
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, _failure)


def http_error(error: HTTPException) -> Response:
    """Say in problem details what was wrong with a request."""
    answer = problem(error.code or 500, error.name, error.description or error.name)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return answer


def _failure(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return problem(
        500, "Internal Server Error", "Something failed on our side; it has been logged."
    )
