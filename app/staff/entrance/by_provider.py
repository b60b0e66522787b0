"""Signing in by a provider: there, back, and out when the provider says so.

The browser keeps, in its signed cookie, what its own sign-in began with; the state that comes back
must be among that, for that provider, and works once. What speaks to providers is loaded when
somebody first does so: it is slow to import.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta

import structlog
from flask import Response, abort, redirect, request, session, url_for
from limits import RateLimitItemPerMinute
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from app.domain import audit, limits, once
from app.domain.single_sign_on import arrivals
from app.domain.single_sign_on.arrivals import Welcomed
from app.domain.single_sign_on.failures import NotBelieved, NotForThem, ProviderAway, SignInFailed
from app.domain.single_sign_on.told import Arrival
from app.extensions import current_settings, unit_of_work
from app.models.base import utcnow
from app.staff.access import blueprint, own_path
from app.staff.entrance.opened import begin_session
from app.staff.entrance.sign_in import SignInForm, sign_in_page
from config import OidcProvider

log = structlog.get_logger(__name__)

BEGUN = "begun"
"""Where the cookie keeps what sign-ins of this browser began with."""
AT_ONCE = 3
"""Sign-ins that one browser may have begun: its tabs. A cookie has 4 kB: the oldest goes."""
LASTS = 600
"""Seconds that a person may take at the provider."""
TRIES = RateLimitItemPerMinute(60)
"""From one address; each makes us ask the provider."""
Answer = BaseResponse | tuple[str, int]
Page = tuple[str, int]


@blueprint.get("/login/oidc/<name>")
def to_provider(name: str) -> Answer:
    """Send the browser to a provider."""
    from app.domain.single_sign_on import exchange

    provider = _provider(name)
    _slowly()
    try:
        started = exchange.start(provider)
    except SignInFailed as failed:
        return _failed(provider, failed)
    kept = [started.state, provider.name, started.nonce, started.verifier]
    wanted = own_path(request.args.get("next")) or ""
    before = session.get(BEGUN, [])[-(AT_ONCE - 1) :]
    session[BEGUN] = [*before, [*kept, wanted[:300], int(time.time())]]
    return redirect(started.url)


@blueprint.get("/login/oidc/<name>/callback")
def from_provider(name: str) -> Answer:
    """Take in who comes back from a provider."""
    from app.domain.single_sign_on import exchange

    provider = _provider(name)
    _slowly()
    try:
        nonce, verifier, wanted = _begun(provider)
        arrival = exchange.finish(provider, request.args, nonce, verifier)
        welcomed = _welcome(arrival)
    except SignInFailed as failed:
        return _failed(provider, failed)
    action = f"sign in by {provider.name}"
    begin_session(welcomed.user, action, welcomed.identity.id, arrival.session)
    return redirect(wanted or url_for("staff.start"))


@blueprint.post("/login/oidc/<name>/logout")
def provider_logout(name: str) -> Response:
    """End the sessions that a provider says have ended (OpenID Connect Back-Channel Logout)."""
    from app.domain.single_sign_on import tokens

    provider = _named(name)
    if provider is None:
        return _heard(400, "invalid_request")
    try:
        logout = tokens.logout(provider, request.form.get("logout_token"))
    except ProviderAway as away:
        log.warning("a logout cannot be judged", provider=provider.name, reason=away.reason)
        return _heard(503, "temporarily_unavailable")
    except NotBelieved as failed:
        log.warning("a logout is not believed", provider=provider.name, reason=failed.reason)
        return _heard(400, "invalid_request")
    with unit_of_work() as writing:
        is_new = once.use(writing, f"logout {provider.issuer}", logout.token, logout.ends_at)
        ended = arrivals.end(writing, provider, logout) if is_new else 0
    if not is_new:
        log.warning("a logout is told again", provider=provider.name)
        return _heard(400, "invalid_request")
    log.info("a provider ended sessions", provider=provider.name, count=ended)
    return _heard(200, None)


def _begun(provider: OidcProvider) -> tuple[str, str, str]:
    """Return nonce, verifier and wanted page of the sign-in that comes back, and use it up.

    :raises NotBelieved: when this browser has begun none of that state with that provider, when it
        took too long, or when it has come back before.
    """
    state, oldest = request.args.get("state", ""), time.time() - LASTS
    begun = session.get(BEGUN, [])
    found = next((one for one in begun if one[0] == state), None)
    if found is None or found[5] < oldest:
        raise NotBelieved(provider.name, "this browser has not begun it, or too long ago")
    session[BEGUN] = [one for one in begun if one is not found and one[5] >= oldest]
    with unit_of_work() as writing:
        until = utcnow() + timedelta(seconds=LASTS)
        is_new = once.use(writing, "state", state, until)
    if not is_new:
        raise NotBelieved(provider.name, "it has come back before")
    _, name, nonce, verifier, wanted, _ = found
    if name != provider.name:  # mixed up: RFC 9700, 4.4.2
        raise NotBelieved(provider.name, f"it was begun with {name}")
    return nonce, verifier, wanted


def _welcome(arrival: Arrival) -> Welcomed:
    try:
        welcomed = _settle(arrival)
    except IntegrityError:  # the same person arrives twice at once, for the first time
        welcomed = _settle(arrival)
    if isinstance(welcomed, NotForThem):
        _note(arrival)
        raise welcomed
    return welcomed


def _note(arrival: Arrival) -> None:
    """Put into the audit trail that somebody was turned away whom the provider had signed in."""
    email = arrival.email if arrival.email_verified else None
    who = email if email and email.isprintable() else "an unknown person"
    words = f"by {arrival.provider.name} from {request.remote_addr or ''}"
    with unit_of_work() as writing:
        audit.record(writing, who, "fail to sign in", words, None)


def _settle(arrival: Arrival) -> Welcomed | NotForThem:
    with unit_of_work() as writing:
        return arrivals.welcome(writing, arrival)


def _failed(provider: OidcProvider, failed: SignInFailed) -> Page:
    log.warning("a sign-in failed", provider=provider.name, reason=failed.reason)
    sentence = f"{failed.sentence} {_what_to_do(failed)}".strip()
    return sign_in_page(SignInForm(formdata=None), sentence, failed.status)


def _what_to_do(failed: SignInFailed) -> str:
    if isinstance(failed, ProviderAway):
        return "Try again in a few minutes, or sign in another way."
    return "" if isinstance(failed, NotForThem) else "Begin again on this page."


def _named(name: str) -> OidcProvider | None:
    return next((one for one in current_settings().oidc_providers if one.name == name), None)


def _provider(name: str) -> OidcProvider:
    found = _named(name)
    if found is None:
        abort(404, "Nobody signs people in by that name. Begin on the sign-in page.")
    return found


def _slowly() -> None:
    if limits.hit(TRIES, "oidc", request.remote_addr or "") is not None:
        abort(429, "Too many sign-ins were begun from here. Wait a minute, then try again.")


def _heard(status: int, error: str | None) -> Response:
    """Answer a provider as Back-Channel Logout, 2.8 has it."""
    body = {"error": error} if error else {}
    answer = Response(json.dumps(body), status, mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer
