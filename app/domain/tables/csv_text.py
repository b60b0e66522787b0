"""CSV files: values with a separator between them, as spreadsheets and programs write them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Final

from app.domain.tables import cells, header
from app.domain.tables.encodings import opened
from app.domain.tables.letters import MARK
from app.domain.tables.lines import Line, refused

SEPARATORS: Final = {",": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Vertical bar"}
_SEP: Final = re.compile(r'\ufeff?"?sep=(.)"?[ ,;\t]*\r?\n?', re.IGNORECASE | re.DOTALL)
"""Excel's own first line, which says what separates the values and is no part of them."""
_LOOKED_AT: Final = 30
_UNREADABLE: Final = (
    "A letter of this line cannot be read: the file is damaged there, or in another encoding."
)


@dataclass(frozen=True)
class CsvSource:
    """A CSV file of a known encoding and separator."""

    file: BinaryIO
    encoding: str
    separator: str
    clean: bool = True
    """Whether every byte of it can be read."""

    def lines(self) -> Iterator[Line]:
        """Yield the lines with any content; a value may go over several lines of the text.

        :raises Refused: at a line that cannot be read at all.
        """
        for number, written in _records(self.file, self.encoding, self.separator):
            read = [cells.read(cell) for cell in written]
            if self.clean or not any(MARK in cell for cell in read):
                if any(read):
                    yield Line(number, read)
            else:
                readable = [cell.replace(MARK, "\ufffd") for cell in read]
                yield Line(number, readable, faults=(_UNREADABLE,))


def separator_of(file: BinaryIO, encoding: str) -> str:
    """Tell what separates the values: what the file says itself, or what makes the best table."""
    with opened(file, encoding) as text:
        if declared := _SEP.fullmatch(text.readline(100)):
            return declared[1]
    return max(SEPARATORS, key=lambda one: _fit(file, encoding, one))


def write(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Write a CSV file that spreadsheets open; what they would take for a formula stays text."""
    return write_rows([columns]) + write_rows(rows)


def write_rows(rows: Iterable[Iterable[object]]) -> str:
    """Write rows as :func:`write` does, without a header."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([cells.write(value) for value in row] for row in rows)
    return file.getvalue()


def _records(file: BinaryIO, encoding: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record begins, and its values as they are written."""
    with opened(file, encoding) as text:
        begins = 1
        if _SEP.fullmatch(text.readline(100)):
            begins = 2
        else:
            text.seek(0)
        before = begins - 1
        reader = csv.reader(text, delimiter=separator)
        try:
            for values in reader:
                yield begins, values
                begins = before + reader.line_num + 1
        except csv.Error as error:
            raise refused(f"Line {begins} cannot be read: {error}.") from None


def _fit(file: BinaryIO, encoding: str, separator: str) -> tuple[int, bool, bool, bool, int]:
    """Say how good a table a separator makes: by known names, then rows as wide as the header."""
    first: list[list[str]] = []
    try:
        for _, values in islice(_records(file, encoding, separator), _LOOKED_AT):
            if any(map(str.strip, values)):
                first.append([cells.read(value) for value in values])
    except csv.Error:
        return 0, False, False, False, 0
    if not first:
        return 0, False, False, False, 0
    found = header.locate(first)
    top = first[found or 0]
    alike = sum(len(one) == len(top) for one in first)
    named = len(top) > 1 and not any(one[:1].isdigit() for one in top)
    return header.known_names(top), named, not found, alike * 2 > len(first), len(top)
