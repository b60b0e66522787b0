"""What holds for every phone that a route lets ring, when it is saved."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain import reach
from app.domain.mistakes import Path, Reasons
from app.domain.routing.handlers.base import Place
from app.models.client import Client
from app.models.credential import Credential


def refuse_unreachable(place: Place, phones: Mapping[Path, str], reasons: Reasons) -> None:
    """Add for each phone why nobody may be called there.

    :param phones: each by where it was written.
    """
    session, sender = place.session, place.sender
    standing = reach.standing(
        session.get_one(Client, sender.client_id),
        sender,
        session.get_one(Credential, sender.credential_id),
    )
    ours = reach.own_numbers(session, set(phones.values()))
    for path, phone in phones.items():
        if refusal := reach.why_not(standing, phone, place.destination, ours):
            reasons.add(refusal.sentence, *path)
