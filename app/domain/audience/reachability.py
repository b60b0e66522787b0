"""Phones that cannot be reached by text: landlines, dead and invalid numbers, as Twilio says.

That is a fact about a phone and no wish of its owner's, so it stands in an entry of its own beside
what STOP made: with Twilio's code, since when, and an end, after which the phone is tried again,
for numbers change hands. A text that was delivered to the phone, or comes from it, lifts it; START
does not, which says what somebody wants.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app.domain.audience.suppression import UNIQUE
from app.models.base import insert_into, new_id
from app.models.message import Message
from app.models.route import Destination
from app.models.suppression import (
    SuppressionEntry,
    SuppressionList,
    SuppressionReason,
    SuppressionSource,
)
from app.twilio.errors import Rule


def note(
    session: Session, list_id: str, phone: str, *, scope: str, rule: Rule, at: datetime
) -> None:
    """Put on a list that Twilio cannot reach ``phone``, by its word at ``at``.

    What is on it already stays, unless it was lifted or had ended before.

    :param scope: the id of the sender (a number or a messaging service) whose text failed.
    :param rule: of Twilio's code.
    """
    entry = SuppressionEntry
    added = insert_into(session, entry).values(
        id=new_id(), list_id=list_id, phone=phone, scope=scope, source=SuppressionSource.TWILIO,
        reason=SuppressionReason.UNREACHABLE, binding=False, since=at, error_code=rule.code,
        until=rule.unreachable_until(at),
    )  # fmt: skip
    session.execute(
        added.on_conflict_do_update(
            index_elements=[getattr(entry, name) for name in UNIQUE],
            set_={
                "since": added.excluded.since, "until": added.excluded.until,
                "error_code": added.excluded.error_code, "lifted_at": None,
            },
            where=or_(entry.lifted_at <= added.excluded.since, entry.until <= added.excluded.since),
        )
    )  # fmt: skip


def proved(session: Session, client_id: str, phones: Iterable[str], at: datetime) -> None:
    """Lift what says that these phones cannot be reached: a text has just arrived, or come.

    On all lists of the client, whichever of its senders the text was from.
    """
    lists = select(SuppressionList.id).where(SuppressionList.client_id == client_id)
    session.execute(
        update(SuppressionEntry)
        .where(
            SuppressionEntry.phone.in_(set(phones)),
            SuppressionEntry.reason == SuppressionReason.UNREACHABLE,
            SuppressionEntry.lifted_at.is_(None),
            SuppressionEntry.since <= at,
            SuppressionEntry.list_id.in_(lists),
        )
        .values(lifted_at=at)
        .execution_options(synchronize_session=False)
    )


def proved_by(session: Session, arrived: Iterable[tuple[Message, datetime]]) -> None:
    """Do :func:`proved` for texts that have arrived; each with when that was told."""
    phones: dict[str, set[str]] = {}
    last = datetime.min.replace(tzinfo=UTC)
    for message, at in arrived:
        if message.destination is Destination.SMS:
            phones.setdefault(message.client_id, set()).add(message.to)
            last = max(last, at)
    for client_id, found in phones.items():
        proved(session, client_id, found, last)
