"""Who of those whose turn has come is outside their hours: they wait, each until theirs open.

Asked at the claim, beside the other rules; a message of a batch that is put off is not looked at
again before its time. When a zone closes, thousands may be due at once: so whoever finds one that
is outside puts off some of those that follow as well, and those who are inside get their turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from app.domain.sending import recipient_hours
from app.domain.sending.recipient_hours import Opening
from app.models.client import Client
from app.models.message import Message
from app.outbound.send import candidates
from app.outbound.send.candidates import Candidate

AHEAD, AHEAD_ON_SQLITE = 400, 60
"""Messages of one batch that are looked at together once one of them is outside."""


def put_off(
    session: Session,
    messages: Iterable[Candidate],
    client_of: Callable[[Candidate], Client],
    now: datetime,
) -> set[str]:
    """Let those of batches wait whose people are outside their hours; return their ids."""
    openings: dict[str, Opening | None] = {}
    later: dict[datetime, set[str]] = defaultdict(set)
    queues: dict[tuple[str, str], Opening] = {}
    for one in messages:
        if one.batch_id is None:
            continue
        client = client_of(one)
        if client.id not in openings:
            openings[client.id] = recipient_hours.opening(client, now)
        opening = openings[client.id]
        if opening is not None and (at := opening(one.to)) is not None:
            later[at].add(one.id)
            queues[one.lane_key, one.batch_id] = opening
    waiting = {id_ for ids in later.values() for id_ in ids}
    if not waiting:
        return set()
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    size = AHEAD_ON_SQLITE if is_sqlite else AHEAD
    for (lane, batch), opening in queues.items():
        for id_, to in candidates.following(session, lane, batch, now, size):
            if (at := opening(to)) is not None:
                later[at].add(id_)
    _write(session, later)
    return waiting


def _write(session: Session, later: Mapping[datetime, set[str]]) -> None:
    for at, ids in later.items():
        session.execute(
            update(Message)
            .where(Message.id.in_(ids), text("message.state || '' = 'waiting'"))
            .values(due_at=at)
            .execution_options(synchronize_session=False)
        )
