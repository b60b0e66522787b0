"""The phone page: one page, no build step, nothing from elsewhere."""

from __future__ import annotations

from flask import Flask, Response, render_template, request

from .core import Sandbox

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob: http: https:; media-src 'self' http: https:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def register(app: Flask, box: Sandbox) -> None:
    """Add the page and the headers that keep it to itself."""

    @app.get("/")
    def phone_page() -> str:
        return render_template("phone.html", app_url=box.settings.app_url)

    @app.get("/healthz")
    def health() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @app.after_request
    def guard(response: Response) -> Response:
        if request.path == "/" or request.path.startswith("/static/"):
            response.headers["Content-Security-Policy"] = POLICY
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["Cache-Control"] = "no-cache"
        return response
