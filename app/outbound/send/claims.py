"""Claiming: which messages go next, and when, decided in one short transaction.

A claim marks its messages ``claimed`` and moves their lane's ``next_slot_us`` in the same commit,
so that a crash can lose a slot but never use one twice, and never send a message twice.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, text, update
from sqlalchemy.orm import Session

from app.domain import clocks
from app.domain.sending import breaker
from app.models.base import new_id, utcnow
from app.models.message import Lane, Message, MessageState
from app.models.route import Destination
from app.outbound.send import candidates
from app.outbound.send.admission import Admission
from app.outbound.send.candidates import Candidate, Wanted

CLAIM_SECONDS = 30
"""A claim that is older than this belongs to a process that died; the sweep takes it up."""
HORIZON_US = 250_000
"""A message is claimed at most this long before its slot."""
MOST_SEGMENTS = 30
"""More than a text of 1,600 characters can have."""
LONGEST_PUSH_US = 5_000_000
"""By how much a process whose threads were late may push a lane's next slot away."""
LONGEST_HOLD = timedelta(seconds=60)
"""For how long a lane stands still at most because Twilio asked us to wait."""

_STILL_WAITING = text("message.state || '' = 'waiting'")
"""For messages known by their ids, which must not be looked for by any other index."""


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
    destination: Destination
    lane_key: str
    slot_us: int
    cost_us: int
    """How long the lane is taken by it."""
    segments: int
    to: str
    from_: str
    body: str
    media: tuple[str, ...]
    options: dict[str, Any]
    credential_id: str
    claim_token: str
    """Names this one claim: whoever finds it on the message knows that nobody claimed it since."""
    tries: int
    """How often it has been tried, this time included."""
    breaker_key: str = ""
    """Of :class:`app.models.breaker.Breaker`."""


def claim(
    session: Session,
    lanes: Sequence[tuple[LaneView, int]],
    now_us: int,
    token: str,
) -> list[Outgoing]:
    """Claim what goes next in each lane, within the caller's transaction.

    Single messages go first, then batches in turn. The rules and limits are asked here, at
    the moment of sending.

    :param lanes: each with the most that may be claimed for it; a view's ``next_slot_us`` is a
        floor below which no slot is given, and is moved on.
    :param token: the lease under which these lanes are held.
    """
    now, mark = clocks.moment(now_us), new_id()
    states = {row.key: row for row in _locked(session, [view.key for view, _ in lanes], token)}
    views, wanted = [], []
    for view, most in lanes:
        state = states.get(view.key)
        if state is None or not clocks.is_over(state.held_until, now, LONGEST_HOLD):
            continue
        view.rate = state.rate
        stored_us = possible_slot_us(state.next_slot_us, now_us, view.rate)
        view.next_slot_us = max(view.next_slot_us, stored_us, now_us)
        room = _room(view, now_us, most)
        if room > 0:
            views.append(view)
            wanted.append(Wanted(view.key, in_turn(view), room))
    found = candidates.choose(session, wanted, now)
    waiting = [one for lane in found.values() for one in lane]
    admission = Admission(session, waiting, now)
    chosen = list(_given_slots(views, found, admission.admit(waiting), now_us))
    taken = _mark(session, [message.id for _, message, _, _ in chosen], now, mark)
    move(session, {view.key: view for view, *_ in chosen}.values(), token)
    admission.count([message for _, message, _, _ in chosen if message.id in taken])
    return [
        _outgoing(message, view.key, slot, cost, mark)
        for view, message, slot, cost in chosen
        if message.id in taken
    ]


def _given_slots(
    views: Sequence[LaneView],
    found: Mapping[str, Sequence[Candidate]],
    allowed: Container[str],
    now_us: int,
) -> Iterator[tuple[LaneView, Candidate, int, int]]:
    """Give the next slots of each lane, and move the lane on: slot and cost in microseconds."""
    for view in views:
        for message in found[view.key]:
            if message.id not in allowed:
                continue
            if view.next_slot_us > now_us + HORIZON_US:
                break
            cost = cost_us(message.segments, view.rate)
            yield view, message, view.next_slot_us, cost
            view.next_slot_us += cost
            view.last_batch_id = message.batch_id or view.last_batch_id


def possible_slot_us(slot_us: int, now_us: int, rate: float) -> int:
    """Return a lane's next slot; now, where no clock that is right can have put it so far ahead.

    A slot is given to what is claimed, at most :data:`HORIZON_US` ahead, and the next one follows
    when that has taken its time.
    """
    longest_us = max(cost_us(MOST_SEGMENTS, rate), LONGEST_PUSH_US)
    return slot_us if slot_us <= now_us + HORIZON_US + longest_us else now_us


def slot_comes_by(now: datetime, soon: datetime) -> ColumnElement[bool]:
    """Return the condition on a Lane that its :func:`possible_slot_us` comes until ``soon``."""
    ahead = Lane.next_slot_us - clocks.microseconds(now) - HORIZON_US
    impossible = and_(ahead > LONGEST_PUSH_US, ahead > MOST_SEGMENTS * 1e6 / Lane.rate)
    return or_(Lane.next_slot_us <= clocks.microseconds(soon), impossible)


def examine(session: Session, message_id: str, view: LaneView, now_us: int) -> None:
    """Do with one message what a claim does; raises what that would raise."""
    message = candidates.one(session, message_id)
    Admission(session, [message], clocks.moment(now_us)).admit([message])
    _outgoing(message, view.key, 0, cost_us(message.segments, view.rate), "")


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


def in_turn(view: LaneView) -> list[str]:
    """Return the lane's batches, beginning after the one that was served last."""
    later = [batch for batch in view.batches if batch > (view.last_batch_id or "")]
    return later + [batch for batch in view.batches if batch not in later]


def _mark(session: Session, ids: Sequence[str], now: datetime, mark: str) -> set[str]:
    """Mark the messages as claimed; return those that still waited."""
    if not ids:
        return set()
    marked = session.scalars(
        update(Message)
        .where(Message.id.in_(ids), _STILL_WAITING)
        .values(
            state=MessageState.CLAIMED,
            claimed_at=now,
            claim_token=mark,
            tries=Message.tries + 1,
            check_at=now + timedelta(seconds=CLAIM_SECONDS),
            updated_at=utcnow(),
        )
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return set(marked)


def move(session: Session, views: Iterable[LaneView], token: str) -> None:
    """Write down the next slots of lanes that are held under ``token``."""
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


def _outgoing(message: Candidate, lane: str, slot: int, cost: int, mark: str) -> Outgoing:
    return Outgoing(
        id=message.id,
        destination=message.destination,
        lane_key=lane,
        breaker_key=breaker.key_of(message),
        slot_us=slot,
        cost_us=cost,
        segments=message.segments,
        to=message.to,
        from_=message.from_,
        body=message.body or "",
        media=tuple(message.media),
        options=dict(message.options),
        credential_id=message.credential_id,
        claim_token=mark,
        tries=message.tries + 1,
    )
