"""The members of a population as people who get mail."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.audience import Member, people_of

MAX_RECEIVERS = 100
"""More would delay whoever writes to them all; a mailing list serves them better."""


def of_population(session: Session, population_id: str | None) -> list[str]:
    """Return the addresses of a population, each once, in the order of its members.

    There may be more than `MAX_RECEIVERS`, of which only the first are to be told.
    """
    members = session.scalars(
        select(Member.attributes)
        .where(people_of(population_id))
        .order_by(Member.id)
        .limit(10 * MAX_RECEIVERS)
    )
    found = [str(member.get("toAddress") or "").strip() for member in members]
    return list({address.lower(): address for address in found if address}.values())
