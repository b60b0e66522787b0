"""Finding a client's things by the names that the client gave them."""

from __future__ import annotations

import contextlib
from typing import TypeVar

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.domain.mistakes import UNKNOWN_NAME, Refused
from app.domain.phones import InvalidPhone, normalize
from app.models.audience import Population
from app.models.credential import Credential, SavedCredential
from app.models.endpoint import Endpoint, EndpointKind
from app.models.hours import Hours
from app.models.media import Recording
from app.models.rota import Rota
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateKind

Named = TypeVar(
    "Named",
    Population,
    Credential,
    SavedCredential,
    Recording,
    SuppressionList,
    Template,
    Hours,
    Rota,
)

WORDS: dict[type, str] = {
    Population: "population",
    Credential: "credential",
    SavedCredential: "saved credential",
    Recording: "recording",
    SuppressionList: "suppression list",
    Template: "template",
    Endpoint: "endpoint",
    Hours: "hours",
    Rota: "rota",
}


def find(session: Session, model: type[Named], client_id: str, name: str) -> Named | None:
    """Return the client's ``model`` of that name, or None."""
    return session.scalar(select(model).filter_by(client_id=client_id, name=name))


def refuse_taken(
    session: Session, model: type[Named], client_id: str, name: str, known: Named | None
) -> None:
    """Refuse a name that another ``model`` of the client has than ``known``, the one to be saved.

    :raises Refused: when it has.
    """
    found = find(session, model, client_id, name)
    if found is not None and found is not known:
        raise Refused.because(f"There is a {WORDS[model]} “{name}” already.", "name", code="taken")


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


def find_number(session: Session, client_id: str, number: str) -> Sender | None:
    """Return the client's number, given as a phone number in any writing or by its id."""
    wanted = {number.strip()}
    with contextlib.suppress(InvalidPhone):  # then it can only be an id
        wanted.add(normalize(number, short_codes=True))
    return session.scalars(
        select(Sender).where(
            Sender.client_id == client_id,
            Sender.kind != SenderKind.MESSAGING_SERVICE,
            or_(Sender.address.in_(wanted), Sender.id == number),
        )
    ).one_or_none()


def find_service(session: Session, client_id: str, service: str) -> Sender | None:
    """Return the client's messaging service, given by its name, its SID (``MG…``) or its id."""
    return session.scalars(
        select(Sender)
        .where(
            Sender.client_id == client_id,
            Sender.kind == SenderKind.MESSAGING_SERVICE,
            or_(Sender.address == service, Sender.name == service, Sender.id == service),
        )
        .limit(1)
    ).one_or_none()
