"""“Try it as …”: the person whose part somebody takes where something is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import g, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import phones
from app.domain.attributes import PHONE
from app.domain.audience import in_force, members, names
from app.domain.mistakes import Refused
from app.domain.phones import InvalidPhone
from app.models.audience import Member, Population
from app.models.base import utcnow
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionReason

NOBODY_KNOWN = "+13195550142"
"""A fictional phone: 555-0100 to 555-0199 belong to nobody."""
STRANGER, OPTED_OUT, PHONE_TYPED, LISTED = "stranger", "opted_out", "phone", "list:"
_LOOKED_AT = 50
"""Members of a list among whom one with a phone is looked for."""
_MOST_LISTS = 100


@dataclass(frozen=True)
class Whom:
    """Somebody, and what is known of them."""

    phone: str = NOBODY_KNOWN
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    left: tuple[str, ...] = ()
    """The suppression lists of the client's on which the phone stands."""


def choices(session: Session) -> list[tuple[str, str]]:
    """Return whose part can be taken: values of the field ``as``, with their words."""
    lists = session.execute(
        select(Population.id, Population.name)
        .where(Population.client_id == g.client.id)
        .order_by(Population.name)
        .limit(_MOST_LISTS)
    )
    return [
        (STRANGER, "Somebody of whom nothing is known"),
        *((LISTED + row.id, f"Somebody of “{row.name}”") for row in lists),
        (OPTED_OUT, "Somebody who has opted out"),
        (PHONE_TYPED, "Whoever has this phone"),
    ]


def asked(session: Session) -> Whom:
    """Return the person that the request's ``as`` and ``as_phone`` name.

    :raises Refused: when there is no such person, with a sentence.
    """
    wanted = request.values.get("as", STRANGER)
    if wanted.startswith(LISTED):
        return _of_list(session, wanted.removeprefix(LISTED))
    if wanted == OPTED_OUT:
        return _known(session, _opted_out(session))
    if wanted == PHONE_TYPED:
        try:
            return _known(session, phones.normalize(request.values.get("as_phone", "")))
        except InvalidPhone as invalid:
            raise Refused.because(invalid.reason, "as_phone") from None
    return Whom()


def _of_list(session: Session, population_id: str) -> Whom:
    """Return the first person of a list who has a phone, with what the list knows."""
    rows = session.scalars(
        select(Member.attributes)
        .join(Population, Population.roll == Member.roll)
        .where(Population.client_id == g.client.id, Population.id == population_id)
        .order_by(Member.id)
        .limit(_LOOKED_AT)
    )
    for attributes in rows:
        try:
            phone = phones.normalize(str(attributes.get(PHONE) or ""))
        except InvalidPhone:
            continue
        return Whom(phone, attributes, members.called(attributes), _left(session, phone))
    raise Refused.because("Nobody of that list has a phone. Choose another one.", "as")


def _opted_out(session: Session) -> str:
    """Return the phone of whoever has opted out last.

    :raises Refused: when nobody has.
    """
    found = session.scalar(
        select(SuppressionEntry.phone)
        .join(SuppressionList, SuppressionList.id == SuppressionEntry.list_id)
        .where(
            SuppressionList.client_id == g.client.id,
            SuppressionEntry.reason == SuppressionReason.OPTED_OUT,
            SuppressionEntry.lifted_at.is_(None),
        )
        .order_by(SuppressionEntry.id.desc())
        .limit(1)
    )
    if found is None:
        raise Refused.because("Nobody has opted out so far.", "as")
    return found


def _known(session: Session, phone: str) -> Whom:
    attributes = members.only_person(session, g.client.id, phone) or {}
    name = names.of(session, g.client.id, [phone]).get(phone, "")
    return Whom(phone, attributes, name, _left(session, phone))


def _left(session: Session, phone: str) -> tuple[str, ...]:
    entry = SuppressionEntry
    found = session.scalars(
        select(SuppressionList.name)
        .join(entry, entry.list_id == SuppressionList.id)
        .where(
            SuppressionList.client_id == g.client.id, entry.phone == phone,
            entry.reason == SuppressionReason.OPTED_OUT, in_force.counts(utcnow()),
        )
        .distinct()
        .order_by(SuppressionList.name)
    )  # fmt: skip
    return tuple(found)
