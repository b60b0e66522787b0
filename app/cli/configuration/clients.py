"""Clients as the file has them: their own settings, and whom to write to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.cli.configuration.sections import SECTIONS
from app.cli.configuration.work import ACTOR, Scope, Work
from app.domain import mistakes
from app.domain.clients import settings
from app.domain.clients.settings import ClientSpec
from app.domain.mistakes import Mistake, Refused
from app.extensions import current_settings
from app.models.base import new_id
from app.models.user import Role


def apply_client(work: Work, path: mistakes.Path, data: Any) -> Scope | None:
    """Create or update a client's own settings; its sections come afterwards."""
    if not isinstance(data, Mapping):
        work.add(Mistake(path, "A client must have a name and whatever else is to be set."))
        return None
    own = {name: value for name, value in data.items() if name not in SECTIONS}
    spec = _readable(work, path, own)
    scope = Scope(path, data)
    known = settings.find(work.session, spec.name)
    if spec.owner_email is None and (known is None or "owner_email" in spec.model_fields_set):
        spec.owner_email = _owner(data)
    saved = settings.save(work.session, spec, known, ACTOR)
    scope.client = saved.row
    work.took(scope, saved)
    return scope


def _readable(work: Work, path: mistakes.Path, data: dict[str, Any]) -> ClientSpec:
    """Read a client's settings; what is wrong is noted and left out, so that the rest is checked.

    Nothing is kept of a run with a mistake, so a client without a name may have any.
    """
    try:
        return mistakes.parse(ClientSpec, data)
    except Refused as refused:
        for mistake in refused.mistakes:
            close = mistakes.unknown_key(
                str(mistake.path[0]), [*ClientSpec.model_fields, *SECTIONS]
            )
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
