"""Landlines get no texts: what Twilio Lookup has told of phones, kept for a while.

Only for clients that want it (``line_type_lookup``). A phone of which nothing is known, because
Twilio was not asked, could not be, or had no answer, is texted as ever.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from app.models.base import insert_into, utcnow
from app.models.client import Client
from app.models.line_type import LineType
from app.models.route import Destination
from app.twilio.lookups import LANDLINE

KEPT = timedelta(days=90)
"""How long an answer counts: phones are ported rarely."""
UNKNOWN_KEPT = timedelta(days=1)
"""After which Twilio is asked again where it had no answer, or could not be asked."""
SENTENCE = "This phone is a landline, which gets no texts (Twilio Lookup)."
_TOGETHER = 500


def are_wanted(client: Client, destination: Destination) -> bool:
    """Tell whether lines are looked up before something goes out: texts only."""
    return client.line_type_lookup and destination is Destination.SMS


def missing(session: Session, client_id: str, phones: Collection[str]) -> set[str]:
    """Return the phones of which Twilio has not been asked lately."""
    known = set[str]()
    ordered = sorted(phones)
    for first in range(0, len(ordered), _TOGETHER):
        some = ordered[first : first + _TOGETHER]
        known |= set(
            session.scalars(
                select(LineType.phone).where(
                    LineType.client_id == client_id, LineType.phone.in_(some), _counts()
                )
            )
        )
    return set(ordered) - known


def landlines(session: Session, client: Client, phones: Collection[str]) -> set[str]:
    """Return which of some phones are landlines, as far as that is known and wanted."""
    if not client.line_type_lookup or not phones:
        return set()
    query = select(LineType.phone).where(
        LineType.client_id == client.id, LineType.phone.in_(phones), LineType.type == LANDLINE,
        _counts(),
    )  # fmt: skip
    return set(session.scalars(query))


def keep(session: Session, client_id: str, answers: Mapping[str, str | None]) -> None:
    """Keep what Twilio said of phones; None where it said nothing."""
    now = utcnow()
    rows = [
        {"client_id": client_id, "phone": phone, "type": word, "asked_at": now}
        for phone, word in sorted(answers.items())
    ]
    if rows:
        made = insert_into(session, LineType).values(rows)
        session.execute(
            made.on_conflict_do_update(
                index_elements=["client_id", "phone"],
                set_={"type": made.excluded.type, "asked_at": made.excluded.asked_at},
            )
        )


def _counts() -> ColumnElement[bool]:
    """Return the condition that an answer is not too old; nor of a clock that was ahead."""
    now = utcnow()
    return and_(
        LineType.asked_at > now - KEPT,
        LineType.asked_at <= now + UNKNOWN_KEPT,
        or_(LineType.type.is_not(None), LineType.asked_at > now - UNKNOWN_KEPT),
    )
