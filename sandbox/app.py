"""The Flask application of the sandbox: REST API, control, endpoint, page."""

from __future__ import annotations

from flask import Flask

from . import control, endpoint, pages, rest
from .core import Sandbox

MAX_UPLOAD = 8 * 1024 * 1024


def create_app(box: Sandbox) -> Flask:
    """Put the parts together."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_UPLOAD
    rest.register(app, box)
    control.register(app, box)
    endpoint.register(app, box)
    pages.register(app, box)
    return app
