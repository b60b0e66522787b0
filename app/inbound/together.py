"""The rows of a text, its reply and what these cause, written in as few round trips as can be.

A round trip to PostgreSQL costs both sides about as much as an insert does. So there it is one
statement with the others inside (``WITH``), whose foreign keys are looked at when all has been
written. SQLite has no round trips, and no such statement. On both a statement is made once for the
driver: to have SQLAlchemy look at some seventy values anew took as long as writing a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, cast

from sqlalchemy import BindParameter, Connection, Dialect, Table, TextClause, bindparam, text


@dataclass(frozen=True)
class Besides:
    """A statement that goes with the rows, whose parameters have names of their own."""

    statement: TextClause
    parameters: tuple[BindParameter[Any], ...]
    """Those whose type matters."""
    values: Mapping[str, Any]


_Typed = tuple[str, tuple[BindParameter[Any], ...]]


@dataclass(frozen=True)
class _Made:
    """A statement as the driver takes it."""

    words: str
    names: tuple[str, ...]
    is_positional: bool
    defaults: Mapping[str, Any]
    converted: Mapping[str, Callable[[Any], Any]]
    """How a value that the driver does not take as it is becomes one that it does."""

    def run(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Execute it with those of the values that it names."""
        given = {name: values.get(name, self.defaults.get(name)) for name in self.names}
        for name, convert in self.converted.items():
            given[name] = convert(given[name])
        bound = tuple(given[name] for name in self.names) if self.is_positional else given
        connection.exec_driver_sql(self.words, bound)


def write(
    connection: Connection,
    rows: Sequence[tuple[Table, dict[str, Any]]],
    besides: Sequence[Besides] = (),
) -> None:
    """Insert one row into each table, those that others refer to first, and do what goes with it.

    :param rows: with a value for each column whose default is a function.
    :raises sqlalchemy.exc.IntegrityError: when a row breaks a constraint.
    """
    shape = tuple((table, tuple(row)) for table, row in rows)
    said = tuple((one.statement, one.parameters) for one in besides)
    names, statements = _made_once(connection.dialect, shape, said)
    values = dict(zip(names, chain.from_iterable(row.values() for _, row in rows), strict=True))
    for one in besides:
        values |= one.values
    for made in statements:
        made.run(connection, values)


@lru_cache(maxsize=64)
def _made_once(
    dialect: Dialect,
    shape: tuple[tuple[Table, tuple[str, ...]], ...],
    besides: tuple[tuple[TextClause, tuple[BindParameter[Any], ...]], ...],
) -> tuple[list[str], list[_Made]]:
    """Return the names of the values of rows of this shape, and the statements for them."""
    names = [_name(table, column) for table, given in shape for column in given]
    inserts: list[_Typed] = [(_insert(dialect, *one), tuple(_parameters(*one))) for one in shape]
    others: list[_Typed] = [(statement.text, typed) for statement, typed in besides]
    if dialect.name != "postgresql":
        return names, [_made(dialect, *one) for one in (*inserts, *others)]
    *before, last = [words for words, _ in (*others, *inserts)]
    within = ", ".join(f"row_{number} AS ({one})" for number, one in enumerate(before))
    typed = tuple(one for _, some in (*inserts, *others) for one in some)
    return names, [_made(dialect, f"WITH {within} {last}" if before else last, typed)]


def _made(dialect: Dialect, words: str, typed: tuple[BindParameter[Any], ...]) -> _Made:
    compiled: Any = text(words).bindparams(*typed).compile(dialect=dialect)
    names = compiled.positiontup if compiled.positional else tuple(compiled.binds)
    found = {
        name: compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
        for name in names
    }
    return _Made(
        compiled.string,
        tuple(names),
        bool(compiled.positional),
        {one.key: one.value for one in typed if one.value is not None},
        {name: convert for name, convert in found.items() if convert is not None},
    )


def _insert(dialect: Dialect, table: Table, given: tuple[str, ...]) -> str:
    """Write the insert of one row; what has a default and is not given gets that."""
    values = {name: f":{_name(table, name)}" for name in given}
    for column in table.c:
        default: Any = column.default
        if column.name not in values and default is not None:
            if default.is_clause_element:
                values[column.name] = str(default.arg.compile(dialect=dialect))
            else:
                values[column.name] = f":{_name(table, column.name)}"
    quote = dialect.identifier_preparer.quote
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
