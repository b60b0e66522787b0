"""Claiming: which messages go next, and when, decided in one short transaction.

A claim marks its messages ``claimed`` and moves their lane's ``next_slot_us`` in the same commit,
so that a crash can lose a slot but never use one twice, and never send a message twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.orm import Session

from app.domain import quiet, statuses, suppression
from app.domain.messages import SUPPRESSED
from app.models.base import utcnow
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.communication import Communication
from app.models.credential import Credential
from app.models.message import Lane, Message, MessageState
from app.models.route import Channel
from app.models.sender import Sender

CLAIM_SECONDS = 30
"""A claim that is older than this belongs to a process that died; the sweep takes it up."""
HORIZON_US = 250_000
"""A message is claimed at most this long before its slot."""

# Written out, not bound: the planner has to see that the partial indexes fit.
_WAITING = text("message.state = 'waiting'")
_NOTHING_FORBIDS = text(
    "message.client_id NOT IN (SELECT id FROM client"
    " WHERE halted_at IS NOT NULL OR NOT twilio_enabled)"
    " AND message.sender_id NOT IN (SELECT id FROM sender WHERE stopped_at IS NOT NULL)"
    " AND message.credential_id NOT IN (SELECT id FROM credential WHERE stopped_at IS NOT NULL)"
)
_NOBODY_BEFORE = text(
    "NOT EXISTS (SELECT 1 FROM message AS other WHERE other.lane_key = message.lane_key"
    ' AND other."to" = message."to" AND other.id <> message.id'
    " AND other.state IN ('waiting', 'claimed')"
    " AND (other.state = 'claimed' OR (other.tries > 0 AND other.id < message.id)))"
)
"""The order to one person is kept: nothing overtakes a text that is on its way or tried again."""


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
    due = text(
        "EXISTS (SELECT 1 FROM message WHERE message.lane_key = batch.lane_key"
        " AND message.state = 'waiting' AND message.batch_id = batch.id"
        " AND message.due_at <= :now)"
    ).bindparams(bindparam("now", now, type_=Message.due_at.type))
    found = session.execute(
        select(Batch.id, Batch.lane_key, Client.time_zone, Client.quiet_from, Client.quiet_to)
        .join(Client, Client.id == Batch.client_id)
        .join(Communication, Communication.id == Batch.communication_id)
        .join(Sender, Sender.id == Communication.sender_id)
        .join(Credential, Credential.id == Sender.credential_id)
        .where(
            Batch.state == BatchState.RUNNING,
            Client.twilio_enabled,
            Client.halted_at.is_(None),
            Sender.stopped_at.is_(None),
            Credential.stopped_at.is_(None),
            due,
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
    due = (
        select(Message.id)
        .where(
            Message.lane_key == Lane.key,
            _WAITING,
            Message.batch_id.is_(None),
            Message.due_at <= now,
            _NOTHING_FORBIDS,
        )
        .correlate(Lane)
        .exists()
    )
    return set(session.scalars(select(Lane.key).where(due)))


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
    if count <= 0:
        return []
    due = (
        select(Message)
        .where(Message.lane_key == view.key, _WAITING, Message.due_at <= now, _NOBODY_BEFORE)
        .order_by(Message.due_at, Message.position, Message.id)
        .limit(count)
        .execution_options(populate_existing=True)
    )
    singles = due.where(Message.batch_id.is_(None), _NOTHING_FORBIDS)
    found = _one_each(session.scalars(singles), set())
    queues: list[list[Message]] = []
    for batch_id in _in_turn(view):
        if len(found) + len(queues) >= count:
            break
        queues.append(list(session.scalars(due.where(Message.batch_id == batch_id))))
    seen = {message.to for message in found}
    while len(found) < count and any(queues):
        for queue in queues:
            if queue and len(found) < count:
                found += _one_each([queue.pop(0)], seen)
    return found


def _in_turn(view: LaneView) -> list[str]:
    """Return the lane's batches, beginning after the one that was served last."""
    later = [batch for batch in view.batches if batch > (view.last_batch_id or "")]
    return later + [batch for batch in view.batches if batch not in later]


def _one_each(messages: Iterable[Message], seen: set[str]) -> list[Message]:
    """Leave out a second message to the same phone: it waits until the first has its SID."""
    first = []
    for message in messages:
        if message.to not in seen:
            seen.add(message.to)
            first.append(message)
    return first


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
        .where(Message.id.in_(ids), _WAITING)
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
