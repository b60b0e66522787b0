"""Who has opted out of something else of the client's, and would get this all the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.audience import in_force
from app.models.base import utcnow
from app.models.suppression import (
    LIFTED_BY_START,
    SuppressionEntry,
    SuppressionList,
    SuppressionReason,
)


def lists_of(session: Session, client_id: str, phones: Collection[str]) -> dict[str, set[str]]:
    """Return, by phone, the names of the client's lists on which the person's own STOP stands.

    Whoever is kept from the texts in question is to be left out before.
    """
    entry, found = SuppressionEntry, defaultdict[str, set[str]](set)
    if not phones:
        return found
    lists = select(SuppressionList.id).where(SuppressionList.client_id == client_id)
    query = (
        select(entry.phone, SuppressionList.name)
        .join(SuppressionList, SuppressionList.id == entry.list_id)
        .where(
            entry.list_id.in_(lists),
            entry.phone.in_(phones),
            in_force.counts(utcnow()),
            entry.source.in_(LIFTED_BY_START),
            entry.reason == SuppressionReason.OPTED_OUT,
        )
    )
    for phone, name in session.execute(query):
        found[phone].add(name)
    return found
