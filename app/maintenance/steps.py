"""What a pass of retention is made of: what is too old, and what is done about a little of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.models.delivery import OPEN_STATES, Delivery

Removal = Callable[[Session, list[Any]], Counter[str]]


@dataclass(frozen=True)
class Step:
    """What is too old, and what is done about some of it in one small transaction."""

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
