"""The rows of a text, its reply and what these cause, written in as few round trips as can be.

A round trip to PostgreSQL costs both sides about as much as an insert does. So there it is one
statement with the others inside (``WITH``), whose foreign keys are looked at when all has been
written. SQLite has no round trips, and no such statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import BindParameter, Connection, Table, TextClause, bindparam, insert, text
from sqlalchemy.dialects import postgresql

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Besides:
    """A statement that goes with the rows, whose parameters have names of their own."""

    statement: TextClause
    parameters: tuple[BindParameter[Any], ...]
    """Those whose type matters."""
    values: Mapping[str, Any]


def write(
    connection: Connection,
    rows: Sequence[tuple[Table, dict[str, Any]]],
    besides: Sequence[Besides] = (),
) -> None:
    """Insert one row into each table, those that others refer to first, and do what goes with it.

    :param rows: with a value for each column whose default is a function.
    :raises sqlalchemy.exc.IntegrityError: when a row breaks a constraint.
    """
    if connection.dialect.name == "postgresql":
        shape = tuple((table, tuple(row)) for table, row in rows)
        values = {_name(table, key): value for table, row in rows for key, value in row.items()}
        values |= {key: value for one in besides for key, value in one.values.items()}
        said = tuple((one.statement, one.parameters) for one in besides)
        connection.execute(_statement(shape, said), values)
        return
    for table, row in rows:
        connection.execute(insert(table), row)
    for one in besides:
        connection.execute(one.statement, one.values)


@lru_cache(maxsize=64)
def _statement(
    shape: tuple[tuple[Table, tuple[str, ...]], ...],
    besides: tuple[tuple[TextClause, tuple[BindParameter[Any], ...]], ...],
) -> TextClause:
    """Write the statement for rows of this shape, once per process."""
    inserts = [_insert(table, given) for table, given in shape]
    parameters = [one for table, given in shape for one in _parameters(table, given)]
    for statement, typed in reversed(besides):
        inserts.insert(0, statement.text)
        parameters += typed
    *before, last = inserts
    within = ", ".join(f"row_{number} AS ({one})" for number, one in enumerate(before))
    return text(f"WITH {within} {last}" if before else last).bindparams(*parameters)


def _insert(table: Table, given: tuple[str, ...]) -> str:
    """Write the insert of one row; what has a default and is not given gets that."""
    values = {name: f":{_name(table, name)}" for name in given}
    for column in table.c:
        default: Any = column.default
        if column.name not in values and default is not None:
            if default.is_clause_element:
                values[column.name] = str(default.arg.compile(dialect=_DIALECT))
            else:
                values[column.name] = f":{_name(table, column.name)}"
    quote = _DIALECT.identifier_preparer.quote
    return (
        f"INSERT INTO {quote(table.name)} ({', '.join(map(quote, values))})"  # noqa: S608 - ours
        f" VALUES ({', '.join(values.values())})"
    )


def _parameters(table: Table, given: tuple[str, ...]) -> Iterator[BindParameter[Any]]:
    for column in table.c:
        name, default = _name(table, column.name), cast(Any, column.default)
        if column.name in given:
            yield bindparam(name, type_=column.type)
        elif default is not None and default.is_scalar:
            yield bindparam(name, default.arg, type_=column.type)


def _name(table: Table, column: str) -> str:
    return f"{table.name}_{column}"
