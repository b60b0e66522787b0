"""Saved credentials: what a client's callbacks to plain URLs log in with, and where they may go."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints
from sqlalchemy.orm import Session

from app.domain import changes, named
from app.domain.changes import Change
from app.domain.specs import Name, Secret, Spec, WebOrigin, WithoutColon
from app.models.credential import SavedCredential


class SavedCredentialSpec(Spec):
    """A log-in for callbacks to plain URLs."""

    name: Name
    username: Annotated[str, StringConstraints(min_length=1, max_length=200), WithoutColon]
    password: Secret
    origins: Annotated[list[WebOrigin], Field(min_length=1, max_length=50)] | None = None
    """Where it may be sent; left out, wherever an owner uses it."""


def save(
    session: Session,
    client_id: str,
    spec: SavedCredentialSpec,
    known: SavedCredential | None,
    by: str,
) -> Change[SavedCredential]:
    """Write a log-in down; where it may go stays as it is where that is left out.

    :raises Refused: when the name is taken.
    """
    named.refuse_taken(session, SavedCredential, client_id, spec.name, known)
    row = known or SavedCredential(client_id=client_id, origins=[])
    values = spec.model_dump(include={"name", "username", "password"})
    if "origins" in spec.model_fields_set:
        values["origins_chosen"] = spec.origins is not None
        if spec.origins is not None:
            values["origins"] = list(dict.fromkeys(spec.origins))
    details = changes.write(session, row, values)
    change = Change(row, f"saved credential {spec.name}", details, is_new=known is None)
    return changes.note(session, change, by)
