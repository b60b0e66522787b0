"""When a communication goes out by itself, as people set it: by form, file and API alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.domain import changes
from app.domain.changes import Change, Told
from app.domain.mistakes import Refused
from app.domain.sending import recurrence, runs
from app.domain.sending.recurrence import RelativeSpec, RepeatSpec
from app.models.communication import Communication

NO_LIST = "What goes out by itself needs a population: choose to whom it goes."
BOTH = ("repeat", "relative")
BY_HAND = "when somebody starts it"


def write(
    session: Session,
    row: Communication,
    repeat: RepeatSpec | None,
    relative: RelativeSpec | None,
    by: str,
    given: Collection[str] = BOTH,
) -> Mapping[str, Told]:
    """Write down when a communication goes out by itself.

    Either way ends the other one. Whoever changes it is who starts its runs from then on.

    :param given: the names of those that were given; what was not stays.
    :returns: what differs from before, for people.
    :raises Refused: when both are given, or nobody is named to whom it goes.
    """
    recurrence.check(repeat, relative)
    before = runs.schedule_of(row)
    values: dict[str, Any] = {}
    for name, other, spec in zip(BOTH, reversed(BOTH), (repeat, relative), strict=True):
        if name in given:
            values[name] = spec.as_json() if spec else None
        if spec is not None:
            values[other] = None
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    after = runs.schedule_of(row)
    if after is not None and row.population_id is None:
        raise Refused.because(NO_LIST, "population", code="no_population")
    if changed:
        row.scheduled_by = by[:254]
        session.flush()
        session.refresh(row, ["next_run_at"], with_for_update=True)
        runs.arm(session, row)
        session.flush()
    words = [one.words if one is not None else BY_HAND for one in (before, after)]
    return {"goes out": (words[0], words[1])} if words[0] != words[1] else {}


def save(
    session: Session,
    row: Communication,
    repeat: RepeatSpec | None,
    relative: RelativeSpec | None,
    by: str,
) -> Change[Communication]:
    """Let a communication go out by itself, or not any more, and keep it in the audit trail.

    :raises Refused: as :func:`write` does.
    """
    details = write(session, row, repeat, relative, by)
    target = f"communication {row.name}"
    return changes.note(session, Change(row, target, dict(details), is_new=False), by)
