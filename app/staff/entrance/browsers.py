"""Browsers that have signed in before: each keeps its own allowance of failed tries."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, after_this_request, request
from itsdangerous import BadData, URLSafeTimedSerializer

from app.extensions import current_settings
from app.models.base import new_id

LASTS = timedelta(days=365)
ACCOUNTS = 20
"""How many accounts one browser is known for: the latest."""


def known_for(user_id: str) -> str | None:
    """Return the browser's id, if this account has been signed in to from it."""
    browser, users = _read()
    return browser if user_id in users else None


def remember(user_id: str) -> None:
    """Have the browser keep, by a cookie of the current answer, that the person signed in."""
    browser, users = _read()
    users = [user_id, *[one for one in users if one != user_id]][:ACCOUNTS]
    value = _serializer().dumps([browser, users])

    @after_this_request
    def _keep(response: Response) -> Response:
        response.set_cookie(
            _name(), value, max_age=LASTS, httponly=True, secure=_is_secure(), samesite="Lax"
        )
        return response


def _read() -> tuple[str, list[str]]:
    try:
        browser, users = _serializer().loads(
            request.cookies.get(_name(), ""), max_age=int(LASTS.total_seconds())
        )
    except BadData:
        return new_id(), []
    return browser, users


def _name() -> str:
    return f"{'__Host-' if _is_secure() else ''}dispatch_browser"


def _is_secure() -> bool:
    return current_settings().public_base_url.startswith("https://")


def _serializer() -> URLSafeTimedSerializer:
    settings = current_settings()
    keys = [*reversed(settings.secret_key_fallbacks), settings.secret_key]
    return URLSafeTimedSerializer(keys, salt="dispatch-browser")
