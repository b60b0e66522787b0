"""Events that are written down at the very end of the transaction in which they happened.

An event locks its endpoint's row, because ``data.sequence`` counts per endpoint. Many transactions
tell the same endpoint about different messages, and some change many messages: if each event were
written at once, two of them could hold what the other waits for. So events wait in memory until
the commit, when all other rows are locked already, and are then written in the order of their
endpoints' ids. A rollback forgets them together with what they tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from app.domain.relaying import events
from app.domain.wake import wake
from app.extensions import db
from app.models.delivery import EventType

_WAITING = "outbox"
_WRITTEN = "outbox_written"


@dataclass(frozen=True)
class Happening:
    """What :func:`app.domain.relaying.events.record` takes, kept until the commit."""

    endpoint_id: str
    type: EventType
    data: Mapping[str, Any]
    client_id: str
    occurred_at: datetime
    dedupe_key: str
    message_id: str | None = None
    not_before: datetime | None = None
    """The first try waits until then, for something that is still to come."""


def tell(session: Session, happening: Happening) -> None:
    """Let ``happening`` be recorded when the current transaction commits; relay is then woken."""
    _waiting(session).append(happening)


def _waiting(session: Session) -> list[Happening]:
    """Return what waits in the current transaction; another transaction's is forgotten."""
    transaction = session.get_transaction() or session.begin()
    kept: tuple[SessionTransaction, list[Happening]] | None = session.info.get(_WAITING)
    if kept is None or kept[0] is not transaction:
        kept = (transaction, [])
        session.info[_WAITING] = kept
    return kept[1]


def _write(session: Session) -> None:
    kept: tuple[SessionTransaction, list[Happening]] | None = session.info.pop(_WAITING, None)
    if kept is None or kept[0] is not session.get_transaction():
        return
    for one in sorted(kept[1], key=lambda happening: happening.endpoint_id):
        events.record(
            session,
            one.endpoint_id,
            one.type,
            one.data,
            client_id=one.client_id,
            occurred_at=one.occurred_at,
            dedupe_key=one.dedupe_key,
            message_id=one.message_id,
            not_before=one.not_before,
        )
    if kept[1]:
        session.info[_WRITTEN] = True


def _wake(session: Session) -> None:
    if session.info.pop(_WRITTEN, False):
        wake("relay")


event.listen(db.session, "before_commit", _write)
event.listen(db.session, "after_commit", _wake)
