"""Senders found by what people call them."""

from __future__ import annotations

import contextlib

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.domain.phones import InvalidPhone, normalize
from app.models.sender import Sender, SenderKind


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
