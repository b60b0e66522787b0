"""The rows of one sheet of a workbook, cell by cell (ECMA-376, 18.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, Final

from app.domain.tables import cells
from app.domain.tables.cell_formats import PLAIN, Format, shown
from app.domain.tables.lines import MAX_COLUMNS, Line, refused
from app.domain.tables.xml_stream import PIECE, TOO_LARGE, parse

_MOST: Final = 160 * 1024 * 1024
"""Most bytes of a sheet, unpacked: 100,000 rows of 30 columns."""
_WIDTH: Final = MAX_COLUMNS + 1
"""Columns that are read: one more than are taken, so that too many are noticed."""
_LONGEST: Final = 32_767
"""Most characters that Excel keeps in a cell."""
_MERGES: Final = 20_000
_MERGE: Final = re.compile(rb'mergeCell\s+ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
_NOT_CALCULATED: Final = (
    "Cell {place} holds a formula whose result is not in the file. Open the file in your"
    " spreadsheet and save it again."
)


@dataclass(frozen=True)
class Book:
    """What all sheets of a workbook share."""

    strings: Sequence[str]
    formats: Sequence[Format]
    since_1904: bool


def unescape(text: str) -> str:
    """Return a text with the characters that XML cannot hold (``_x000D_``; ECMA-376, 22.9.2.19)."""
    if "_x" not in text:
        return text
    return _ESCAPED.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    return found[0] if 0xD800 <= code <= 0xDFFF else chr(code)


@dataclass(frozen=True)
class SheetSource:
    """A sheet, read from its first row as often as wanted."""

    opened: Callable[[], AbstractContextManager[IO[bytes]]]
    book: Book

    def lines(self) -> Iterator[Line]:
        """Yield the rows with any content; what is merged downwards stands in each of its rows.

        :raises Refused: when the sheet is damaged or too large.
        """
        merged = self._merged()
        reader = _Reader(self.book)
        with self.opened() as part:
            for _ in parse(part, _MOST, reader.begin, reader.end, reader.text):
                for line in reader.done:
                    for place, last, value in merged.get(line.number, ()):
                        _fill(merged, line, place, last, value)
                    if any(line.cells) or line.faults:
                        yield line
                reader.done.clear()

    def _merged(self) -> dict[int, list[tuple[int, int, str | None]]]:
        """Return which columns are merged downwards: by the first row, the column and last row."""
        found: dict[int, list[tuple[int, int, str | None]]] = {}
        count = unpacked = 0
        kept = b""
        with self.opened() as part:
            while piece := part.read(PIECE):
                unpacked += len(piece)
                if unpacked > _MOST:
                    raise refused(TOO_LARGE)
                window = kept + piece
                end = 0
                for merge in _MERGE.finditer(window):
                    end = merge.end()
                    column, first, last = column_of(merge[1].decode()), int(merge[2]), int(merge[4])
                    if last > first and column < _WIDTH:
                        count += 1
                        found.setdefault(first, []).append((column, last, None))
                kept = window[max(end, len(window) - 100) :]
                if count > _MERGES:
                    raise refused(TOO_LARGE)
        return found


def _fill(
    merged: dict[int, list[tuple[int, int, str | None]]],
    line: Line,
    place: int,
    last: int,
    value: str | None,
) -> None:
    """Put the value of the rows above into a merged cell, and hand it on to the next row."""
    if value is None:
        value = line.cells[place] if place < len(line.cells) else ""
    else:
        line.cells.extend([""] * (place + 1 - len(line.cells)))
        line.cells[place] = line.cells[place] or value
    if value and line.number < last:
        merged.setdefault(line.number + 1, []).append((place, last, value))


def column_of(reference: str) -> int:
    """Return the column of a cell's reference (``B7``), from 0."""
    column = 0
    for one in reference:
        if not "A" <= one <= "Z":
            break
        column = column * 26 + ord(one) - 64
    return column - 1


@dataclass
class _Reader:
    """Makes lines of a sheet's elements; those that are complete wait in ``done``."""

    book: Book
    done: list[Line] = field(default_factory=list)
    number: int = 0
    hidden: bool = False
    cells: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    place: int = -1
    kind: str = "n"
    style: int = 0
    formula: bool = False
    inside: bool = False
    aside: int = 0
    pieces: list[str] = field(default_factory=list)
    length: int = 0

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if name == "c":
            reference = attributes.get("r")
            self.place = self.place + 1 if reference is None else column_of(reference)
            self.kind = attributes.get("t", "n")
            style = attributes.get("s", "0")
            self.style = int(style) if style.isdecimal() and len(style) < 7 else 0
            self.formula = False
            self.pieces.clear()
            self.length = 0
        elif name in ("v", "t"):
            self.inside = not self.aside
        elif name == "f":
            self.formula = True
        elif name == "rPh":
            self.aside += 1
        elif name == "row":
            self._begin_row(attributes)

    def _begin_row(self, attributes: dict[str, str]) -> None:
        number = attributes.get("r", "")
        self.number = int(number) if re.fullmatch(r"\d{1,7}", number) else self.number + 1
        self.hidden = attributes.get("hidden") in ("1", "true") or attributes.get("ht") == "0"
        self.cells, self.faults, self.place = [], [], -1

    def end(self, name: str) -> None:
        """An element ends."""
        if name == "c":
            self._end_cell()
        elif name in ("v", "t"):
            self.inside = False
        elif name == "rPh":
            self.aside -= 1
        elif name == "row":
            faults = tuple(self.faults[:3])
            self.done.append(Line(self.number, self.cells, self.hidden, faults))

    def text(self, data: str) -> None:
        """Characters of a value; more than a cell can have are not kept."""
        if self.inside and self.length <= _LONGEST:
            self.pieces.append(data)
            self.length += len(data)

    def _end_cell(self) -> None:
        if not 0 <= self.place < _WIDTH:
            return
        written = "".join(self.pieces)
        if not written:
            if self.formula and self.kind == "n":
                self.faults.append(_NOT_CALCULATED.format(place=self._place()))
            return
        if self.length > _LONGEST:
            self.faults.append(f"Cell {self._place()} holds more than {_LONGEST:,} characters.")
            return
        missing = self.place + 1 - len(self.cells)
        if missing > 0:
            self.cells.extend([""] * missing)
        self.cells[self.place] = cells.read(self._value(written))

    def _value(self, written: str) -> str:
        match self.kind:
            case "s":
                index = int(written) if re.fullmatch(r"\d{1,9}", written.strip()) else -1
                if not 0 <= index < len(self.book.strings):
                    self.faults.append(f"Cell {self._place()} is damaged.")
                    return ""
                return self.book.strings[index]
            case "b":
                return "TRUE" if written.strip() == "1" else "FALSE"
            case "n":
                formats = self.book.formats
                form = formats[self.style] if self.style < len(formats) else PLAIN
                return shown(written.strip(), form, since_1904=self.book.since_1904)
            case "d":
                return written.strip().removesuffix("T00:00:00").replace("T", " ")
            case _:
                return unescape(written)

    def _place(self) -> str:
        letters, column = "", self.place + 1
        while column:
            column, rest = divmod(column - 1, 26)
            letters = chr(65 + rest) + letters
        return f"{letters}{self.number}"
