"""What a test puts into the database and what it finds there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy import Executable, Select, func, select
from sqlalchemy.orm import Session

from app.extensions import db, unit_of_work

Row = TypeVar("Row")


class Rows:
    """Reads and writes, each in a transaction of its own.

    A test never holds a session open across a request: on SQLite it would go on seeing what was
    there before. What is returned is detached: its columns are loaded, its relationships are not.
    """

    def __init__(self, app: Flask) -> None:
        self.app = app

    def add(self, *objects: Any) -> None:
        """Write new objects; their ids and defaults can be read afterwards."""
        with self.app.app_context(), unit_of_work() as session:
            session.add_all(objects)

    def change(self, statement: Executable) -> None:
        """Run one INSERT, UPDATE or DELETE."""
        with self.app.app_context(), unit_of_work() as session:
            session.execute(statement)

    def all(self, what: type[Row] | Select[tuple[Row]]) -> Sequence[Row]:
        """Return every row of a model or of a SELECT of one thing."""
        with self.app.app_context():
            return self._session().scalars(_selection(what)).all()

    def one(self, what: type[Row] | Select[tuple[Row]]) -> Row:
        """Return the only row; fail if there are none or several."""
        with self.app.app_context():
            return self._session().scalars(_selection(what)).one()

    def count(self, model: type[Any]) -> int:
        """Return how many rows a model's table has."""
        return self.one(select(func.count()).select_from(model))

    def _session(self) -> Session:
        return db.session()


def _selection(what: Any) -> Any:
    return select(what) if isinstance(what, type) else what
