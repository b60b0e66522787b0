"""API keys of a client's systems: made by owners, shown once, revoked for good."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.domain.clients import api_keys as keys
from app.domain.mistakes import Refused
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.credential import ApiKey, Scope
from app.staff import own
from app.staff.access import client_blueprint, require_owner, say

SCOPES = {
    Scope.READ: ("Read", "May look at everything, change nothing."),
    Scope.SEND: ("Send", "May also send, and change populations and suppression lists."),
    Scope.ADMIN: ("Everything", "May also change what numbers do."),
}


@client_blueprint.get("/keys", endpoint="api_keys")
def list_of_keys() -> str:
    """List the keys, without the keys themselves."""
    return _page([])


@client_blueprint.post("/keys")
def api_key_new() -> str | tuple[str, int]:
    """Make a key and show it, this once."""
    require_owner()
    try:
        expires_at = _expiry(request.form.get("expires", ""))
        with unit_of_work() as session:
            typed = {name: request.form.get(name, "") for name in ("label", "scope")}
            given = {**typed, "expires_at": expires_at}
            made, key = keys.make(session, g.client.id, given, current_user.email)
    except Refused as refused:
        return _page(own.sentences(refused)), 422
    return render_template(
        "staff/secret.html",
        title=made.label,
        said=f"The key “{made.label}” works from now on.",
        label="API key",
        secret=key,
        hint="Your system sends it as the header x-dispatch-api-key.",
        back=url_for("client.api_keys"),
    )


def _expiry(typed: str) -> datetime | None:
    """Return the end of the day that was typed, in the client's zone; None for no end.

    :raises Refused: when it is no day.
    """
    if not typed:
        return None
    day = own.typed_time(typed, "expires_at", "Choose a day in the years to come, or none at all.")
    return day + timedelta(days=1)


@client_blueprint.post("/keys/<key_id>/revoke")
def api_key_revoke(key_id: str) -> Response:
    """Revoke a key."""
    require_owner()
    found = own.find(ApiKey, key_id, "key")
    with unit_of_work() as session:
        keys.revoke(session, session.get_one(ApiKey, found.id), current_user.email)
    say(f"“{found.label}” opens nothing any more.")
    return redirect(url_for("client.api_keys"))


def _page(wrong: list[str]) -> str:
    found = db.session.scalars(
        select(ApiKey).where(ApiKey.client_id == g.client.id).order_by(ApiKey.label)
    ).all()
    return render_template(
        "staff/api_keys.html", keys=found, scopes=SCOPES, wrong=wrong, typed=request.form,
        now=utcnow(),
    )  # fmt: skip
