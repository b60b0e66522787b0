"""Receivers of events: found, or made when they are first named.

A webhook is an endpoint that a client has set up under a name. A plain URL and an e-mail address
are named by what they are, and get their endpoint the first time something is to go there.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.models.endpoint import Endpoint, EndpointKind


def email(session: Session, client_id: str | None, address: str) -> Endpoint:
    """Return the endpoint of an e-mail address, made if need be.

    :param client_id: whose mails these are; None for mails of our own.
    """
    address = address.strip()
    return _find_or_make(session, client_id, EndpointKind.EMAIL, address.lower(), url=address)


def plain(
    session: Session,
    client_id: str,
    url: str,
    method: str = "POST",
    saved_credential_id: str | None = None,
) -> Endpoint:
    """Return the endpoint of a plain URL, made if need be; check the URL before
    (:func:`app.domain.endpoint_urls.check_plain`).

    :param url: with ``{{ placeholders }}`` in its path or query.
    :param method: ``GET`` or ``POST``.
    :param saved_credential_id: the log-in to send (HTTP Basic), if any.
    """
    what = f"{method} {saved_credential_id or '-'} {url}"
    return _find_or_make(
        session, client_id, EndpointKind.PLAIN, what,
        url=url, method=method, saved_credential_id=saved_credential_id,
    )  # fmt: skip


def webhook(session: Session, client_id: str, name: str) -> Endpoint | None:
    """Return the endpoint that a client set up under ``name``, or None."""
    return session.scalars(
        select(Endpoint).where(
            Endpoint.client_id == client_id,
            Endpoint.kind == EndpointKind.WEBHOOK,
            Endpoint.name == name,
        )
    ).one_or_none()


def _find_or_make(
    session: Session, client_id: str | None, kind: EndpointKind, what: str, **columns: str | None
) -> Endpoint:
    name = hashlib.sha256(what.encode()).hexdigest()
    wanted = select(Endpoint).where(
        Endpoint.client_id == client_id, Endpoint.kind == kind, Endpoint.name == name
    )
    found = session.scalars(wanted).one_or_none()
    if found is None:
        dialect = session.get_bind().dialect.name
        insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
        session.execute(
            insert(Endpoint)
            .values(client_id=client_id, kind=kind, name=name, **columns)
            .on_conflict_do_nothing()
        )
        found = session.scalars(wanted).one()
    return found
