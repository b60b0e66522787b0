"""Why a phone must not be texted now: what counts of the entries on suppression lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from app.domain.reach import Listed
from app.models.base import utcnow
from app.models.sender import Sender
from app.models.suppression import SCOPE_ALL, SuppressionEntry


@dataclass(frozen=True, slots=True)
class InForce:
    """The entries that count for some phones."""

    entries: Mapping[tuple[str | None, str, str], Listed]
    """By (list, phone, scope); the list is None of an entry that binds whatever the list."""

    def why_not(self, list_id: str | None, phone: str, scopes: Collection[str]) -> Listed | None:
        """Return why ``phone`` must not be texted from the sender with these scopes, if so.

        A wish counts for more than what Twilio says of the phone.

        :param list_id: the list that counts for the text; None for one that is not filtered.
        :param scopes: from :func:`scopes_of`.
        """
        found = None
        for scope in scopes:
            for one in {None, list_id}:
                listed = self.entries.get((one, phone, scope))
                if listed is not None and listed.code is None:
                    return listed
                found = listed or found
        return found


def counts(now: datetime) -> ColumnElement[bool]:
    """Return the condition that an entry counts: it is not lifted, and its end has not come."""
    entry = SuppressionEntry
    return and_(entry.lifted_at.is_(None), or_(entry.until.is_(None), entry.until > now))


def in_force(
    session: Session, list_ids: Collection[str | None], phones: Collection[str]
) -> InForce:
    """Return what counts now for these phones on these lists, by one statement."""
    if not phones:
        return InForce({})
    entry, lists = SuppressionEntry, [one for one in list_ids if one is not None]
    columns = (
        entry.list_id, entry.phone, entry.scope, entry.binding, entry.error_code, entry.since,
        entry.until,
    )  # fmt: skip
    current = (entry.phone.in_(phones), counts(utcnow()))
    # Two halves, each with its own index, rather than an OR that has none.
    binding = select(*columns).where(*current, entry.binding)
    query = binding.union_all(select(*columns).where(*current, entry.list_id.in_(lists)))
    found: dict[tuple[str | None, str, str], Listed] = {}
    for list_id, phone, scope, binds, code, since, until in session.execute(
        query if lists else binding
    ):
        for one in {None, list_id} if binds else {list_id}:
            known = found.get((one, phone, scope))
            if known is None or known.code is not None:
                found[one, phone, scope] = Listed(code, since, until)
    return InForce(found)


def why_suppressed(
    session: Session, list_id: str | None, phone: str, sender: Sender
) -> Listed | None:
    """Return why ``phone`` must not be texted from ``sender``, by a list or a binding entry."""
    scopes = scopes_of(sender.id, sender.service_id)
    return in_force(session, [list_id], [phone]).why_not(list_id, phone, scopes)


def scopes_of(sender_id: str, service_id: str | None) -> list[str]:
    """Return the scopes under which an entry counts for a sender."""
    return [sender_id, *([service_id] if service_id else []), SCOPE_ALL]
