"""Finding a client's things by the names that the client gave them."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.mistakes import UNKNOWN_NAME, Refused
from app.models.audience import Population
from app.models.credential import Credential, SavedCredential
from app.models.endpoint import Endpoint, EndpointKind
from app.models.media import Recording
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateKind

Named = TypeVar(
    "Named", Population, Credential, SavedCredential, Recording, SuppressionList, Template
)

MAX_NAME = 100

WORDS: dict[type, str] = {
    Population: "population",
    Credential: "credential",
    SavedCredential: "saved credential",
    Recording: "recording",
    SuppressionList: "suppression list",
    Template: "template",
    Endpoint: "endpoint",
}


def find(session: Session, model: type[Named], client_id: str, name: str) -> Named | None:
    """Return the client's ``model`` of that name, or None."""
    return session.scalar(select(model).filter_by(client_id=client_id, name=name))


def new_name(session: Session, model: type[Named], client_id: str, name: str) -> str:
    """Return ``name`` without the spaces around it, if the client may give it to a new ``model``.

    :raises Refused: when it is empty, too long or taken.
    """
    name, what = name.strip(), WORDS[model]
    if not name or len(name) > MAX_NAME:
        raise Refused.because(f"Give the {what} a name of at most {MAX_NAME} characters.", "name")
    if find(session, model, client_id, name) is not None:
        raise Refused.because(f"There is a {what} “{name}” already.", "name")
    return name


def require(
    session: Session, model: type[Named], client_id: str, name: str, *field: str | int
) -> Named:
    """Return the client's ``model`` of that name.

    :param field: where the name was written, for the mistake.
    :raises Refused: when there is none.
    """
    found = find(session, model, client_id, name)
    if found is None:
        raise unknown(WORDS[model], name, *field)
    return found


def template(
    session: Session, client_id: str, name: str, kind: TemplateKind, *field: str | int
) -> Template:
    """Return the client's template of that name.

    :raises Refused: when there is none, or when it is of another kind.
    """
    found = find(session, Template, client_id, name)
    if found is None:
        raise unknown("template", name, *field)
    if found.kind is not kind:
        raise Refused.because(
            f"The template “{name}” is of the kind {found.kind}; one of the kind {kind} is needed.",
            *field,
        )
    return found


def find_endpoint(session: Session, client_id: str, name: str) -> Endpoint | None:
    """Return the client's webhook endpoint of that name, or None."""
    return session.scalar(
        select(Endpoint).filter_by(client_id=client_id, kind=EndpointKind.WEBHOOK, name=name)
    )


def endpoint(session: Session, client_id: str, name: str, *field: str | int) -> Endpoint:
    """Return the client's webhook endpoint of that name.

    :raises Refused: when there is none.
    """
    found = find_endpoint(session, client_id, name)
    if found is None:
        raise unknown("endpoint", name, *field)
    return found


def unknown(what: str, name: str, *field: str | int) -> Refused:
    """Make the refusal of a name that does not exist."""
    return Refused.because(f"There is no {what} “{name}”.", *field, code=UNKNOWN_NAME)
