"""Suppression lists as people and their systems keep them: made, written to by hand, lifted.

What an entry means is in :mod:`app.domain.audience.suppression`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit, changes, named
from app.domain.audience import suppression
from app.domain.changes import Change
from app.domain.mistakes import INVALID_PHONE, Refused
from app.domain.phone_spellings import texted
from app.domain.phones import InvalidPhone, normalize
from app.domain.specs import Empty, Name, Phone, Spec
from app.models.base import utcnow
from app.models.sender import Sender
from app.models.suppression import (
    SCOPE_ALL,
    SuppressionEntry,
    SuppressionList,
    SuppressionSource,
)

_MANUAL = SuppressionSource.MANUAL


class SuppressionListSpec(Spec):
    """Phones that must not be texted."""

    name: Name
    entries: Annotated[list[Phone], Empty] = Field(default_factory=list)


def save(
    session: Session, client_id: str, spec: SuppressionListSpec, known: SuppressionList | None,
    by: str,
) -> Change[SuppressionList]:  # fmt: skip
    """Make a list, or put phones on a known one for good; none is ever taken off.

    :raises Refused: when the name is taken.
    """
    named.refuse_taken(session, SuppressionList, client_id, spec.name, known)
    row = known or SuppressionList(client_id=client_id)
    details = changes.write(session, row, {"name": spec.name})
    phones = list(dict.fromkeys(map(texted, spec.entries)))
    if added := suppression.suppress_all(session, row.id, phones, source=_MANUAL, at=utcnow()):
        details["entries"] = f"{changes.count(added, 'phone')} added"
    change = Change(row, f"suppression list {spec.name}", details, is_new=known is None)
    return changes.note(session, change, by)


def taken_off(session: Session, found: SuppressionList, phones: Collection[str]) -> Sequence[str]:
    """Return which of the phones were put on a list for all senders by hand and lifted since."""
    entry = SuppressionEntry
    lifted = select(entry.phone).filter_by(list_id=found.id, scope=SCOPE_ALL, source=_MANUAL)
    return session.scalars(
        lifted.where(entry.phone.in_(phones), entry.lifted_at.is_not(None)).order_by(entry.phone)
    ).all()


def add(
    session: Session, found: SuppressionList, phone: str, scope: str, by: str
) -> tuple[SuppressionEntry, bool]:
    """Put a phone on a list for good: START does not lift it.

    :param scope: the id of one of the client's senders, or ``all``.
    :return: its entry, and whether it is new there.
    :raises Refused: when the phone is none, or the scope no sender of the client.
    """
    try:
        wanted = texted(normalize(phone))
    except InvalidPhone as error:
        raise Refused.because(error.reason, "phone", code=INVALID_PHONE) from None
    if scope != SCOPE_ALL:
        sender = session.get(Sender, scope)
        if sender is None or sender.client_id != found.client_id:
            raise Refused.because("Choose one of your numbers, or all of them.", "scope")
    added = suppression.suppress(
        session, found.id, wanted, scope=scope, source=_MANUAL, at=utcnow()
    )
    if added:
        audit.record(session, by, "suppress", f"{wanted} on {found.name}", found.client_id)
    key = {"list_id": found.id, "phone": wanted, "scope": scope, "source": _MANUAL}
    return session.scalars(select(SuppressionEntry).filter_by(**key)).one(), added


def lift(
    session: Session, found: SuppressionList, phone: str, entries: Collection[SuppressionEntry],
    by: str,
) -> bool:  # fmt: skip
    """Lift these entries of a phone, whoever made them; return whether any was in force."""
    lifted = [
        suppression.lift(
            session,
            found.id,
            phone,
            scopes=[one.scope],
            sources=[one.source],
            reason=one.reason,
            at=utcnow(),
        )
        for one in entries
    ]
    if any(lifted):
        audit.record(session, by, "lift", f"{phone} on {found.name}", found.client_id)
    return any(lifted)


def entries_of(
    session: Session, client_id: str, phone: str
) -> list[tuple[SuppressionList, SuppressionEntry]]:
    """Return what stands about a phone on a client's lists, lifted entries too."""
    found = session.execute(
        select(SuppressionList, SuppressionEntry)
        .join(SuppressionEntry, SuppressionEntry.list_id == SuppressionList.id)
        .where(SuppressionList.client_id == client_id, SuppressionEntry.phone == texted(phone))
        .order_by(SuppressionList.name, SuppressionEntry.since.desc())
    )
    return [(row[0], row[1]) for row in found]
