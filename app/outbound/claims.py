"""Claiming: which messages go next, and when, decided in one short transaction.

A claim marks its messages ``claimed`` and moves their lane's ``next_slot_us`` in the same commit,
so that a crash can lose a slot but never use one twice, and never send a message twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    TextClause,
    bindparam,
    func,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from app.domain import quiet, statuses, suppression
from app.domain.messages import SUPPRESSED
from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Lane, Message, MessageState
from app.models.route import Channel
from app.models.sender import Sender

CLAIM_SECONDS = 30
"""A claim that is older than this belongs to a process that died; the sweep takes it up."""
_PAGES = 8
HORIZON_US = 250_000
"""A message is claimed at most this long before its slot."""

# Written out, not bound: the planner has to see that the partial indexes fit.
_WAITING = text("message.state = 'waiting'")
_STILL_WAITING = text("message.state || '' = 'waiting'")
"""For messages known by their ids, which must not be looked for by any other index."""
_QUEUE = func.coalesce(Message.batch_id, literal_column("''"))
"""The second column of the index of what waits: the batch, or nothing for single messages. No
other index has it, so that no planner can mistake another one for the shorter way, whatever it
believes about a table that has just taken in 100,000 rows."""
_AHEAD = text(
    "message.state IN ('waiting', 'claimed') AND (message.state = 'claimed' OR message.tries > 0)"
)
_NOTHING_FORBIDS = text(
    "message.client_id NOT IN (SELECT id FROM client"
    " WHERE halted_at IS NOT NULL OR NOT twilio_enabled)"
    " AND message.sender_id NOT IN (SELECT id FROM sender WHERE stopped_at IS NOT NULL)"
    " AND message.credential_id NOT IN (SELECT id FROM credential WHERE stopped_at IS NOT NULL)"
)


@dataclass
class LaneView:
    """What a drain knows of a lane that it has leased."""

    key: str
    rate: float
    next_slot_us: int
    last_batch_id: str | None = None
    batches: list[str] = field(default_factory=list)
    """Batches that run in this lane, may send now and have something due."""


@dataclass(frozen=True)
class Outgoing:
    """A claimed message with all that its POST needs; no database row."""

    id: str
    destination: Channel
    lane_key: str
    slot_us: int
    cost_us: int
    """How long the lane is taken by it."""
    to: str
    from_: str
    body: str
    media: tuple[str, ...]
    options: dict[str, Any]
    credential_id: str
    claim_token: str
    tries: int
    """How often it has been tried, this time included."""


def runnable_batches(session: Session, now: datetime) -> list[tuple[str, str]]:
    """Return (batch, lane) of the batches that run, may send at ``now`` and have something due."""
    due = _first_due(Message.lane_key == Batch.lane_key, Batch.id == _QUEUE, now=now)
    found = session.execute(
        select(Batch.id, Batch.lane_key, Client.time_zone, Client.quiet_from, Client.quiet_to)
        .join(Client, Client.id == Batch.client_id)
        # The sender that is pinned: the communication may have been given another one since.
        .join(Sender, Sender.id == Batch.plan["sender_id"].as_string())
        .join(Credential, Credential.id == Sender.credential_id)
        .where(
            Batch.state == BatchState.RUNNING,
            Client.twilio_enabled,
            Client.halted_at.is_(None),
            Sender.stopped_at.is_(None),
            Credential.stopped_at.is_(None),
            due.correlate(Batch).scalar_subquery().is_not(None),
        )
        .order_by(Batch.id)
    )
    return [
        (batch_id, lane_key)
        for batch_id, lane_key, zone, begin, end in found
        if quiet.until(now, zone, begin, end) is None
    ]


def lanes_with_singles(session: Session, now: datetime) -> set[str]:
    """Return the lanes in which a single message is due and may go."""
    due = _first_due(Message.lane_key == Lane.key, _QUEUE == "", _NOTHING_FORBIDS, now=now)
    return set(
        session.scalars(select(Lane.key).where(due.correlate(Lane).scalar_subquery().is_not(None)))
    )


def _first_due(*conditions: ColumnElement[bool] | TextClause, now: datetime) -> Select[str]:
    """Return the query for the first message that is due, to be asked for each lane or batch.

    Not an EXISTS, which planners turn into a join over everything that waits.
    """
    return (
        select(Message.id)
        .where(*conditions, _WAITING, Message.due_at <= now)
        .order_by(Message.due_at)
        .limit(1)
    )


def claim(
    session: Session,
    lanes: Sequence[tuple[LaneView, int]],
    now_us: int,
    token: str,
) -> list[Outgoing]:
    """Claim what goes next in each lane, within the caller's transaction.

    Single messages go first, then batches in turn. The suppression list is asked here, at the
    moment of sending.

    :param lanes: each with the most that may be claimed for it; a view's ``next_slot_us`` is a
        floor below which no slot is given, and is moved on.
    :param token: the lease under which these lanes are held.
    """
    now = _time(now_us)
    states = {row.key: row for row in _locked(session, [view.key for view, _ in lanes], token)}
    chosen: list[tuple[LaneView, Message, int, int]] = []
    for view, most in lanes:
        state = states.get(view.key)
        if state is None or (state.held_until is not None and state.held_until > now):
            continue
        view.rate = state.rate
        view.next_slot_us = max(view.next_slot_us, state.next_slot_us, now_us)
        candidates = _candidates(session, view, now, _room(view, now_us, most))
        for message in _without_suppressed(session, candidates):
            if view.next_slot_us > now_us + HORIZON_US:
                break
            cost = cost_us(message.segments, view.rate)
            chosen.append((view, message, view.next_slot_us, cost))
            view.next_slot_us += cost
            view.last_batch_id = message.batch_id or view.last_batch_id
    taken = _mark(session, [message.id for _, message, _, _ in chosen], now, token)
    _move(session, {view.key: view for view, *_ in chosen}.values(), token)
    return [
        _outgoing(message, view.key, slot, cost, token)
        for view, message, slot, cost in chosen
        if message.id in taken
    ]


def cost_us(segments: int, rate: float) -> int:
    """Return how long a message takes its lane: whole microseconds, never too few."""
    return -int(-max(segments, 1) * 1_000_000 // rate)


def _locked(session: Session, keys: Sequence[str], token: str) -> Sequence[Lane]:
    """Return the lanes that are still ours, locked until the commit."""
    return session.scalars(
        select(Lane)
        .where(Lane.key.in_(keys), Lane.lease_token == token)
        .order_by(Lane.key)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def _room(view: LaneView, now_us: int, most: int) -> int:
    """Return how many messages of one segment fit before the horizon."""
    free = now_us + HORIZON_US - view.next_slot_us
    return min(most, int(free // cost_us(1, view.rate)) + 1) if free >= 0 else 0


def _candidates(session: Session, view: LaneView, now: datetime, count: int) -> list[Message]:
    """Return what goes next: single messages, then one of each batch in turn."""
    if count <= 0:
        return []
    taken: set[str] = set()
    found = _next(session, view.key, None, now, count, taken)
    queues: list[list[Message]] = []
    for batch_id in _in_turn(view):
        if len(found) + len(queues) >= count:
            break
        queues.append(_next(session, view.key, batch_id, now, count, taken))
    while len(found) < count and any(queues):
        for queue in queues:
            if queue and len(found) < count:
                found.append(queue.pop(0))
    return found


def _next(
    session: Session, lane_key: str, batch_id: str | None, now: datetime, count: int,
    taken: set[str],
) -> list[Message]:  # fmt: skip
    """Return up to `count` messages that are due, in order, each to another phone.

    The order to one person is kept: nothing overtakes a text to the same phone that is on its way
    or will be tried again. Phones whose turn it is not are passed over, a page at a time.

    :param taken: the phones that have been chosen already; those chosen here are added.
    """
    found: list[Message] = []
    passed = set(taken)
    for _ in range(_PAGES):
        page = _page(session, lane_key, batch_id, now, 2 * count + 10, passed)
        blocked = _blocked(session, lane_key, page)
        for message in page:
            if len(found) < count and message.to not in taken and message.id not in blocked:
                taken.add(message.to)
                found.append(message)
        passed |= {message.to for message in page}
        if len(found) >= count or len(page) < 2 * count + 10:
            break
    return found


def _page(
    session: Session, lane_key: str, batch_id: str | None, now: datetime, size: int,
    passed: set[str],
) -> Sequence[Message]:  # fmt: skip
    """Read the next messages by the index of what waits, whose order this is."""
    due = (
        select(Message)
        .where(
            Message.lane_key == lane_key,
            literal(batch_id or "") == _QUEUE,
            _WAITING,
            Message.due_at <= now,
        )
        .order_by(Message.due_at, Message.position)
        .limit(size)
        .execution_options(populate_existing=True)
    )
    if passed:
        due = due.where(Message.to.not_in(passed))
    if batch_id is None:
        due = due.where(_NOTHING_FORBIDS)
    return session.scalars(due).all()


def _blocked(session: Session, lane_key: str, page: Sequence[Message]) -> set[str]:
    """Return the ids among `page` that have to wait for an earlier text to the same phone."""
    if not page:
        return set()
    ahead = session.execute(
        select(Message.to, Message.id, Message.state).where(
            Message.lane_key == lane_key,
            Message.to.in_({message.to for message in page}),
            _AHEAD,
        )
    ).all()
    earlier: dict[str, list[tuple[str, MessageState]]] = defaultdict(list)
    for to, id_, state in ahead:
        earlier[to].append((id_, state))
    return {
        message.id
        for message in page
        if any(
            state is MessageState.CLAIMED or id_ < message.id
            for id_, state in earlier[message.to]
            if id_ != message.id
        )
    }


def _in_turn(view: LaneView) -> list[str]:
    """Return the lane's batches, beginning after the one that was served last."""
    later = [batch for batch in view.batches if batch > (view.last_batch_id or "")]
    return later + [batch for batch in view.batches if batch not in later]


