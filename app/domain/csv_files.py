"""Tables that people upload as CSV files: read with whatever their spreadsheet made of them.

A file is read row by row, as often as its rows are asked for, so that its size costs no memory.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from app.domain import attributes
from app.domain.mistakes import Mistake, Refused

MAX_BYTES = 15 * 1024 * 1024
MAX_ROWS = 100_000
MAX_COLUMNS = 100
NAMED = 1_000
"""Faulty rows that are named; all are counted."""
_DELIMITERS = ",;\t"
_PIECE = 64 * 1024
_FORMULA = frozenset("=@+-＝＠＋－")
"""What a formula begins with."""
_BREAKS = frozenset("\t\r\n")


@dataclass(frozen=True)
class Row:
    """One row: the line it begins on (the header is line 1) and its values by column."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True)
class RowMistake:
    """What is wrong with one row, in a sentence."""

    line: int
    message: str


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
    """A header and the rows under it; rows without any content are left out."""

    columns: tuple[str, ...]
    _file: BinaryIO
    _encoding: str
    _delimiter: str

    def rows(self) -> Iterator[Row | RowMistake]:
        """Read the rows, from the first on; one with more values than columns is a mistake.

        :raises Refused: at a row that cannot be read at all, or when there are too many.
        """
        lines = _lines(self._file, self._encoding, self._delimiter)
        next(lines)
        for number, (line, cells) in enumerate(lines, 1):
            if number > MAX_ROWS:
                raise _refused(f"The file has more than {MAX_ROWS:,} rows; upload it in parts.")
            yield _row(self.columns, line, cells)


def read(content: bytes | BinaryIO) -> Table:
    """Read a CSV file in UTF-8, UTF-16 or Windows' own encoding, with any usual separator.

    :param content: a file is read again for each pass over the rows, so it must stay open.
    :raises Refused: when it is empty, too large, no text, or has no usable header.
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    encoding = _encoding_of(file)
    delimiter = _delimiter_of(file, encoding)
    header = next(_lines(file, encoding, delimiter), None)
    if header is None:
        raise _refused("The file is empty.")
    columns = tuple(header[1])
    while columns and not columns[-1]:
        columns = columns[:-1]  # separators that a spreadsheet left behind
    if wrong := list(_header_mistakes(columns)):
        raise Refused([Mistake(("file",), sentence) for sentence in wrong])
    return Table(columns, file, encoding, delimiter)


def write(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Write a CSV file that spreadsheets open; what they would take for a formula stays text."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(map(_inert, columns))
    writer.writerows([_inert(value) for value in row] for row in rows)
    return file.getvalue()


def _inert(value: object) -> str:
    """Return the value as text that no spreadsheet takes for a formula.

    An apostrophe before it says so, as people write it there themselves; :func:`_cell` takes it
    away again. What begins with an apostrophe of its own before a formula gets one more, so that
    nothing is changed on the way.
    """
    text = attributes.text(value)
    return f"'{text}" if _is_formula(text.lstrip("'")) else text


def _cell(written: str) -> str:
    """Return what a cell says: without spaces around it, and without what guarded it."""
    if written.startswith("'") and _is_formula(written.lstrip("'")):
        return written[1:]
    return written.strip()


def _is_formula(text: str) -> bool:
    """Tell whether a spreadsheet may calculate ``text``, which it also does behind blanks.

    Excel reads the full-width signs of East Asian keyboards like the others. A plus or minus before
    digits alone is no formula: phone numbers begin with one.
    """
    if text[:1] in _BREAKS:
        return True
    if text[:1] in ("+", "-") and text[1:].isdecimal():
        return False
    return text.lstrip()[:1] in _FORMULA


def _lines(file: BinaryIO, encoding: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row with any content begins, and its cells."""
    with _text(file, encoding) as text:
        reader = csv.reader(text, delimiter=delimiter)
        begins = 1
        try:
            for cells in reader:
                stripped = [_cell(cell) for cell in cells]
                if any(stripped):
                    yield begins, stripped
                begins = reader.line_num + 1
        except csv.Error as error:
            raise _refused(f"Line {begins} cannot be read: {error}.") from None


@contextmanager
def _text(file: BinaryIO, encoding: str, errors: str = "replace") -> Iterator[io.TextIOWrapper]:
    """Lend the file as text, from its beginning; the file itself stays open."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, errors, newline="")
    try:
        yield text
    finally:
        text.detach()


def _row(columns: tuple[str, ...], line: int, cells: list[str]) -> Row | RowMistake:
    if any(cells[len(columns) :]):
        return RowMistake(
            line,
            f"There are {len(cells)} values, but the header has {len(columns)} columns."
            " Is there a separator inside a value? Put such values in quotes.",
        )
    padded = cells + [""] * (len(columns) - len(cells))
    return Row(line, dict(zip(columns, padded, strict=False)))


def _header_mistakes(columns: tuple[str, ...]) -> Iterator[str]:
    if not columns:
        yield "The first line must name the columns."
    if len(columns) > MAX_COLUMNS:
        yield f"The file has {len(columns)} columns; at most {MAX_COLUMNS} are read."
        return
    for place, name in enumerate(columns, 1):
        if not name:
            yield f"Column {place} has no name in the first line."
        if len(name) > 100:
            yield f"The name of column {place} is longer than 100 characters."
        if name and columns.index(name) != place - 1:
            yield f"The first line names “{name[:100]}” twice."


def _encoding_of(file: BinaryIO) -> str:
    """Tell the encoding by reading the file.

    :raises Refused: when it is too large, or no text.
    """
    if file.seek(0, io.SEEK_END) > MAX_BYTES:
        megabytes = MAX_BYTES // 1024 // 1024
        raise _refused(f"The file is larger than {megabytes} MB; upload it in parts.")
    file.seek(0)
    if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig" if _decodes(file, "utf-8-sig") else "cp1252"
    with _text(file, encoding) as text:
        if any("\x00" in piece for piece in _pieces(text)):
            raise _refused(
                "This is no CSV file. In your spreadsheet, choose “Save as” and then CSV."
            )
    return encoding


def _decodes(file: BinaryIO, encoding: str) -> bool:
    try:
        with _text(file, encoding, "strict") as text:
            for _ in _pieces(text):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _pieces(text: io.TextIOWrapper) -> Iterator[str]:
    while piece := text.read(_PIECE):
        yield piece


def _delimiter_of(file: BinaryIO, encoding: str) -> str:
    with _text(file, encoding) as text:
        header = next((line for line in text if line.strip()), "")
    return max(_DELIMITERS, key=header.count)


def _refused(sentence: str) -> Refused:
    return Refused.because(sentence, "file")
