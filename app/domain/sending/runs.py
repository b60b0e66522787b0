"""Communications that go out by themselves: when the next run is due, and that it happens once.

`Communication.next_run_at` says when there is something to do. A run is a row of
`CommunicationRun`, written in the transaction that starts its batch and moves that time on: a
process that dies before has done nothing, and of two at once one finds it done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.audience import taking
from app.domain.audience.dated import Dated
from app.domain.reach import Refusal
from app.domain.relaying import notices
from app.domain.sending import communications, recurrence
from app.domain.sending.recurrence import Occurrence, RelativeSpec, Schedule
from app.models.audience import Population
from app.models.base import utcnow
from app.models.client import Client
from app.models.communication import Communication
from app.models.run import CommunicationRun, RunState

GRACE = timedelta(hours=12)
"""What could not go out for longer than this does not go out any more."""
BY = "dispatch"


def schedule_of(communication: Communication) -> Schedule | None:
    """Return when a communication goes out by itself; None where people start it."""
    return recurrence.stored(communication.repeat, communication.relative)


def arm(session: Session, communication: Communication) -> None:
    """Note when the next run is due, after what it depends on has changed.

    One that is due already stays due, if it is still to go out then.
    """
    schedule, now, due = schedule_of(communication), utcnow(), communication.next_run_at
    communication.next_run_at = None
    if schedule is None:
        return
    zone = _zone(session, communication)
    if due is not None and due <= now:
        first = next(recurrence.occurrences(schedule, zone, due), None)
        if first is not None and first.at == due:
            communication.next_run_at = due
            return
    following = recurrence.next_after(schedule, zone, now)
    communication.next_run_at = following.at if following else None


@dataclass(frozen=True)
class Counted:
    """Whom a run is for, counted before its transaction, which would keep other writers waiting."""

    population_id: str
    revision: int
    about: Dated
    total: int


def count(session: Session, communication_id: str) -> Counted | None:
    """Count those of the date that the run is about which is due; None where it is about none."""
    communication = session.get_one(Communication, communication_id, populate_existing=True)
    schedule, due = schedule_of(communication), communication.next_run_at
    if not isinstance(schedule, RelativeSpec) or due is None:
        return None
    run = next(recurrence.occurrences(schedule, _zone(session, communication), due), None)
    population = session.get(Population, communication.population_id or "", populate_existing=True)
    if run is None or population is None:
        return None
    about = Dated(schedule.attribute, schedule.date_of(run))
    revision = population.revision
    return Counted(population.id, revision, about, taking.count(session, population.id, about))


def start(
    session: Session,
    communication_id: str,
    held_since: datetime | None,
    counted: Counted | None = None,
) -> bool:
    """Let what is due of a communication happen, and note when to look again.

    What was missed for longer than :data:`GRACE` is skipped, and told.

    :param held_since: when all sending was held because the database was restored; None while it
        is not. What was due before may have gone out and is skipped; what is due since waits.
    :param counted: what :func:`count` has found.
    :returns: whether anything happened, or is to be tried at once again.
    """
    communication = session.get_one(
        Communication, communication_id, with_for_update=True, populate_existing=True
    )
    now, due = utcnow(), communication.next_run_at
    if due is None or due > now:
        return False  # another process was quicker, or somebody has changed it
    schedule, zone = schedule_of(communication), _zone(session, communication)
    if schedule is None:
        communication.next_run_at = None
        return True
    coming = recurrence.occurrences(schedule, zone, due)
    runs = list(takewhile(lambda one: one.at <= now, coming))
    late = [one for one in runs if _is_missed(one, now, held_since)]
    if late:
        _skip(session, communication, schedule, late, is_restored=held_since is not None)
    elif runs and held_since is not None:
        return False
    elif runs and not _run(session, communication, schedule, runs[0], counted):
        return True
    done = late[-1] if late else runs[0] if runs else None
    following = recurrence.next_after(schedule, zone, done.at if done else now)
    communication.next_run_at = following.at if following else None
    session.flush()
    return True


def bring_back(session: Session, communication_id: str) -> bool:
    """Mend the time of the next run where it lies later than it can; return whether it did.

    So it is after a clock that was ahead, or when the client has moved to another zone.
    """
    communication = session.get_one(
        Communication, communication_id, with_for_update=True, populate_existing=True
    )
    if not is_too_late(session, communication, utcnow()):
        return False
    session.execute(
        delete(CommunicationRun).where(
            CommunicationRun.communication_id == communication_id,
            CommunicationRun.state == RunState.SKIPPED,
            CommunicationRun.at > utcnow(),
        )
    )
    arm(session, communication)
    return True


def is_too_late(session: Session, communication: Communication, now: datetime) -> bool:
    """Tell whether a communication waits for a time after its next one."""
    schedule, due = schedule_of(communication), communication.next_run_at
    if schedule is None or due is None or due <= now:
        return False
    following = recurrence.next_after(schedule, _zone(session, communication), now)
    if following is None or due <= following.at:
        return False
    done = select(CommunicationRun.key).where(
        CommunicationRun.communication_id == communication.id,
        CommunicationRun.key == following.key,
        CommunicationRun.state != RunState.SKIPPED,
    )
    return session.scalar(done) is None


def _is_missed(run: Occurrence, now: datetime, held_since: datetime | None) -> bool:
    return now - run.at > GRACE or (held_since is not None and run.at <= held_since)


def _run(
    session: Session,
    communication: Communication,
    schedule: Schedule,
    run: Occurrence,
    counted: Counted | None,
) -> bool:
    """Start the batch of a run, unless it has been, or there is nobody to send to.

    :returns: False where its people have changed since they were counted.
    """
    if session.get(CommunicationRun, (communication.id, run.key)) is not None:
        return True
    row = _row(communication, run, RunState.STARTED)
    actor = communication.scheduled_by or BY
    try:
        population = session.get_one(Population, communications.population_of(communication))
        session.refresh(population, with_for_update={"read": True})
        about, total = None, None
        if isinstance(schedule, RelativeSpec):
            about = Dated(schedule.attribute, schedule.date_of(run))
            if counted is None or not _still_holds(counted, population, about):
                return False
            total = counted.total
        if total or (total is None and taking.has_any(session, population.id)):
            batch = communications.start_batch(session, communication, actor, run.at, about, total)
            row.batch_id = batch.id
        else:
            row.state = RunState.NOBODY
    except Refusal as refusal:
        row.state, row.reason = RunState.REFUSED, refusal.sentence[:500]
        _tell(session, communication, run, f"It did not go out: {refusal.sentence}")
    session.add(row)
    session.flush()
    return True


def _still_holds(counted: Counted, population: Population, about: Dated) -> bool:
    now = (population.id, population.revision, about)
    return (counted.population_id, counted.revision, counted.about) == now


def _skip(
    session: Session,
    communication: Communication,
    schedule: Schedule,
    runs: Sequence[Occurrence],
    *,
    is_restored: bool,
) -> None:
    """Note and tell that runs do not go out; the last of them stands for all."""
    last = runs[-1]
    if session.get(CommunicationRun, (communication.id, last.key)) is not None:
        return
    row = _row(communication, last, RunState.SKIPPED)
    if is_restored:
        why = (
            "It may have gone out: the database was restored from a backup that is older than this"
            " run. Look into Twilio's log, then start it by hand if it did not."
        )
    else:
        hours = GRACE // timedelta(hours=1)
        why = f"Dispatch could not send for more than {hours} hours after its time."
    times = f" So it was with {len(runs)} runs since {runs[0].key}." if len(runs) > 1 else ""
    row.reason = f"Skipped. {why}{times}"[:500]
    session.add(row)
    session.flush()
    target = f"run of {communication.name}"
    details = {"run": last.key, "runs": len(runs), "reason": why}
    audit.record(session, BY, "skip", target, communication.client_id, details)
    _tell(session, communication, last, f"{row.reason} It goes out {schedule.words} from now on.")


def _row(communication: Communication, run: Occurrence, state: RunState) -> CommunicationRun:
    return CommunicationRun(
        communication_id=communication.id, key=run.key, client_id=communication.client_id,
        at=run.at, state=state,
    )  # fmt: skip


def _tell(session: Session, communication: Communication, run: Occurrence, said: str) -> None:
    """Write to the owner, and to whoever has set it up."""
    client = session.get_one(Client, communication.client_id)
    people = {client.owner_email}
    if communication.scheduled_by and "@" in communication.scheduled_by:
        people.add(communication.scheduled_by)
    notices.notify(
        session,
        people,
        f"“{communication.name}” did not go out",
        f"“{communication.name}” was to go out by itself on {run.local:%Y-%m-%d} at"
        f" {run.local:%H:%M}.\n\n{said}\n",
        dedupe_key=f"run:{communication.id}:{run.key}",
    )


def _zone(session: Session, communication: Communication) -> str:
    return session.get_one(Client, communication.client_id).time_zone
