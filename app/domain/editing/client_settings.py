"""A client's own settings, as owners and support change them: checked, and each change noted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.domain import audit, mistakes
from app.domain.editing.specs import ClientSpec
from app.models.base import utcnow
from app.models.client import Client


def save(session: Session, client: Client, data: Mapping[str, Any], actor: str) -> list[str]:
    """Change what ``data`` gives, in the shape of the configuration file; return what changed.

    :raises Refused: with everything that is wrong.
    """
    spec = mistakes.parse(ClientSpec, {"name": client.name, **data})
    quiet, alert = spec.quiet_hours, spec.usage_alert
    values: dict[str, Any] = {
        name: getattr(spec, name) for name in spec.model_fields_set - {"name", *_NESTED}
    }
    if "quiet_hours" in spec.model_fields_set:
        values["quiet_from"] = quiet.begin if quiet else None
        values["quiet_to"] = quiet.end if quiet else None
    if "opt_words" in spec.model_fields_set:
        values["opt_words"] = spec.opt_words.given()
    if "usage_alert" in spec.model_fields_set:
        values["alert_segments"] = alert.segments_per_month if alert else None
        values["alert_call_minutes"] = alert.call_minutes_per_month if alert else None
    changed = {
        name: [_shown(getattr(client, name)), _shown(value)]
        for name, value in values.items()
        if getattr(client, name) != value
    }
    for name in changed:
        setattr(client, name, values[name])
    if changed:
        audit.record(session, actor, "change", "settings", client.id, changed)
    return list(changed)


_NESTED = ("quiet_hours", "opt_words", "usage_alert", "callbacks")


def halt(session: Session, client: Client, actor: str) -> bool:
    """Stop all sending of a client at once; return whether it was not stopped."""
    if client.halted_at is not None:
        return False
    client.halted_at = utcnow()
    audit.record(session, actor, "halt", f"sending of {client.name}", client.id)
    return True


def resume(session: Session, client: Client, actor: str) -> bool:
    """Let a client send again; return whether it was stopped."""
    if client.halted_at is None:
        return False
    client.halted_at = None
    audit.record(session, actor, "resume", f"sending of {client.name}", client.id)
    return True


def _shown(value: object) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
