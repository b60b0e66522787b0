"""Endpoints: whom your systems' addresses are, how well it goes, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import deletion, mistakes
from app.domain.mistakes import Refused
from app.domain.relaying import deliveries, endpoints, health, webhooks
from app.domain.relaying.deliveries import Range
from app.domain.relaying.webhooks import EndpointSpec
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.endpoint import DisabledReason, Endpoint, EndpointKind
from app.staff import listing, own
from app.staff.access import client_blueprint, require_owner, say

PAGE = 50
KINDS = {
    EndpointKind.WEBHOOK: "Your systems, signed",
    EndpointKind.PLAIN: "Plain web addresses",
    EndpointKind.EMAIL: "E-mail addresses",
}
REASONS = {
    DisabledReason.GONE: "It answered that it is gone for good (410).",
    DisabledReason.FAILING: "It has failed for days.",
    DisabledReason.STAFF: "Somebody disabled it.",
}


@client_blueprint.get("/endpoints", endpoint="endpoints")
def list_of_endpoints() -> str:
    """List the endpoints with their health."""
    return _list([])


@client_blueprint.post("/endpoints")
def endpoint_new() -> str | tuple[str, int]:
    """Set up an endpoint and show its secret, this once."""
    typed = {name: request.form.get(name, "").strip() for name in ("name", "url")}
    try:
        with unit_of_work() as session:
            spec = mistakes.parse(EndpointSpec, typed)
            made, secret = webhooks.save(session, g.client.id, spec, None, current_user.email)
    except Refused as refused:
        return _list(own.sentences(refused)), 422
    return _secret_page(made.row, secret or "", "is set up")


@client_blueprint.get("/endpoints/<endpoint_id>")
def endpoint(endpoint_id: str) -> str:
    """Show one endpoint."""
    return _page(_find(endpoint_id), [])


@client_blueprint.post("/endpoints/<endpoint_id>/url")
def endpoint_url(endpoint_id: str) -> str | Response | tuple[str, int]:
    """Change where a webhook is told."""
    found = _find(endpoint_id)
    typed = request.form.get("url", "").strip()
    if webhooks.leaves(found, typed):
        require_owner()
    try:
        with unit_of_work() as session:
            fresh = session.get_one(Endpoint, found.id)
            if fresh.kind is not EndpointKind.WEBHOOK:
                raise Refused.because("This address is changed where it is used.", "url")
            secret = webhooks.move(session, fresh, typed, current_user.email)
    except Refused as refused:
        return _page(found, own.sentences(refused)), 422
    if secret is not None:
        wake("relay")
        return _secret_page(
            found, secret, "has moved and has a new secret. It waits until a test has been taken"
        )
    say("Saved. Send a test to see whether it answers.")
    return _back(found)


@client_blueprint.post("/endpoints/<endpoint_id>/ping")
def endpoint_ping(endpoint_id: str) -> Response:
    """Send a test and show how it goes."""
    found = _find(endpoint_id)
    with unit_of_work() as session:
        fresh = session.get_one(Endpoint, found.id)
        delivery = endpoints.ping(session, fresh, current_user.email)
    wake("relay")
    return redirect(url_for("client.delivery", delivery_id=delivery.id))


@client_blueprint.post("/endpoints/<endpoint_id>/secret")
def endpoint_secret(endpoint_id: str) -> str | Response:
    """Give a webhook a new secret and show it, this once."""
    require_owner()
    found = _find(endpoint_id)
    try:
        with unit_of_work() as session:
            fresh = session.get_one(Endpoint, found.id)
            secret = endpoints.rotate_secret(session, fresh, current_user.email)
    except Refused as refused:
        say(str(refused), "bad")
        return _back(found)
    return _secret_page(found, secret, "has a new secret. The old one signs too for 24 hours")


@client_blueprint.post("/endpoints/<endpoint_id>/<action>")
def endpoint_act(endpoint_id: str, action: str) -> Response:
    """Pause, resume, enable or disable an endpoint, or end the overlap of two secrets."""
    found = _find(endpoint_id)
    act = ACTIONS.get(action)
    try:
        if act is None:
            raise Refused.because("There is no such thing to do with an endpoint.")
        with unit_of_work() as session:
            said = act(session, session.get_one(Endpoint, found.id), current_user.email)
    except Refused as refused:
        say(str(refused), "bad")
        return _back(found)
    wake("relay")
    say(said)
    return _back(found)


def _retire(session: Session, found: Endpoint, actor: str) -> str:
    require_owner()
    retired = endpoints.retire_old_secrets(session, found, actor)
    return "Only the new secret signs now." if retired else "There is no old secret any more."


def _pause(session: Session, found: Endpoint, actor: str) -> str:
    endpoints.pause(session, found, actor)
    return "Paused. What comes meanwhile waits."


def _resume(session: Session, found: Endpoint, actor: str) -> str:
    endpoints.resume(session, found, actor)
    return "It goes on; what waited goes out now."


def _disable(session: Session, found: Endpoint, actor: str) -> str:
    endpoints.disable(session, found, actor)
    return "Disabled. Everything for it is held until somebody enables it."


def _enable(session: Session, found: Endpoint, actor: str) -> str:
    send = request.form.get("held") != "drop"
    count = endpoints.enable(session, found, actor, send_held=send)
    if not count:
        return "Enabled."
    return f"Enabled. {count:,} held {'go out now' if send else 'were canceled'}."


ACTIONS: dict[str, Callable[[Session, Endpoint, str], str]] = {
    "pause": _pause,
    "resume": _resume,
    "disable": _disable,
    "enable": _enable,
    "retire": _retire,
}


@client_blueprint.route("/endpoints/<endpoint_id>/replay", methods=["GET", "POST"])
def endpoint_replay(endpoint_id: str) -> str | Response | tuple[str, int]:
    """Send a range of deliveries again, after having said how many that are."""
    found = _find(endpoint_id)
    if request.method == "GET":
        return _replay_page(found, None, [])
    try:
        wanted = Range(_time("since"), _time("until"), "everything" not in request.form)
        count = deliveries.count_replay(db.session(), found, wanted)
        if request.form.get("do") != "send":
            return _replay_page(found, count, [])
        with unit_of_work() as session:
            fresh = session.get_one(Endpoint, found.id)
            deliveries.replay(session, fresh, wanted, current_user.email, count)
    except Refused as refused:
        return _replay_page(found, None, own.sentences(refused)), 422
    wake("relay")
    say(f"{count:,} deliveries go out again.")
    return _back(found)


def _time(name: str) -> datetime:
    """Read a time that was typed in the client's zone.

    :raises Refused: when it is none.
    """
    typed = request.form.get(name, "")
    return own.typed_time(typed, name, "Choose both days and times.")


def _replay_page(found: Endpoint, count: int | None, wrong: list[str]) -> str:
    zone = ZoneInfo(g.client.time_zone)
    now = utcnow().astimezone(zone)
    return render_template(
        "staff/endpoint_replay.html",
        found=found,
        called=endpoints.called(found),
        count=count,
        wrong=wrong,
        since=request.form.get("since") or f"{now - timedelta(days=1):%Y-%m-%dT%H:%M}",
        until=request.form.get("until") or f"{now + timedelta(minutes=1):%Y-%m-%dT%H:%M}",
        everything="everything" in request.form,
    )


@client_blueprint.post("/endpoints/<endpoint_id>/delete")
def endpoint_delete(endpoint_id: str) -> Response:
    """Delete an endpoint that nothing uses."""
    found = _find(endpoint_id)
    return own.delete(
        found,
        url_for("client.endpoint", endpoint_id=found.id),
        url_for("client.endpoints"),
        endpoints.called(found),
    )


def _find(endpoint_id: str) -> Endpoint:
    return own.find(Endpoint, endpoint_id, "endpoint")


def _back(found: Endpoint) -> Response:
    return redirect(url_for("client.endpoint", endpoint_id=found.id))


def _secret_page(found: Endpoint, secret: str, what: str) -> str:
    return render_template(
        "staff/secret.html",
        title=found.name,
        said=f"“{found.name}” {what}.",
        label="Signing secret",
        secret=secret,
        hint="Your system checks with it that what it gets is from Dispatch (Standard Webhooks).",
        back=url_for("client.endpoint", endpoint_id=found.id),
    )


def _list(wrong: list[str]) -> str:
    session = db.session()
    page = _listed(session)
    groups = [(KINDS[kind], [one for one in page.rows if one.kind is kind]) for kind in KINDS]
    return render_template(
        "staff/endpoints.html",
        page=page,
        groups=groups,
        health=health.of_endpoints(session, [one.id for one in page.rows]),
        called=endpoints.called,
        wrong=wrong,
        typed=request.form,
    )


def _listed(session: Session) -> listing.Page[Endpoint]:
    """Return the client's systems first, and people last: each address of theirs is one."""
    after = None
    if before := request.args.get("before", ""):
        last = _find(before)
        after = (last.kind, last.id)
    query = select(Endpoint).where(Endpoint.client_id == g.client.id)
    return listing.page(session, query, (Endpoint.kind, Endpoint.id), after, size=PAGE)


def _page(found: Endpoint, wrong: list[str]) -> str:
    session = db.session()
    return render_template(
        "staff/endpoint.html",
        found=found,
        called=endpoints.called(found),
        kind=KINDS[found.kind],
        health=health.of_endpoints(session, [found.id])[found.id],
        reason=REASONS[found.disabled_reason] if found.disabled_reason else None,
        overlap=endpoints.overlap_until(session, found),
        uses=deletion.in_use(session, found),
        wrong=wrong,
        url=request.form.get("url", found.url),
    )
