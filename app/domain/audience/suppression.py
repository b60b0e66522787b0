"""Suppression lists: who must not be texted, from which sender, since when, and why.

Whoever does not want texts and whoever cannot get them are two facts: the first is a wish, which
only its person or staff take back; the second is Twilio's word about a phone
(:mod:`app.domain.audience.reachability`), which has a code and an end.

An entry counts while it is not lifted and its scope is the sender, the sender's messaging service,
or all; on the list that was asked for, or on any if it is binding, because nobody but us protects
the person then (see `SuppressionEntry.binding`). Every change carries the time at which the person
wrote, so that an old STOP, heard of late, never undoes a newer START.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, func, or_, select, update
from sqlalchemy.orm import Session

from app.models.base import insert_into, new_id, utcnow
from app.models.suppression import (
    LIFTED_BY_START,
    SCOPE_ALL,
    SuppressionEntry,
    SuppressionList,
    SuppressionReason,
    SuppressionSource,
)

OPTED_OUT = "opted-out"
UNIQUE = ("list_id", "phone", "scope", "source", "reason")
"""There is one entry for each of these."""
_CHUNK = 500


def suppress(
    session: Session,
    list_id: str,
    phone: str,
    *,
    scope: str = SCOPE_ALL,
    source: SuppressionSource,
    at: datetime,
    binding: bool = False,
) -> bool:
    """Put ``phone`` on a list; return whether that changed anything.

    :param binding: nobody but us keeps this person from being texted. What Twilio blocks as well
        (its own words) is not binding, and an entry that was is no longer.
    :param scope: the id of a sender (a number or a messaging service), or ``all``.
    :param at: when the person, Twilio or staff said so, aware. An entry that was lifted after
        this stays lifted.
    """
    return (
        suppress_all(session, list_id, [phone], scope=scope, source=source, at=at, binding=binding)
        > 0
    )


def suppress_all(
    session: Session,
    list_id: str,
    phones: Sequence[str],
    *,
    scope: str = SCOPE_ALL,
    source: SuppressionSource,
    at: datetime,
    binding: bool = False,
) -> int:
    """Put phones, each named once, on a list; return for how many that changed anything.

    The parameters are those of :func:`suppress`.
    """
    entry = SuppressionEntry
    changed = 0
    for start in range(0, len(phones), _CHUNK):
        added = insert_into(session, entry).values(
            [
                {
                    "id": new_id(), "list_id": list_id, "phone": phone, "scope": scope,
                    "source": source, "since": at, "binding": binding,
                    "reason": SuppressionReason.OPTED_OUT,
                }
                for phone in phones[start : start + _CHUNK]
            ]
        )  # fmt: skip
        statement = added.on_conflict_do_update(
            index_elements=[getattr(entry, name) for name in UNIQUE],
            set_={
                "since": added.excluded.since, "lifted_at": None, "binding": added.excluded.binding,
            },
            where=or_(
                entry.lifted_at.is_not(None) & (entry.lifted_at <= added.excluded.since),
                # Twilio blocks from now on what only we did.
                entry.lifted_at.is_(None) & entry.binding & ~added.excluded.binding,
            ),
        )  # fmt: skip
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
    sources: Collection[SuppressionSource],
    reason: SuppressionReason,
) -> int:
    """Lift the entries of ``phone`` with these scopes and sources; return how many there were.

    An entry made after ``at`` stays.
    """
    statement = (
        update(SuppressionEntry)
        .where(
            SuppressionEntry.list_id == list_id,
            SuppressionEntry.phone == phone,
            SuppressionEntry.scope.in_(scopes),
            SuppressionEntry.source.in_(sources),
            SuppressionEntry.reason == reason,
            SuppressionEntry.lifted_at.is_(None),
            SuppressionEntry.since <= at,
        )
        .values(lifted_at=at)
        .execution_options(synchronize_session=False)
    )
    return _changed(session.execute(statement))


def opt_in(
    session: Session,
    list_id: str | None,
    phone: str,
    *,
    scopes: Collection[str],
    at: datetime,
    exact: bool,
) -> int:
    """Lift what a START of ``phone`` may; return how many entries that were.

    That is what STOP or Twilio's 21610 made, never manual or imported entries, nor what says that
    the phone cannot be reached.

    Binding entries are lifted whichever list they are on: whoever made them knew nothing of lists.

    :param exact: it was Twilio's own word, on which Twilio has lifted its block; another lifts only
        binding entries, since Twilio goes on blocking where it did.
    """
    entry = SuppressionEntry
    statement = (
        update(entry)
        .where(
            entry.phone == phone,
            entry.scope.in_(scopes),
            entry.source.in_(LIFTED_BY_START),
            entry.reason == SuppressionReason.OPTED_OUT,
            entry.lifted_at.is_(None),
            entry.since <= at,
        )
        .values(lifted_at=at)
        .execution_options(synchronize_session=False)
    )
    # Two halves, each with its own index: SQLite has none for an OR of them.
    halves = [entry.binding, entry.list_id == list_id] if exact and list_id else [entry.binding]
    return sum(_changed(session.execute(statement.where(half))) for half in halves)


def is_blocked_by_twilio(
    session: Session, list_id: str | None, phone: str, scopes: Collection[str]
) -> bool:
    """Tell whether Twilio, as far as the list knows, blocks ``phone`` besides us."""
    entry = SuppressionEntry
    query = select(entry.id).where(
        entry.list_id == list_id,
        entry.phone == phone,
        entry.scope.in_(scopes),
        entry.source.in_(LIFTED_BY_START),
        entry.reason == SuppressionReason.OPTED_OUT,
        entry.lifted_at.is_(None),
        ~entry.binding,
    )
    return session.scalar(query.limit(1)) is not None


def list_for_opt_outs(session: Session, client_id: str) -> str:
    """Return the id of the client's list ``opted-out``, made if there is none.

    It keeps the binding opt-outs from senders that have no list of their own.
    """
    session.execute(
        insert_into(session, SuppressionList)
        .values(id=new_id(), client_id=client_id, name=OPTED_OUT, created_at=utcnow())
        .on_conflict_do_nothing(index_elements=["client_id", "name"])
    )
    return session.scalars(
        select(SuppressionList.id).filter_by(client_id=client_id, name=OPTED_OUT)
    ).one()


def last_change(session: Session, client_id: str, phone: str) -> datetime | None:
    """Return the latest time at which a wish of ``phone`` changed on a client's lists."""
    since, lifted = session.execute(
        select(func.max(SuppressionEntry.since), func.max(SuppressionEntry.lifted_at))
        .join(SuppressionList, SuppressionList.id == SuppressionEntry.list_id)
        .where(
            SuppressionList.client_id == client_id,
            SuppressionEntry.phone == phone,
            SuppressionEntry.reason == SuppressionReason.OPTED_OUT,
        )
    ).one()
    return max((at for at in (since, lifted) if at is not None), default=None)


def _changed(result: object) -> int:
    return cast(CursorResult[Any], result).rowcount
