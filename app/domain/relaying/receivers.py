"""E-mail addresses as receivers of events: an endpoint is made when an address is first used."""

from __future__ import annotations

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.base import insert_into
from app.models.endpoint import Endpoint, EndpointKind


def name_of(address: str) -> str:
    """Return the name of an address's endpoint: a digest, for which case makes no difference."""
    return hashlib.sha256(address.strip().lower().encode()).hexdigest()


def email(session: Session, client_id: str | None, address: str) -> Endpoint:
    """Return the endpoint of an e-mail address, made if need be.

    :param client_id: whose mails these are; None for mails of our own.
    """
    address, name = address.strip(), name_of(address)
    wanted = select(Endpoint).where(
        Endpoint.client_id == client_id,
        Endpoint.kind == EndpointKind.EMAIL,
        Endpoint.name == name,
    )
    found = session.scalars(wanted).one_or_none()
    if found is None:
        session.execute(
            insert_into(session, Endpoint)
            .values(client_id=client_id, kind=EndpointKind.EMAIL, name=name, url=address)
            .on_conflict_do_nothing()
        )
        found = session.scalars(wanted).one()
    return found
