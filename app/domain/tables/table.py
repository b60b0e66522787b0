"""A table: named columns and the rows under them, whatever file they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from app.domain.tables import header
from app.domain.tables.cells import ERRORS, Literal
from app.domain.tables.lines import MAX_COLUMNS, MAX_ROWS, Line, Source, refused

NAMED: Final = 1_000
"""Faulty rows that are named; all are counted."""
LOOKED_AT: Final = 30
"""Lines by which a table is recognised."""
_INVISIBLE: Final = re.compile("[\ufeff\u200b-\u200f\u2060]")


@dataclass(frozen=True)
class Row:
    """One row: the line it begins on (a header is usually line 1) and its values by column."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True)
class RowMistake:
    """What is wrong with one row, in a sentence; and the row as it is written, where known."""

    line: int
    message: str
    cells: Sequence[str] = ()


@dataclass
class FaultyRows:
    """The rows that cannot be taken: the first named with all that is wrong, and all counted."""

    named: list[RowMistake] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, *sentences: str) -> None:
        """Count one row, and name it if not too many are named already."""
        self.count += 1
        if self.count <= NAMED:
            self.named += [RowMistake(line, sentence) for sentence in sentences]


@dataclass(frozen=True)
class Table:
    """Columns, each with a name of its own, and the rows under them."""

    columns: tuple[str, ...]
    source: Source
    header_line: int | None
    """The line that names the columns; None when there is none."""
    samples: tuple[Mapping[str, str], ...] = ()
    """The first rows, to be shown to a person."""
    with_hidden: bool = True

    def rows(self) -> Iterator[Row | RowMistake]:
        """Read the rows, from the first on; one that cannot be taken as it is is a mistake.

        :raises Refused: where the file cannot be read on, or when there are too many rows.
        """
        width = len(self.columns)
        count = 0
        for line in self.source.lines():
            if line.number <= (self.header_line or 0) or (line.hidden and not self.with_hidden):
                continue
            count += 1
            if count > MAX_ROWS:
                raise refused(f"The file has more than {MAX_ROWS:,} rows; upload it in parts.")
            cells = line.cells
            if len(cells) != width:
                if any(cells[width:]):
                    yield RowMistake(line.number, _too_wide(len(cells), width), cells)
                    continue
                cells = (cells + [""] * width)[:width]
            if line.faults or not ERRORS.isdisjoint(cells):
                wrong = [*line.faults, *_errors(self.columns, cells)]
                if wrong:
                    yield RowMistake(line.number, " ".join(wrong), cells)
                    continue
            yield Row(line.number, dict(zip(self.columns, cells, strict=True)))

    def hidden(self) -> int:
        """Count the rows that a workbook hides."""
        return sum(line.hidden for line in self.source.lines())


def build(source: Source, header_line: int | None = None, *, with_hidden: bool = True) -> Table:
    """Make a table of a file's lines.

    :param header_line: the line that a person says names the columns, 0 where none does; None
        finds it.
    :raises Refused: when there is nothing in it, or there are too many columns.
    """
    first = list(islice(source.lines(), LOOKED_AT))
    if not first:
        raise refused("The file is empty.")
    if header_line is None:
        place = header.locate([line.cells for line in first])
        head = None if place is None else first[place]
    else:
        head = next((line for line in first if line.number == header_line), None)
        if head is None and header_line:
            raise refused(f"There is nothing on line {header_line} that could name the columns.")
    under = [line for line in first if head is None or line.number > head.number]
    columns = _names(_labels(head, under))
    samples = tuple(
        dict(zip(columns, line.cells, strict=False))
        for line in under
        if with_hidden or not line.hidden
    )
    return Table(columns, source, head.number if head else None, samples, with_hidden)


def tidy(label: str) -> str:
    """Return a column's name on one line, without what cannot be seen."""
    return " ".join(_INVISIBLE.sub("", label).split())


def _labels(head: Line | None, under: Sequence[Line]) -> list[str]:
    """Return what each column is called; empty where it has no name.

    Columns at the end that have neither a name nor anything in most rows are left out.
    """
    labels = [tidy(cell) for cell in head.cells] if head else []
    while labels and not labels[-1]:
        labels.pop()  # separators that a spreadsheet left behind
    for place in range(len(labels), max((len(line.cells) for line in under), default=0)):
        used = sum(bool(line.cells[place : place + 1] and line.cells[place]) for line in under)
        if head is not None and (used < 2 or used * 2 <= len(under)):
            break
        labels.append("")
    if not labels:
        raise refused("The first line must name the columns.")
    if len(labels) > MAX_COLUMNS:
        raise refused(f"The file has {len(labels)} columns; at most {MAX_COLUMNS} are read.")
    for place, label in enumerate(labels, 1):
        if len(label) > 100:
            raise refused(f"The name of column {place} is longer than 100 characters.")
    return labels


def _names(labels: Sequence[str]) -> tuple[str, ...]:
    """Give every column a name of its own: ``Column 2`` without one, ``Phone 2`` for a second."""
    names: dict[str, None] = {}
    taken = set(labels)
    for place, label in enumerate(labels, 1):
        name = wanted = label or f"Column {place}"
        number = 2
        while name in names or (name in taken and name != label):
            name, number = f"{wanted} {number}", number + 1
        names[name] = None
    return tuple(names)


def _too_wide(found: int, width: int) -> str:
    return (
        f"There are {found} values, but the header has {width} columns."
        " Is there a separator inside a value? Put such values in quotes."
    )


def _errors(columns: Sequence[str], cells: Sequence[str]) -> Iterator[str]:
    for column, cell in zip(columns, cells, strict=True):
        if cell in ERRORS and not isinstance(cell, Literal):
            yield (
                f"The spreadsheet shows the error {cell} under “{column}”: mend its formula, or"
                " write the value itself."
            )
