"""What a pass of retention is made of: what is too old, and what is done about a little of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain import aside
from app.extensions import db, unit_of_work
from app.models.delivery import OPEN_STATES, Delivery

CHUNK, CHUNK_ON_SQLITE = 200, 25
"""Rows of the log in one transaction."""

Removal = Callable[[Session, list[Any]], Counter[str]]


@dataclass(frozen=True)
class Step:
    """What is too old, and what is done about some of it in one small transaction."""

    name: str
    too_old: Select[*tuple[Any, ...]]
    remove: Removal


def has_open(tells_of: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a delivery for which ``tells_of`` holds has not ended."""
    return exists().where(tells_of, Delivery.state.in_(OPEN_STATES))


def delete_all(
    session: Session,
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    values: list[str],
) -> None:
    """Delete the rows that have one of ``values`` in ``column``."""
    if values:
        session.execute(
            delete(column.class_)
            .where(column.in_(values))
            .execution_options(synchronize_session=False)
        )


def do(loop: str, step: Step, removed: Counter[str], deadline: float | None) -> bool:
    """Repeat a step until nothing is left; return False when the time is up before that.

    Rows that cannot be removed are set aside, and the others go.

    :param removed: counts what is gone.
    :param deadline: by ``time.monotonic()``.
    """
    keys = list(step.too_old.selected_columns)
    too_old = step.too_old.where(aside.free(loop, keys[0])) if len(keys) == 1 else step.too_old
    # A look first: mostly there is nothing, and a transaction would keep writers waiting.
    while found := _some(too_old):
        gone = sum(
            aside.together(loop, found, _name, partial(_remove, step), CHUNK_ON_SQLITE),
            Counter[str](),
        )
        removed += gone
        if not gone:
            break
        if deadline is not None and time.monotonic() > deadline:
            return False
    return True


def _some(too_old: Select[*tuple[Any, ...]]) -> list[Any]:
    """Return at most a chunk of the rows, or of their ids where only these were asked for."""
    found = db.session.execute(too_old.limit(CHUNK)).all()
    db.session.rollback()
    return [row[0] if len(row) == 1 else row for row in found]


def _name(row: Any) -> str:
    return row if isinstance(row, str) else " ".join(row)


def _remove(step: Step, rows: Sequence[Any]) -> Counter[str]:
    """Remove some of what a step has found, unless it has changed since."""
    keys = list(step.too_old.selected_columns)
    key = keys[0] if len(keys) == 1 else tuple_(*keys)
    with unit_of_work() as session:
        still = session.execute(step.too_old.where(key.in_(rows)).limit(CHUNK)).all()
        return step.remove(session, [row[0] if len(row) == 1 else row for row in still])
