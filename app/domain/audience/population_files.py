"""People who come into a population from a CSV file: checked first, then taken in at once.

The file is read twice its length at most and never held in memory: people who are found good are
put aside in a temporary file, so that the transaction that writes them is short. What is kept of
each in memory is one number, to find who is named twice and who is there already.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from app.domain import attributes
from app.domain.audience import columns
from app.domain.audience.columns import LEFT_OUT, Names
from app.domain.audience.members import check, key_of
from app.domain.mistakes import Refused
from app.domain.tables import FaultyRows, RowMistake, Table
from app.domain.tables.cells import Literal

_IN_MEMORY = 1024 * 1024


@dataclass
class People:
    """The good people of a file, put aside."""

    _count: int = 0
    _aside: IO[str] = field(
        default_factory=lambda: tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed with it
            _IN_MEMORY, "w+", encoding="utf-8"
        )
    )

    def add(self, person: Mapping[str, Any]) -> None:
        """Put somebody aside."""
        self._aside.write(json.dumps(person) + "\n")
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._aside.seek(0)
        for line in self._aside:
            yield json.loads(line)


@dataclass(frozen=True)
class Judged:
    """One row of a file: a person, or what is wrong with it."""

    line: int
    cells: Sequence[str]
    person: dict[str, Any] | None
    wrong: Sequence[str] = ()


def judge(table: Table, names: Names) -> Iterator[Judged]:
    """Yield every row of a file, as a person or with all that is wrong with it.

    :param names: the attribute that each column becomes.
    :raises Refused: where the file cannot be read on.
    """
    kept = [(column, name) for column, name in names.items() if name != LEFT_OUT]
    seen: dict[int, int] = {}
    for row in table.rows():
        if isinstance(row, RowMistake):
            yield Judged(row.line, row.cells, None, [row.message])
            continue
        values = row.values
        try:
            person = check(
                {name: _value(cell) for column, name in kept if (cell := values[column])}
            )
        except Refused as refused:
            wrong = [mistake.message for mistake in refused.mistakes]
            yield Judged(row.line, [*values.values()], None, wrong)
            continue
        key = key_of(person)
        first = seen.setdefault(hash(key), row.line)
        if first != row.line:
            told = f"{key[1]} is listed twice; the first time on line {first}."
            yield Judged(row.line, [*values.values()], None, [told])
            continue
        yield Judged(row.line, (), person)


def _value(cell: str) -> Any:
    """Return what a cell holds: a list or object written as JSON, or else its text."""
    if cell[:1] in ("[", "{") and not isinstance(cell, Literal):
        return attributes.read(cell)
    return cell


def read_people(table: Table, names: Names | None = None) -> tuple[People, FaultyRows]:
    """Return the people of a file and what is wrong with its rows; those are left out.

    :param names: the attribute that each column becomes; left out: as its name tells.
    :raises Refused: when no column holds phones or e-mail addresses, or two mean the same.
    """
    names = columns.suggest(table) if names is None else names
    columns.check(names)
    people, faulty = People(), FaultyRows()
    for row in judge(table, names):
        if row.person is None:
            faulty.add(row.line, *row.wrong)
        else:
            people.add(row.person)
    return people, faulty
