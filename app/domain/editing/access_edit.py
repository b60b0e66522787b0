"""What a client's systems log in with, and what it logs in with elsewhere: made and changed.

Secrets go in and never come out; an API key is shown once, when it is made.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit, mistakes, named
from app.domain.editing.specs import ApiKeySpec, CredentialSpec, SavedCredentialSpec
from app.domain.mistakes import Mistake, Refused
from app.models.base import utcnow
from app.models.credential import ApiKey, Credential, SavedCredential

KEY_BYTES = 32
_SECRETS = (
    "auth_token", "next_auth_token", "webhook_key", "next_webhook_key", "api_key_secret",
)  # fmt: skip


def make_api_key(
    session: Session,
    client_id: str,
    label: str,
    scope: str,
    expires_at: datetime | None,
    actor: str,
) -> tuple[ApiKey, str]:
    """Make an API key; return it with the key itself, which only its owner keeps.

    :raises Refused: when the label is empty or taken, or the time has passed.
    """
    key = secrets.token_urlsafe(KEY_BYTES)
    spec = mistakes.parse(
        ApiKeySpec, {"label": label, "key": key, "scope": scope, "expires_at": expires_at}
    )
    if expires_at is not None and expires_at <= utcnow():
        raise Refused.because("That day has passed; choose a later one.", "expires_at")
    taken = select(ApiKey.id).filter_by(client_id=client_id, label=spec.label)
    if session.scalar(taken) is not None:
        raise Refused.because(f"There is a key “{spec.label}” already.", "label")
    made = ApiKey(
        client_id=client_id, label=spec.label, scope=spec.scope, expires_at=spec.expires_at,
        key_sha256=hashlib.sha256(key.encode()).hexdigest(),
    )  # fmt: skip
    session.add(made)
    session.flush()
    details = {"scope": spec.scope.value}
    audit.record(session, actor, "create", f"API key {spec.label}", client_id, details)
    return made, key


def revoke_api_key(session: Session, key: ApiKey, actor: str) -> bool:
    """Let a key open nothing any more, for good; return whether it still did."""
    if key.revoked_at is not None:
        return False
    key.revoked_at = utcnow()
    audit.record(session, actor, "revoke", f"API key {key.label}", key.client_id)
    return True


def save_credential(
    session: Session,
    client_id: str,
    data: Mapping[str, Any],
    known: Credential | None,
    actor: str,
) -> Credential:
    """Write a Twilio account down. Of a known one, secrets that are not given stay.

    :param data: in the shape of the configuration file.
    :raises Refused: with everything that is wrong.
    """
    given = {name: value for name, value in data.items() if value not in ("", None)}
    if known is not None:
        kept = {name: getattr(known, name) for name in (*_SECRETS, "api_key_sid", "account_sid")}
        whole = {name: value for name, value in kept.items() if value is not None} | given
    else:
        whole = given
    spec = mistakes.parse(CredentialSpec, whole)
    taken = named.find(session, Credential, client_id, spec.name)
    if taken is not None and (known is None or taken.id != known.id):
        raise Refused.because(f"There is a credential “{spec.name}” already.", "name")
    if known is not None and spec.account_sid != known.account_sid:
        raise Refused([Mistake(("account_sid",), "The account stays; add another credential.")])
    values = spec.model_dump()
    if known is None:
        credential = Credential(client_id=client_id, **values)
        session.add(credential)
        changed = sorted(given)
    else:
        credential = known
        changed = [name for name, value in values.items() if getattr(known, name) != value]
        for name in changed:
            setattr(known, name, values[name])
    session.flush()
    if changed:
        action = "create" if known is None else "change"
        details = {"changed": changed}
        audit.record(session, actor, action, f"credential {spec.name}", client_id, details)
    return credential


def finish_rotation(session: Session, credential: Credential, actor: str) -> bool:
    """Make the next auth token, and the next webhook key, the current one; return whether there
    was a next one."""
    if credential.next_auth_token is None and credential.next_webhook_key is None:
        return False
    credential.auth_token = credential.next_auth_token or credential.auth_token
    credential.webhook_key = credential.next_webhook_key or credential.webhook_key
    credential.next_auth_token = credential.next_webhook_key = None
    target = f"credential {credential.name}"
    audit.record(session, actor, "finish rotation", target, credential.client_id)
    return True


def mended(session: Session, credential: Credential, actor: str) -> bool:
    """Let a stopped account send again; return whether it was stopped."""
    if credential.stopped_at is None:
        return False
    credential.stopped_at = credential.stopped_reason = None
    target = f"credential {credential.name}"
    audit.record(session, actor, "resume", target, credential.client_id)
    return True


def save_login(
    session: Session,
    client_id: str,
    data: Mapping[str, Any],
    known: SavedCredential | None,
    actor: str,
) -> SavedCredential:
    """Write down a log-in for callbacks. Of a known one, a password that is not given stays.

    :raises Refused: with everything that is wrong.
    """
    given = {name: value for name, value in data.items() if value or name == "origins"}
    if known is not None:
        given.setdefault("password", known.password)
    spec = mistakes.parse(SavedCredentialSpec, given)
    taken = named.find(session, SavedCredential, client_id, spec.name)
    if taken is not None and (known is None or taken.id != known.id):
        raise Refused.because(f"There is a saved credential “{spec.name}” already.", "name")
    saved = known or SavedCredential(client_id=client_id)
    saved.name, saved.username, saved.password = spec.name, spec.username, spec.password
    if "origins" in spec.model_fields_set:
        choose_origins(saved, spec.origins)
    session.add(saved)
    session.flush()
    action = "change" if known else "create"
    target, details = f"saved credential {spec.name}", {"origins": saved.origins}
    audit.record(session, actor, action, target, client_id, details)
    return saved


def choose_origins(saved: SavedCredential, origins: list[str] | None) -> None:
    """Let a log-in go to these origins only, or again to wherever an owner uses it (None)."""
    saved.origins_chosen = origins is not None
    if origins is not None:
        saved.origins = list(dict.fromkeys(origins))
