"""Links by which a person chooses a password: signed, good for a while, and used up by their use.

A link is written into its mail when that is sent, from what the delivery knows about it: whoever
reads the database finds no link that opens an account.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from app.extensions import current_settings
from app.models.base import utcnow
from app.models.user import User

INVITATION_LASTS = timedelta(days=7)
RESET_LASTS = timedelta(hours=1)
PLACE = "(the link is written here when the mail is sent)"
"""Stands in the mail where the link will be."""


def of(user: User, lasts: timedelta) -> dict[str, Any]:
    """Return what a delivery knows of a link; it ends with ``lasts``, or when it is used."""
    ends = utcnow() + lasts
    return {"user": user.id, "version": user.session_version, "ends": int(ends.timestamp())}


def fill(text: str, context: Mapping[str, Any]) -> str:
    """Write the link of a delivery into the text of its mail."""
    link = context.get("link")
    return text.replace(PLACE, _url(link)) if link else text


def read(token: str) -> tuple[str, int] | None:
    """Return the person of a link and the version for which it is good; None when it is over."""
    try:
        user_id, version, ends = _serializer().loads(token)
    except (BadData, ValueError, TypeError):
        return None
    if utcnow() >= datetime.fromtimestamp(ends, UTC):
        return None
    return user_id, version


def _url(link: Mapping[str, Any]) -> str:
    token = _serializer().dumps([link["user"], link["version"], link["ends"]])
    return f"{current_settings().public_base_url}/staff/invitation/{token}"


def _serializer() -> URLSafeSerializer:
    settings = current_settings()
    keys = [*reversed(settings.secret_key_fallbacks), settings.secret_key]  # the last one signs
    return URLSafeSerializer(keys, salt="dispatch-sign-in-link")
