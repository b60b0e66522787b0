"""What goes out by itself, and what has: runs in the order of their times, for calendars."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile
from operator import attrgetter
from typing import Literal, TypeVarTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from app.domain.audience import dated
from app.domain.sending import recurrence, runs
from app.domain.sending.recurrence import RelativeSpec, Schedule
from app.models.audience import Member, people_of
from app.models.batch import Batch, BatchState
from app.models.client import Client
from app.models.communication import Communication
from app.models.run import CommunicationRun

MOST = 1_000
"""Runs that are listed at once."""
COUNTED = 20_000
"""Members whose dates are looked at for one list of runs; beyond this nobody is counted ahead."""
_WAITS = (BatchState.SCHEDULED, BatchState.AWAITING_APPROVAL)

Columns = TypeVarTuple("Columns")
Kind = Literal["repeat", "relative", "once"]


@dataclass(frozen=True)
class Run:
    """One time at which a communication goes out, or was to."""

    at: datetime
    communication: Communication
    kind: Kind
    state: str
    """``coming``, one of :class:`app.models.run.RunState`, or the state of a batch that waits."""
    people: int | None
    """Of a batch its members; of what is to come those whose date it is, where they are counted."""
    batch_id: str | None = None
    reason: str | None = None


def between(
    session: Session,
    client: Client,
    first: datetime,
    until: datetime,
    communication: Communication | None = None,
    most: int = MOST,
) -> list[Run]:
    """Return the client's runs from ``first`` until before ``until``, in the order of their times.

    :param communication: only this one's.
    :param most: the earliest so many.
    """
    ways = [
        *_coming(session, client, first, until, communication),
        _happened(session, client, first, until, communication, most),
        _scheduled(session, client, first, until, communication, most),
    ]
    return list(islice(heapq.merge(*ways, key=attrgetter("at")), most))


def without_date(session: Session, communication: Communication) -> int | None:
    """Count those of its list whose date cannot be read; None where that does not matter."""
    schedule, population = runs.schedule_of(communication), communication.population_id
    if not isinstance(schedule, RelativeSpec) or population is None:
        return None
    if _size(session, population) > COUNTED:
        return None
    return dated.without(session, population, schedule.attribute)


def _happened(
    session: Session, client: Client, first: datetime, until: datetime,
    communication: Communication | None, most: int,
) -> Iterator[Run]:  # fmt: skip
    query = (
        select(CommunicationRun, Communication, Batch.total)
        .join(Communication, Communication.id == CommunicationRun.communication_id)
        .outerjoin(Batch, Batch.id == CommunicationRun.batch_id)
        .where(
            CommunicationRun.client_id == client.id, CommunicationRun.at >= first,
            CommunicationRun.at < until,
        )
        .order_by(CommunicationRun.at)
    )  # fmt: skip
    for run, one, total in session.execute(_only(query, communication).limit(most)):
        kind: Kind = "relative" if one.relative else "repeat"
        yield Run(run.at, one, kind, run.state.value, total, run.batch_id, run.reason)


def _scheduled(
    session: Session, client: Client, first: datetime, until: datetime,
    communication: Communication | None, most: int,
) -> Iterator[Run]:  # fmt: skip
    """Yield the batches that somebody has started for later."""
    by_itself = select(CommunicationRun.batch_id).where(CommunicationRun.batch_id == Batch.id)
    query = (
        select(Batch, Communication)
        .join(Communication, Communication.id == Batch.communication_id)
        .where(
            Batch.client_id == client.id, Batch.state.in_(_WAITS), Batch.scheduled_at >= first,
            Batch.scheduled_at < until, ~by_itself.exists(),
        )
        .order_by(Batch.scheduled_at)
    )  # fmt: skip
    for batch, one in session.execute(_only(query, communication).limit(most)):
        people = batch.total if batch.state is BatchState.AWAITING_APPROVAL else None
        yield Run(batch.scheduled_at, one, "once", batch.state.value, people, batch.id)


def _coming(
    session: Session, client: Client, first: datetime, until: datetime,
    communication: Communication | None,
) -> Iterator[Iterator[Run]]:  # fmt: skip
    query = select(Communication).where(
        Communication.client_id == client.id, Communication.next_run_at < until
    )
    left = COUNTED
    for one in session.scalars(_only(query, communication)).all():
        schedule = runs.schedule_of(one)
        if schedule is None or one.next_run_at is None:
            continue
        begin = max(first, one.next_run_at)
        people = None
        if isinstance(schedule, RelativeSpec) and one.population_id is not None and left > 0:
            left -= _size(session, one.population_id)
            if left >= 0:
                people = _people(session, client, one, schedule, begin, until)
        yield _of(client, one, schedule, begin, until, people)


def _of(
    client: Client, one: Communication, schedule: Schedule, begin: datetime, until: datetime,
    people: dict[str, int] | None,
) -> Iterator[Run]:  # fmt: skip
    """Yield the coming runs of one communication; days on which nobody is due are left out."""
    times = recurrence.occurrences(schedule, client.time_zone, begin)
    kind: Kind = "relative" if isinstance(schedule, RelativeSpec) else "repeat"
    for run in takewhile(lambda time: time.at < until, times):
        if people is None:
            yield Run(run.at, one, kind, "coming", None)
        elif run.key[:10] in people:
            yield Run(run.at, one, kind, "coming", people[run.key[:10]])


def _people(
    session: Session, client: Client, one: Communication, schedule: RelativeSpec, begin: datetime,
    until: datetime,
) -> dict[str, int]:  # fmt: skip
    """Count who is due, by the day on which it goes out."""
    zone, days = ZoneInfo(client.time_zone), timedelta(days=schedule.days)
    first, last = (at.astimezone(zone).date() - days for at in (begin, until))
    found = dated.how_many(session, one.population_id or "", schedule.attribute, first, last)
    return {(day + days).isoformat(): count for day, count in found.items()}


def _size(session: Session, population_id: str) -> int:
    """Count the members of a population, as far as that matters."""
    some = select(Member.id).where(people_of(population_id)).limit(COUNTED + 1)
    return session.scalar(select(func.count()).select_from(some.subquery())) or 0


def _only(query: Select[*Columns], communication: Communication | None) -> Select[*Columns]:
    return query if communication is None else query.where(Communication.id == communication.id)
