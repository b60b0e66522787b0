"""Tables that people upload as CSV files: read with whatever their spreadsheet made of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from app.domain.mistakes import Refused

MAX_BYTES = 10 * 1024 * 1024
MAX_ROWS = 100_000
MAX_COLUMNS = 100
_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Row:
    """One row: the line it begins on (the header is line 1) and its values by column."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A header and the rows under it; rows without any content are left out."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class RowMistake:
    """What is wrong with one row, in a sentence."""

    line: int
    message: str


def read(content: bytes) -> Table:
    """Read a CSV file in UTF-8, UTF-16 or Windows' own encoding, with any usual separator.

    :raises Refused: when it is empty, too large, no text, has no usable header, or a row that has
        more values than the header has columns.
    """
    if len(content) > MAX_BYTES:
        raise _refused(
            f"The file is larger than {MAX_BYTES // 1024 // 1024} MB; upload it in parts."
        )
    text = _decode(content)
    if not text.strip():
        raise _refused("The file is empty.")
    header, _, _ = text.lstrip().partition("\n")
    delimiter = max(_DELIMITERS, key=header.count)
    lines = _lines(text, delimiter)
    _, header_cells = next(lines)
    columns = tuple(header_cells)
    while columns and not columns[-1]:
        columns = columns[:-1]  # separators that a spreadsheet left behind
    _check_header(columns)
    rows = [Row(line, _values(columns, line, cells)) for line, cells in lines]
    if len(rows) > MAX_ROWS:
        raise _refused(f"The file has more than {MAX_ROWS:,} rows; upload it in parts.")
    return Table(columns, tuple(rows))


def write(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Write a CSV file that spreadsheets open; what they would take for a formula stays text."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows([_inert(value) for value in row] for row in rows)
    return file.getvalue()


def _inert(value: object) -> str:
    """Return the value as text; a leading = or @ would make spreadsheets calculate.

    A plus or minus is kept before digits: phone numbers begin with one.
    """
    text = "" if value is None else str(value)
    starts_formula = text[:1] in ("=", "@", "\t", "\r") or (
        text[:1] in ("+", "-") and not text[1:].isdecimal()
    )
    return f"'{text}" if starts_formula else text


def _lines(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row with any content begins, and its cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    begins = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield begins, stripped
            begins = reader.line_num + 1
    except csv.Error as error:
        raise _refused(f"Line {begins} cannot be read: {error}.") from None


def _values(columns: tuple[str, ...], line: int, cells: list[str]) -> dict[str, str]:
    if any(cells[len(columns) :]):
        raise _refused(
            f"Line {line} has {len(cells)} values, but the header has {len(columns)} columns."
            " Is there a separator inside a value? Put such values in quotes."
        )
    padded = cells + [""] * (len(columns) - len(cells))
    return dict(zip(columns, padded, strict=False))


def _check_header(columns: tuple[str, ...]) -> None:
    if not columns:
        raise _refused("The first line must name the columns.")
    if len(columns) > MAX_COLUMNS:
        raise _refused(f"The file has {len(columns)} columns; at most {MAX_COLUMNS} are read.")
    for place, name in enumerate(columns, 1):
        if not name:
            raise _refused(f"Column {place} has no name in the first line.")
        if len(name) > 100:
            raise _refused(f"The name of column {place} is longer than 100 characters.")
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        raise _refused(f"The first line names “{min(twice)}” twice.")


def _decode(content: bytes) -> str:
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\x00" in text:
        raise _refused("This is no CSV file. In your spreadsheet, choose “Save as” and then CSV.")
    return text


def _refused(sentence: str) -> Refused:
    return Refused.because(sentence, "file")
