"""A client's own settings, as owners and support change them: checked, and each change noted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.domain import audit, mistakes
from app.domain.editing.specs import ClientSpec, UsageAlert
from app.domain.specs import Spec
from app.models.base import utcnow
from app.models.client import DEFAULT_LIMITS, Client


def save(session: Session, client: Client, data: Mapping[str, Any], actor: str) -> list[str]:
    """Change what ``data`` gives, in the shape of the configuration file; return what changed.

    :raises Refused: with everything that is wrong.
    """
    spec = mistakes.parse(ClientSpec, {"name": client.name, **data})
    values = columns(spec)
    changed = {
        name: [_shown(getattr(client, name)), _shown(value)]
        for name, value in values.items()
        if getattr(client, name) != value
    }
    for name in changed:
        setattr(client, name, values[name])
    if changed:
        let_batches_go_on(client, changed)
        audit.record(session, actor, "change", "settings", client.id, changed)
    return list(changed)


_OF_ALERT = {
    "segments_per_month": "alert_segments",
    "call_minutes_per_month": "alert_call_minutes",
    "halt": "alert_halts",
}
_OF_LIMITS = {
    "segments_per_hour": "limit_segments_hour",
    "segments_per_day": "limit_segments_day",
    "call_minutes_per_hour": "limit_minutes_hour",
    "call_minutes_per_day": "limit_minutes_day",
    "messages_per_phone_per_hour": "limit_phone_hour",
}
_NESTED = {"quiet_hours", "opt_words", "usage_alert", "limits", "callbacks"}


def columns(spec: ClientSpec) -> dict[str, Any]:
    """Return the columns of what ``spec`` gives; what is left out of a part stays as it is."""
    given = spec.model_fields_set
    values = {name: getattr(spec, name) for name in given - _NESTED - {"name"}}
    if "quiet_hours" in given:
        quiet = spec.quiet_hours
        values["quiet_from"] = quiet.begin if quiet else None
        values["quiet_to"] = quiet.end if quiet else None
    if "opt_words" in given:
        values["opt_words"] = spec.opt_words.given()
    if "usage_alert" in given:
        values |= _part(spec.usage_alert or UsageAlert.model_validate(_NO_ALERT), _OF_ALERT)
    if "limits" in given:
        values |= _part(spec.limits, _OF_LIMITS)
    return values


_NO_ALERT = {"segments_per_month": None, "call_minutes_per_month": None, "halt": False}


def _part(part: Spec, names: Mapping[str, str]) -> dict[str, Any]:
    return {names[name]: getattr(part, name) for name in part.model_fields_set}


def let_batches_go_on(client: Client, changed: Collection[str]) -> None:
    """Let batches look again whether there is room, where a limit is among what has changed."""
    if DEFAULT_LIMITS.keys() & set(changed):
        client.texts_held_until = client.calls_held_until = None


def limits(client: Client) -> dict[str, int | None]:
    """Return the limits of ``client`` in the shape of the configuration file."""
    return {name: getattr(client, column) for name, column in _OF_LIMITS.items()}


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
