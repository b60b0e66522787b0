"""Clients, the people who work for them, and the keys of their systems."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from app.domain import mistakes, passwords
from app.domain.configuration.schema import SECTIONS
from app.domain.configuration.work import Scope, Work, given
from app.domain.editing import client_settings
from app.domain.editing.specs import ApiKeySpec, ClientSpec, SupportUserSpec, UserSpec
from app.domain.mistakes import Mistake, Refused
from app.extensions import current_settings
from app.models.base import new_id
from app.models.client import Client
from app.models.credential import ApiKey
from app.models.user import Membership, Role, User


def apply_client(work: Work, path: mistakes.Path, data: Any) -> Scope | None:
    """Create or update a client's own settings; its sections come afterwards."""
    if not isinstance(data, Mapping):
        work.add(Mistake(path, "A client must have a name and whatever else is to be set."))
        return None
    own = {name: value for name, value in data.items() if name not in SECTIONS}
    spec = _readable(work, path, own)
    scope = Scope(path, data)
    values = client_settings.columns(spec)
    scope.client = work.session.scalar(select(Client).filter_by(name=spec.name))
    if scope.client is None:
        values["owner_email"] = spec.owner_email or _owner(data)
        scope.client = work.create(Client(name=spec.name, **values))
        work.changed(scope, "create", f"client {spec.name}", [])
        return scope
    if "owner_email" in values:
        values["owner_email"] = spec.owner_email or _owner(data)
    if work.update(scope, f"client {spec.name}", scope.client, values):
        client_settings.let_batches_go_on(scope.client, values)
    return scope


def _readable(work: Work, path: mistakes.Path, data: dict[str, Any]) -> ClientSpec:
    """Read a client's settings; what is wrong is noted and left out, so that the rest is checked.

    Nothing is kept of a run with a mistake, so a client without a name may have any.
    """
    try:
        return mistakes.parse(ClientSpec, data)
    except Refused as refused:
        for mistake in refused.mistakes:
            close = mistakes.unknown_key(str(mistake.path[0]), ClientSpec.model_fields | SECTIONS)
            unknown = mistake.code == "extra_forbidden" and len(mistake.path) == 1
            message = close if unknown else mistake.message
            work.add(Mistake((*path, *mistake.path), message, mistake.code))
        wrong = {mistake.path[0] for mistake in refused.mistakes}
        rest = {name: value for name, value in data.items() if name not in wrong}
        return mistakes.parse(ClientSpec, {"name": new_id()} | rest)


def _owner(data: Mapping[str, Any]) -> str:
    """Return whom to write to where the file does not say: the first owner, or else support."""
    users = data.get("users")
    for user in users if isinstance(users, list) else []:
        if isinstance(user, Mapping) and user.get("role") == Role.OWNER and user.get("email"):
            return str(user["email"])[:254]
    return current_settings().support_email


def support_users(work: Work, house: Scope) -> None:
    """Create the people of Dispatch Support."""
    for path, spec in work.items(house, "support_users", SupportUserSpec):
        with work.at(house, path):
            user = _user(work, house, spec, is_support=True)
            work.update(house, f"support user {user.email}", user, {"is_support": True})


def users(work: Work, scope: Scope) -> None:
    """Create the people who work for the client, and set their roles."""
    for path, spec in work.items(scope, "users", UserSpec):
        with work.at(scope, path):
            user = _user(work, scope, spec)
            target = f"user {user.email}"
            key = {"user_id": user.id, "client_id": scope.client_id}
            membership = work.session.get(Membership, key)
            if membership is None:
                work.create(Membership(**key, role=spec.role))
                work.changed(scope, "create", target, [f"role {spec.role}"])
            elif "role" in spec.model_fields_set:
                work.update(scope, target, membership, {"role": spec.role})


def _user(work: Work, scope: Scope, spec: SupportUserSpec, is_support: bool = False) -> User:
    """Return the person, made if need be. A password is set at creation only."""
    email = spec.email.lower()
    user = work.session.scalar(select(User).filter_by(email=email))
    if user is not None:
        return user
    hashed = passwords.hash_password(spec.password) if spec.password else None
    user = work.create(User(email=email, password_hash=hashed, is_support=is_support))
    if is_support:
        work.changed(scope, "create", f"support user {email}", [])
    if hashed is None:
        work.notes.append(f"! {email} has no password yet: `flask user add {email}` sets one.")
    return user


def api_keys(work: Work, scope: Scope) -> None:
    """Accept the keys of the client's systems; only their SHA-256 is kept."""
    for path, spec in work.items(scope, "api_keys", ApiKeySpec):
        with work.at(scope, path):
            digest = hashlib.sha256(spec.key.encode()).hexdigest()
            key = work.session.scalar(
                select(ApiKey).filter_by(client_id=scope.client_id, label=spec.label)
            )
            _refuse_taken(work, digest, key)
            values = {"key_sha256": digest, "scope": spec.scope, "expires_at": spec.expires_at}
            target = f"API key {spec.label}"
            if key is None:
                work.create(ApiKey(client_id=scope.client_id, label=spec.label, **values))
                work.changed(scope, "create", target, [])
            elif key.revoked_at is not None and key.key_sha256 == digest:
                work.note(scope, f"{target} was revoked and stays so; give it another key.")
            else:
                names = given(spec) | {"key_sha256"}
                if key.key_sha256 != digest:
                    values["revoked_at"] = None
                    names.add("revoked_at")
                work.update(scope, target, key, {k: v for k, v in values.items() if k in names})


def _refuse_taken(work: Work, digest: str, key: ApiKey | None) -> None:
    other = work.session.scalar(select(ApiKey).filter_by(key_sha256=digest))
    if other is not None and other is not key:
        raise Refused.because("This key is in use under another label; make a new one.", "key")
