"""How a batch ended for its members: who got it, why others did not, who took a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from app.domain.sending import call_retries, calls
from app.models.batch import Batch
from app.models.link import Click
from app.models.message import Message, MessageState
from app.models.route import Destination

COMPLETED = "completed"
_HAS_REASON = ("undelivered", "failed")
_OWN_REASON = (MessageState.REFUSED, MessageState.SUPPRESSED, MessageState.FAILED)
_WITH_REASON = {*_HAS_REASON, *(state.value for state in _OWN_REASON)}
WATCHED = timedelta(days=7)
"""How long after its start it is shown when links were opened."""
MOST_OPENED = 10_000
"""Openings that are looked at for that: the first ones, which tell how it went."""
_STEPS = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
_MOST_STEPS = 28


@dataclass(frozen=True)
class Ending:
    """So many members for whom it ended in the same way, for the same reason."""

    status: str
    """The public status of their messages."""
    count: int
    reason: str | None = None
    """Twilio's code in digits, or our own reason as ``message.problem`` names it."""
    answered_by: str | None = None
    """Of completed calls: ``human`` or ``machine``; None where nobody listened for it."""
    seconds: int = 0
    """How long these calls lasted altogether."""

    @property
    def code(self) -> int | None:
        """Twilio's code, where that is the reason."""
        return int(self.reason) if self.reason and self.reason.isdecimal() else None


@dataclass(frozen=True)
class Opened:
    """How often people opened the links of a batch within a stretch of time."""

    since: datetime
    count: int


def of_batch(session: Session, batch: Batch, counts: Mapping[str, int]) -> list[Ending]:
    """Divide the counts of a batch by reason and by who answered, the most frequent first.

    :param counts: as :func:`app.domain.sending.running.progress` gives them; who is counted there
        and has no message yet is given without a reason.
    """
    last = call_retries.is_last_try() if _is_of_calls(batch) else None
    found = list(_with_reasons(session, batch, last)) if _WITH_REASON & counts.keys() else []
    if last is not None and counts.get(COMPLETED):
        found += _answered(session, batch, last)
    told: Counter[str] = Counter()
    for one in found:
        told[one.status] += one.count
    rest = [Ending(status, count - told[status]) for status, count in counts.items()]
    return sorted([*found, *(one for one in rest if one.count > 0)], key=lambda one: -one.count)


def _is_of_calls(batch: Batch) -> bool:
    return batch.plan.get("destination") == Destination.VOICE


def _with_reasons(
    session: Session, batch: Batch, last: ColumnElement[bool] | None
) -> Iterator[Ending]:
    of = (Message.state, Message.status, Message.error_code, Message.reason)
    # Two statements: with an OR, SQLite would look at every message of the batch.
    for which in (
        Message.state.in_(_OWN_REASON),
        and_(Message.state == MessageState.ACCEPTED, Message.status.in_(_HAS_REASON)),
    ):
        query = select(*of, func.count()).where(Message.batch_id == batch.id, which)
        if last is not None:
            query = query.where(last)
        for state, status, code, reason, count in session.execute(query.group_by(*of)):
            named = str(code) if code is not None else reason
            yield Ending(Message(state=state, status=status).public_status, count, named)


def _answered(session: Session, batch: Batch, last: ColumnElement[bool]) -> Iterator[Ending]:
    who: Counter[str] = Counter()
    lasted: Counter[str] = Counter()
    lasting = func.coalesce(func.sum(func.coalesce(Message.call_duration, 0)), 0)
    rows = session.execute(
        select(Message.answered_by, func.count(), lasting)
        .where(
            Message.batch_id == batch.id, Message.state == MessageState.ACCEPTED,
            Message.status == COMPLETED, last,
        )
        .group_by(Message.answered_by)
    )  # fmt: skip
    for answered_by, count, seconds in rows:
        verdict = calls.verdict(answered_by)
        who[verdict] += count
        lasted[verdict] += seconds
    for verdict, count in who.items():
        yield Ending(
            COMPLETED, count, answered_by=verdict or None, seconds=lasted[verdict]
        )  # fmt: skip


def fitting(reason: str, answered_by: str) -> list[ColumnElement[bool]]:
    """Return the conditions on messages that ended for this reason, or were answered so.

    :param reason: as in :class:`Ending`; empty for any.
    :param answered_by: ``human`` or ``machine``; empty for either.
    """
    found: list[ColumnElement[bool]] = []
    if reason.isdecimal():
        found.append(Message.error_code == int(reason[:9]))
    elif reason:
        found += [Message.reason == reason, Message.error_code.is_(None)]
    machine = or_(Message.answered_by.startswith("machine"), Message.answered_by == "fax")
    if answered_by == calls.MACHINE:
        found.append(machine)
    elif answered_by == calls.HUMAN:
        found += [Message.answered_by.is_not(None), ~machine]
    return found


def opened(session: Session, batch: Batch, now: datetime) -> tuple[timedelta, list[Opened]]:
    """Return how often people opened the links of a batch, step by step since its start.

    :returns: the length of a step, and each step until now, for :data:`WATCHED` at most.
    """
    start = batch.started_at
    if start is None or now <= start:
        return _STEPS[0], []
    span = min(now - start, WATCHED)
    step = next((one for one in _STEPS if span / one <= _MOST_STEPS), _STEPS[-1])
    edges = [start]
    while edges[-1] + step < start + span:
        edges.append(edges[-1] + step)
    first = (
        select(Click.at.label("at"))
        .where(Click.batch_id == batch.id, Click.is_preview.is_(False))
        .order_by(Click.id)
        .limit(MOST_OPENED)
        .subquery()
    )
    at = first.c.at
    later = [(at < edge, number) for number, edge in enumerate(edges[1:])]
    place = case(*later, else_=len(edges) - 1) if later else literal(0)
    rows = session.execute(
        select(place, func.count()).where(at < start + span).group_by(place)
    )  # fmt: skip
    counts = {row[0]: row[1] for row in rows}
    return step, [Opened(edge, counts.get(number, 0)) for number, edge in enumerate(edges)]
