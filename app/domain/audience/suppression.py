"""Suppression lists: who must not be texted, from which sender, and since when.

An entry counts while it is not lifted and its scope is the sender, the sender's messaging service,
or all. Every change carries the time at which the person wrote, so that an old STOP, heard of late,
never undoes a newer START.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.models.base import new_id
from app.models.sender import Sender
from app.models.suppression import (
    LIFTED_BY_START,
    SCOPE_ALL,
    SuppressionEntry,
    SuppressionSource,
)

_CHUNK = 500


def suppress(
    session: Session,
    list_id: str,
    phone: str,
    *,
    scope: str = SCOPE_ALL,
    source: SuppressionSource,
    at: datetime,
) -> bool:
    """Put ``phone`` on a list; return whether that changed anything.

    :param scope: the id of a sender (a number or a messaging service), or ``all``.
    :param at: when the person, Twilio or staff said so, aware. An entry that was lifted after
        this stays lifted.
    """
    return suppress_all(session, list_id, [phone], scope=scope, source=source, at=at) > 0


def suppress_all(
    session: Session,
    list_id: str,
    phones: Sequence[str],
    *,
    scope: str = SCOPE_ALL,
    source: SuppressionSource,
    at: datetime,
) -> int:
    """Put phones, each named once, on a list; return for how many that changed anything.

    The parameters are those of :func:`suppress`.
    """
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    entry = SuppressionEntry
    changed = 0
    for start in range(0, len(phones), _CHUNK):
        added = dialect.insert(entry).values(
            [
                {
                    "id": new_id(), "list_id": list_id, "phone": phone, "scope": scope,
                    "source": source, "since": at,
                }
                for phone in phones[start : start + _CHUNK]
            ]
        )  # fmt: skip
        statement = added.on_conflict_do_update(
            index_elements=[entry.list_id, entry.phone, entry.scope, entry.source],
            set_={"since": added.excluded.since, "lifted_at": None},
            where=entry.lifted_at.is_not(None) & (entry.lifted_at <= added.excluded.since),
        )
        counted = statement.execution_options(preserve_rowcount=True)
        changed += _changed(session.execute(counted))
    return changed


def lift(
    session: Session,
    list_id: str,
    phone: str,
    *,
    scopes: Collection[str],
    at: datetime,
    sources: Collection[SuppressionSource] = LIFTED_BY_START,
) -> int:
    """Lift the entries of ``phone`` with these scopes and sources; return how many there were.

    START lifts what STOP or Twilio's 21610 made, never manual or imported entries: those are the
    default ``sources``. An entry made after ``at`` stays.
    """
    statement = (
        update(SuppressionEntry)
        .where(
            SuppressionEntry.list_id == list_id,
            SuppressionEntry.phone == phone,
            SuppressionEntry.scope.in_(scopes),
            SuppressionEntry.source.in_(sources),
            SuppressionEntry.lifted_at.is_(None),
            SuppressionEntry.since <= at,
        )
        .values(lifted_at=at)
        .execution_options(synchronize_session=False)
    )
    return _changed(session.execute(statement))


def is_suppressed(session: Session, list_id: str, phone: str, sender: Sender) -> bool:
    """Tell whether ``phone`` must not be texted from ``sender`` according to a list."""
    return counts(session, list_id, phone, scopes_of(sender.id, sender.service_id))


def listed_among(
    session: Session, list_ids: Collection[str], phones: Collection[str]
) -> set[tuple[str, str, str]]:
    """Return (list, phone, scope) of every entry in force among these lists and phones."""
    if not list_ids or not phones:
        return set()
    found = session.execute(
        select(SuppressionEntry.list_id, SuppressionEntry.phone, SuppressionEntry.scope).where(
            SuppressionEntry.list_id.in_(list_ids),
            SuppressionEntry.phone.in_(phones),
            SuppressionEntry.lifted_at.is_(None),
        )
    )
    return {(list_id, phone, scope) for list_id, phone, scope in found}


def counts(session: Session, list_id: str, phone: str, scopes: Collection[str]) -> bool:
    """Tell whether an entry of ``phone`` with one of these scopes counts now."""
    return bool(
        session.scalar(
            select(
                exists().where(
                    SuppressionEntry.list_id == list_id,
                    SuppressionEntry.phone == phone,
                    SuppressionEntry.scope.in_(scopes),
                    SuppressionEntry.lifted_at.is_(None),
                )
            )
        )
    )


def scopes_of(sender_id: str, service_id: str | None) -> list[str]:
    """Return the scopes under which an entry counts for a sender."""
    return [sender_id, *([service_id] if service_id else []), SCOPE_ALL]


def _changed(result: object) -> int:
    return cast(CursorResult[Any], result).rowcount
