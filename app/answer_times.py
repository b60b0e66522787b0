"""How long what Twilio asks takes us, for operators' graphs."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from app.domain import metrics

TWILIO = "/inbound/"


def init_app(app: Flask) -> None:
    """Have the time of each request of Twilio's counted, by its route and status."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.begun = time.perf_counter()


def _end(response: Response) -> Response:
    if request.path.startswith(TWILIO):
        route = request.url_rule.rule if request.url_rule else "none"
        status = "failed" if g.get("failed") else f"{response.status_code // 100}xx"
        metrics.answers.labels(route, status).observe(time.perf_counter() - g.begun)
    return response
