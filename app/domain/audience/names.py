"""The names of people by their phones, wherever a list or the last contact knows one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.attributes import NAME, PHONE
from app.domain.audience.members import MAX_ROWS, stored_key
from app.domain.phone_spellings import texted
from app.models.audience import Member, Population, phone_key
from app.models.last_contact import LastContact

MOST_ROWS = 5_000
"""Of lists and contacts that are looked at for one page of phones."""


def of(session: Session, client_id: str, phones: Collection[str]) -> dict[str, str]:
    """Return what the people behind these phones are called, as far as that is known.

    The newest last contact that has a name counts, else the client's lists where they agree: a
    family may share a phone. Two statements, however many phones.
    """
    if not phones:
        return {}
    found = _listed(session, client_id, phones)
    contacts = session.execute(
        select(LastContact.phone, LastContact.member)
        .where(LastContact.client_id == client_id, LastContact.phone.in_(phones))
        .order_by(LastContact.sent_at)
        .limit(MOST_ROWS)
    )
    return found | {phone: name for phone, member in contacts if (name := _name(member))}


def listed(session: Session, client_id: str, phone: str) -> list[tuple[Population, Member]]:
    """Return where a phone stands in the client's lists."""
    wanted = (PHONE, texted(phone))
    rows = session.execute(
        select(Population, Member)
        .join(Member, Member.roll == Population.roll)
        .where(Population.client_id == client_id, Member.phone_key == phone_key(phone))
        .order_by(Population.name, Member.id)
        .limit(MAX_ROWS)
    )
    return [(row[0], row[1]) for row in rows if stored_key(row[1].attributes) == wanted]


def _listed(session: Session, client_id: str, phones: Collection[str]) -> dict[str, str]:
    keys = {key for phone in phones if (key := phone_key(phone))}
    rows = session.scalars(
        select(Member.attributes)
        .join(Population, Population.roll == Member.roll)
        .where(Population.client_id == client_id, Member.phone_key.in_(keys))
        .limit(MOST_ROWS)
    )
    names: dict[str, set[str]] = defaultdict(set)
    for attributes in rows:
        stored = stored_key(attributes)
        if stored is not None and (name := _name(attributes)):
            names[stored[1]].add(name)
    agreed = {phone: several.pop() for phone, several in names.items() if len(several) == 1}
    return {phone: agreed[key] for phone in phones if (key := texted(phone)) in agreed}


def _name(attributes: Mapping[str, Any] | None) -> str | None:
    name = (attributes or {}).get(NAME)
    return name.strip()[:100] or None if isinstance(name, str) else None
