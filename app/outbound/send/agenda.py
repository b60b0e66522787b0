"""What lanes have to do next, and when: read by whoever drains them, and by the clock.

A lane counts only when something may really go out of it soon: a message is due that nothing
forbids, the lane is not held, its next slot is near, and nobody else is at work on it. So nobody
looks again and again at what cannot be done yet, and what it costs to look grows with the lanes in
which something waits, not with all there are.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import CTE, Select, case, delete, func, literal_column, or_, select
from sqlalchemy.orm import Session

from app.domain import aside, clocks, wake
from app.domain.clients import spending
from app.domain.sending import breaker, lanes, quiet
from app.extensions import db, redis_client, unit_of_work
from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Lane, Message
from app.models.sender import Sender
from app.outbound.send import claims
from app.outbound.send.candidates import QUEUE, WAITING, nothing_forbids
from app.outbound.send.claims import LONGEST_HOLD

SOON = timedelta(seconds=1.5)
"""What falls due within this is waited for; what is later is found by the clock, every second."""
LEASE = timedelta(seconds=5)
"""How long the lanes of a process that died stand still."""
DEAD_AFTER = timedelta(hours=1)
"""A lane that has stood idle for this long goes; the next message makes it again."""
MOST_DEAD = 500


@dataclass(frozen=True)
class Duty:
    """A lane in which something may go out soon."""

    key: str
    rate: float
    next_slot_us: int
    lease_token: str | None
    lease_until: datetime | None
    single: bool
    """Whether a single message is due, besides the batches."""
    batches: list[str] = field(default_factory=list)

    def is_free(self, now: datetime, token: str) -> bool:
        """Tell whether whoever goes by ``token`` may lease it now."""
        return self.lease_token == token or clocks.is_over(self.lease_until, now, LEASE)


def due(session: Session, now: datetime, token: str | None = None) -> dict[str, Duty]:
    """Return by key the lanes in which something may go out soon.

    :param now: by the database's clock.
    :param token: of the process that asks; lanes that others are at work on are left out.
    """
    soon = now + SOON
    found = session.execute(_open_lanes(now, soon, token)).all()
    if not found:
        return {}
    lost = [row.lane for row in found if row.key is None]
    batches: dict[str, list[str]] = defaultdict(list)
    for batch_id, lane_key in runnable_batches(session, now, soon):
        batches[lane_key].append(batch_id)
    duties = [
        Duty(row.key, row.rate, row.next_slot_us, row.lease_token, row.lease_until,
             row.single is not None, batches[row.key])
        for row in found
        if row.key is not None and (row.single is not None or row.key in batches)
    ]  # fmt: skip
    if lost:
        aside.one_by_one("send", lost, str, _make_again)
    return {duty.key: duty for duty in duties}


def wake_due() -> bool:
    """Wake a worker if something falls due that nobody is at work on; the clock asks every second.

    :returns: whether it did.
    """
    session = db.session()
    found = due(session, clocks.db_now(session))
    session.rollback()
    return bool(found) and wake.enqueue_drain("send", redis_client())


def runnable_batches(
    session: Session, now: datetime, soon: datetime | None = None
) -> list[tuple[str, str]]:
    """Return (batch, lane) of the batches that run, may send at ``now`` and have something due.

    :param soon: what falls due until then counts as well.
    """
    first = _first_due(soon or now).where(Message.lane_key == Batch.lane_key, Batch.id == QUEUE)
    running = Batch.state == BatchState.RUNNING, aside.free("batch", Batch.id)
    held = case(
        (Batch.lane_key.startswith("voice:"), Client.calls_held_until),
        else_=Client.texts_held_until,
    )
    query = (
        select(Batch.id, Batch.lane_key, Client.time_zone, Client.quiet_from, Client.quiet_to)
        .join(Client, Client.id == Batch.client_id)
        # The sender that is pinned: the communication may have been given another one since.
        .join(Sender, Sender.id == Batch.plan["sender_id"].as_string())
        .join(Credential, Credential.id == Sender.credential_id)
        .where(
            *running,
            Client.twilio_enabled,
            Client.halted_at.is_(None),
            Sender.stopped_at.is_(None),
            Credential.stopped_at.is_(None),
            Credential.unconfirmed_since.is_(None),
            or_(held.is_(None), clocks.has_come(held, soon or now, spending.LONGEST)),
            breaker.holds_no_batch(soon or now),
            aside.free("credential", Credential.id),
            first.correlate(Batch).scalar_subquery().is_not(None),
        )
        .order_by(Batch.id)
    )
    found = aside.rows("batch", session, query, Batch.id, select(Batch.id).where(*running))
    awake = aside.one_by_one(
        "batch", found, lambda row: str(row.id),
        lambda row: quiet.until(now, row.time_zone, row.quiet_from, row.quiet_to) is None and row,
    )  # fmt: skip
    return [(row.id, row.lane_key) for row in awake if row]


def _open_lanes(now: datetime, soon: datetime, token: str | None) -> Select[*tuple[object, ...]]:
    """Return the query for the lanes with something that waits, and when singles fall due.

    Those that are missing are among them, with nothing but the key that messages have.
    """
    waiting = _lanes_with_waiting()
    single = _first_due(soon).where(
        Message.lane_key == waiting.c.lane,
        literal_column("''") == QUEUE,
        nothing_forbids(now),
        aside.free("send", Message.id),
    )
    mine = (Lane.lease_token == token) if token else Lane.lease_token.is_(None)
    return (
        select(
            waiting.c.lane, Lane.key, Lane.rate, Lane.next_slot_us, Lane.lease_token,
            Lane.lease_until, single.correlate(waiting).scalar_subquery().label("single"),
        )
        .outerjoin_from(waiting, Lane, Lane.key == waiting.c.lane)
        .where(
            waiting.c.lane.is_not(None),
            aside.free("send", waiting.c.lane),
            or_(Lane.held_until.is_(None), clocks.has_come(Lane.held_until, soon, LONGEST_HOLD)),
            or_(Lane.key.is_(None), claims.slot_comes_by(now, soon)),
            or_(Lane.lease_until.is_(None), clocks.has_come(Lane.lease_until, soon, LEASE), mine),
        )
    )  # fmt: skip


def _lanes_with_waiting() -> CTE:
    """Return every lane in which something waits, each found by one step along the index."""
    first = select(func.min(Message.lane_key)).where(WAITING).scalar_subquery()
    found = select(first.label("lane")).cte("waiting", recursive=True)
    following = (
        select(func.min(Message.lane_key))
        .where(WAITING, Message.lane_key > found.c.lane)
        .correlate(found)
        .scalar_subquery()
    )
    return found.union_all(select(following).where(found.c.lane.is_not(None)))


def _first_due(until: datetime) -> Select[datetime | None]:
    """Return the query for the first message that falls due, to be asked for each lane or batch.

    Not an EXISTS, which planners turn into a join over everything that waits.
    """
    return (
        select(Message.due_at)
        .where(WAITING, Message.due_at <= until)
        .order_by(Message.due_at)
        .limit(1)
    )


def _make_again(key: str) -> None:
    """Make a lane that went as idle when a message for it was just being written."""
    with unit_of_work() as session:
        lanes.make(session, key)


def forget_dead_lanes() -> int:
    """Remove lanes that have stood idle for long and that nothing waits in; return how many.

    Some at a time, for a second at most: the clock has other things to do.
    """
    end, gone = time.monotonic() + 1.0, 0
    while (some := _forget_some()) == MOST_DEAD and time.monotonic() < end:
        gone += some
    return gone + some


def _forget_some() -> int:
    long_ago = clocks.microseconds(clocks.db_now(db.session()) - DEAD_AFTER)
    idle = (
        Lane.next_slot_us < long_ago,
        or_(Lane.held_until.is_(None), Lane.held_until < utcnow() - DEAD_AFTER),
        or_(Lane.lease_until.is_(None), Lane.lease_until < utcnow() - DEAD_AFTER),
        ~select(Message.id).where(WAITING, Message.lane_key == Lane.key).correlate(Lane).exists(),
    )
    dead = db.session.scalars(select(Lane.key).where(*idle).limit(MOST_DEAD)).all()
    db.session.rollback()
    if not dead:
        return 0
    with unit_of_work() as session:
        gone = session.scalars(
            delete(Lane)
            .where(Lane.key.in_(dead), *idle)
            .returning(Lane.key)
            .execution_options(synchronize_session=False)
        ).all()
    return len(gone)
