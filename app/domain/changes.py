"""What saving a thing changed: written to its row and the audit trail, and told in words.

The module of each thing saves it through here; the configuration file, the staff pages and the API
show what comes back, each in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Null, inspect, null
from sqlalchemy.orm import Session

from app.domain import audit
from app.extensions import Base
from app.models.base import Encrypted
from app.models.client import Client

Row = TypeVar("Row", bound=Base)
Told = str | tuple[object, object]
"""What differs in a field: its value before and after, or a sentence."""


@dataclass(frozen=True)
class Change(Generic[Row]):
    """A thing that was saved, and what that changed. False where nothing did."""

    row: Row
    target: str
    """What people call it: ``credential main``."""
    details: Mapping[str, Told] = field(default_factory=dict)
    """What differs from before, by field, without secrets."""
    is_new: bool = False

    def __bool__(self) -> bool:
        return self.is_new or bool(self.details)

    def line(self, owner: str = "") -> str:
        """Return the change as one line for a terminal; ``owner`` is the name of the client."""
        details = ", ".join(filter(None, (_words(*one) for one in self.details.items())))
        whose = f"{owner}: " if owner else ""
        more = f": {details}" if details else ""
        return f"{'+' if self.is_new else '~'} {whose}{self.target}{more}"


def write(session: Session, row: Base, values: Mapping[str, Any]) -> dict[str, Told]:
    """Give ``row`` these values; a new one is written with them.

    :returns: what differs from before, as in :class:`Change`; nothing of a new row.
    """
    if is_new := inspect(row).transient:
        session.add(row)
    told = dict[str, Told]()
    for name, value in values.items():
        before = getattr(row, name)
        if is_new and value is None:
            setattr(row, name, _none(row, name))
        elif before != value:
            setattr(row, name, value)
            told[name.removesuffix("_id")] = _difference(row, name, before, value)
    session.flush()
    return {} if is_new else told


def note(session: Session, change: Change[Row], by: str, action: str = "") -> Change[Row]:
    """Keep ``change`` in the audit trail, if it is one.

    :param by: the person's e-mail address, the label of an API key, or a command.
    :param action: what it is called there, if neither a creation nor a change.
    """
    if change or action:
        row, action = change.row, action or ("create" if change.is_new else "change")
        client_id = row.id if isinstance(row, Client) else getattr(row, "client_id", None)
        audit.record(session, by, action, change.target, client_id, dict(change.details))
    return change


def count(number: int, one: str) -> str:
    """Count things in words: ``1 member``, ``2,000 members``."""
    return f"1 {one}" if number == 1 else f"{number:,} {one}s"


def _none(row: Base, name: str) -> Null | None:
    """Return what leaves a column of a new row empty: for None it would get its default."""
    column = inspect(type(row)).columns.get(name)
    return null() if column is not None and column.default is not None else None


def _difference(row: Base, name: str, before: object, after: object) -> Told:
    column_type = inspect(type(row)).columns[name].type
    if isinstance(column_type, Encrypted) or name.endswith(("_id", "_sha256", "_at")):
        return f"{_label(name)} changed"
    return before, after


def _label(name: str) -> str:
    return name.removesuffix("_id").replace("_", " ")


def _words(name: str, told: Told) -> str:
    if isinstance(told, str):
        return told
    return f"{_label(name)} {_shown(told[0])} → {_shown(told[1])}"


def _shown(value: object) -> str:
    if value is None or value in ([], ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value[:10]) + (" …" if len(value) > 10 else "")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
