"""API keys of a client's systems: made or brought along, and revoked for good.

Only a key's SHA-256 is kept; the key itself is shown once, when it is made.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit, changes, mistakes
from app.domain.changes import Change
from app.domain.mistakes import Reasons
from app.domain.specs import ApiKeyText, Instant, Name, Spec
from app.models.base import utcnow
from app.models.credential import ApiKey, Scope

KEY_BYTES = 32


class ApiKeySpec(Spec):
    """A key of one of the client's systems."""

    label: Name
    key: ApiKeyText
    scope: Scope = Scope.ADMIN
    expires_at: Instant | None = None


def find(session: Session, client_id: str, label: str) -> ApiKey | None:
    """Return the client's key of that label, or None."""
    return session.scalar(select(ApiKey).filter_by(client_id=client_id, label=label))


def save(
    session: Session, client_id: str, spec: ApiKeySpec, known: ApiKey | None, by: str
) -> Change[ApiKey]:
    """Accept a key, or give a known one another key, scope or end; what is left out stays.

    A revoked one works again with another key.

    :raises Refused: when label or key is taken, or the end has passed.
    """
    digest, given = _digest(spec.key), spec.model_fields_set
    reasons = Reasons()
    if find(session, client_id, spec.label) not in (None, known):
        reasons.add(f"There is a key “{spec.label}” already.", "label", code="taken")
    if session.scalar(select(ApiKey).filter_by(key_sha256=digest)) not in (None, known):
        sentence = "This key is in use under another label; make a new one."
        reasons.add(sentence, "key", code="taken")
    is_set = spec.expires_at is not None and (known is None or known.expires_at != spec.expires_at)
    if is_set and spec.expires_at and spec.expires_at <= utcnow():
        reasons.add("That day has passed; choose a later one.", "expires_at", code="past")
    reasons.refuse_if_any()
    values: dict[str, Any] = {"label": spec.label, "key_sha256": digest}
    values |= {name: getattr(spec, name) for name in ("scope", "expires_at") if name in given}
    if known is not None and known.key_sha256 != digest:
        values["revoked_at"] = None
    row = known or ApiKey(client_id=client_id, scope=spec.scope)
    if known is None or known.key_sha256 != digest:
        row.made_by = by[:254]
    details = changes.write(session, row, values)
    change = Change(row, f"API key {spec.label}", details, is_new=known is None)
    return changes.note(session, change, by)


def make(session: Session, client_id: str, data: Mapping[str, Any], by: str) -> tuple[ApiKey, str]:
    """Make a key; return it with the key itself, which only its owner keeps.

    :param data: in the shape of the configuration file, without the key.
    :raises Refused: with everything that is wrong.
    """
    key = secrets.token_urlsafe(KEY_BYTES)
    spec = mistakes.parse(ApiKeySpec, {"key": key, **data})
    return save(session, client_id, spec, None, by).row, key


def is_revoked(known: ApiKey | None, spec: ApiKeySpec) -> bool:
    """Tell whether ``spec`` brings a key that was revoked, and stays so."""
    return (
        known is not None and known.revoked_at is not None and known.key_sha256 == _digest(spec.key)
    )


def revoke(session: Session, key: ApiKey, by: str) -> bool:
    """Let a key open nothing any more, for good; return whether it still did."""
    if key.revoked_at is not None:
        return False
    key.revoked_at = utcnow()
    audit.record(session, by, "revoke", f"API key {key.label}", key.client_id)
    return True


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
