"""Who calls: an API key in a header, or HTTP Basic with the client's name and the key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import request
from limits import RateLimitItemPerMinute
from sqlalchemy import or_, select, update

from app.api.problem import HttpProblem
from app.domain import limits
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.credential import ApiKey, Scope

HEADER = "x-dispatch-api-key"
FAILURES = RateLimitItemPerMinute(60)
LAST_USED_EVERY = timedelta(minutes=1)
_RANK = {scope: rank for rank, scope in enumerate(Scope)}
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="Dispatch", charset="UTF-8"'}


@dataclass(frozen=True)
class Caller:
    """The client system that calls. Plain values, which outlive the database session's objects."""

    client_id: str
    client_name: str
    key_id: str
    label: str
    scope: Scope

    @property
    def actor(self) -> str:
        """How the audit log and ``created_by`` columns name it."""
        return f"API key {self.label}"


def authenticate(needed: Scope) -> Caller:
    """Find out who calls and whether they may.

    :raises HttpProblem: 401 without a valid key, 403 when its scope does not reach, 429 after too
        many failures from one address or too many requests with one key.
    """
    now = utcnow()
    name, key = _presented()
    found = _look_up(key) if key else None
    reason = _why_not(found, name, now)
    if found is None or reason:
        raise _unauthorized(reason or "The API key is not valid.")
    api_key, client = found
    caller = Caller(client.id, client.name, api_key.id, api_key.label, api_key.scope)
    _limit(caller)
    if _RANK[caller.scope] < _RANK[needed]:
        raise HttpProblem(
            403,
            f"This needs an API key with the scope {needed.value}; the key {caller.label} has"
            f" {caller.scope.value}.",
        )
    if api_key.last_used_at is None or api_key.last_used_at <= now - LAST_USED_EVERY:
        _note_use(caller, now)
    return caller


def _presented() -> tuple[str | None, str | None]:
    """Return the client's name (Basic only) and the key."""
    key = request.headers.get(HEADER)
    if key is not None:
        return None, key.strip()
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        _refuse_other_sites()
        return basic.username or "", basic.password
    return None, None


def _refuse_other_sites() -> None:
    """Refuse what a page of another site makes a browser send with a log-in that it remembers.

    Bodies are JSON whatever their Content-Type, so the browser would not ask first. Client systems
    send no such header; browsers always do.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin"):
        raise HttpProblem(403, "A page of another site cannot use this log-in.")


def _look_up(key: str) -> tuple[ApiKey, Client] | None:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    row = db.session.execute(
        select(ApiKey, Client)
        .join(Client, Client.id == ApiKey.client_id)
        .where(ApiKey.key_sha256 == digest)
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def _why_not(found: tuple[ApiKey, Client] | None, name: str | None, now: datetime) -> str | None:
    if found is None:
        return (
            f"Send a valid API key in the header {HEADER}, or by HTTP Basic with the client's name"
            " and the key."
        )
    api_key, client = found
    if name is not None and name != client.name:
        return "The client's name does not match the API key."
    if api_key.revoked_at is not None:
        return "The API key has been revoked."
    if api_key.expires_at is not None and api_key.expires_at <= now:
        return "The API key has expired; ask an owner of the client for a new one."
    return None


def _unauthorized(reason: str) -> HttpProblem:
    wait = limits.hit(FAILURES, "api-failure", request.remote_addr or "")
    if wait is None:
        return HttpProblem(401, reason, headers=dict(_CHALLENGE))
    return _slow_down("There were too many requests without a valid API key.", wait)


def _limit(caller: Caller) -> None:
    allowed = current_settings().api_requests_per_minute
    wait = limits.hit(RateLimitItemPerMinute(allowed), "api", caller.key_id)
    if wait is not None:
        raise _slow_down(f"The key {caller.label} may make {allowed} requests a minute.", wait)


def _slow_down(why: str, wait: int) -> HttpProblem:
    detail = f"{why} Try again in {wait} seconds."
    return HttpProblem(429, detail, headers={"Retry-After": str(wait)})


def _note_use(caller: Caller, now: datetime) -> None:
    with unit_of_work() as session:
        session.execute(
            update(ApiKey)
            .where(
                ApiKey.id == caller.key_id,
                or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= now - LAST_USED_EVERY),
            )
            .values(last_used_at=now)
            .execution_options(synchronize_session=False)
        )