def _without_suppressed(session: Session, messages: Sequence[Message]) -> list[Message]:
    listed = suppression.listed_among(
        session,
        {message.suppression_list_id for message in messages if message.suppression_list_id},
        {message.to for message in messages if message.suppression_list_id},
    )
    if not listed:
        return list(messages)
    allowed = []
    for message in messages:
        sender = session.get_one(Sender, message.sender_id)
        scopes = suppression.scopes_of(sender.id, sender.service_id)
        if any((message.suppression_list_id, message.to, scope) in listed for scope in scopes):
            statuses.end(
                session,
                message.id,
                MessageState.SUPPRESSED,
                before=(MessageState.WAITING,),
                reason="suppressed",
                error_message=SUPPRESSED,
            )
        else:
            allowed.append(message)
    return allowed


def _mark(session: Session, ids: Sequence[str], now: datetime, token: str) -> set[str]:
    """Mark the messages as claimed; return those that still waited."""
    if not ids:
        return set()
    marked = session.scalars(
        update(Message)
        .where(Message.id.in_(ids), _STILL_WAITING)
        .values(
            state=MessageState.CLAIMED,
            claimed_at=now,
            claim_token=token,
            tries=Message.tries + 1,
            check_at=now + timedelta(seconds=CLAIM_SECONDS),
            updated_at=utcnow(),
        )
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return set(marked)


def _move(session: Session, views: Iterable[LaneView], token: str) -> None:
    moved = [
        {"lane": view.key, "slot": view.next_slot_us, "batch": view.last_batch_id} for view in views
    ]
    if moved:
        table = Lane.__table__
        session.connection().execute(
            table.update()  # type: ignore[attr-defined]
            .where(table.c.key == bindparam("lane"), table.c.lease_token == token)
            .values(next_slot_us=bindparam("slot"), last_batch_id=bindparam("batch")),
            moved,
        )


def _outgoing(message: Message, lane: str, slot: int, cost: int, token: str) -> Outgoing:
    return Outgoing(
        id=message.id,
        destination=message.destination,
        lane_key=lane,
        slot_us=slot,
        cost_us=cost,
        to=message.to,
        from_=message.from_,
        body=message.body or "",
        media=tuple(message.media),
        options=message.options,
        credential_id=message.credential_id,
        claim_token=token,
        tries=message.tries + 1,
    )


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
