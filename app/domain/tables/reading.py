"""Opening an uploaded file: what it is, how it is read, and what a person may say otherwise."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from app.domain.tables import encodings, header, table
from app.domain.tables.csv_text import SEPARATORS, CsvSource, separator_of
from app.domain.tables.encodings import NAMES, Reading
from app.domain.tables.lines import MAX_BYTES, Source, refused
from app.domain.tables.table import Table
from app.domain.tables.workbook import Sheet, Workbook


@dataclass(frozen=True)
class Choices:
    """How a person says that a file is to be read; None leaves it to us."""

    sheet: str | None = None
    encoding: str | None = None
    separator: str | None = None
    header_line: int | None = None
    """0 where no line names the columns."""
    with_hidden: bool = False


@dataclass(frozen=True)
class Opened:
    """A table, and how the file was read; what does not apply to its kind is None or empty."""

    table: Table
    used: Choices
    """With nothing left open that applies to this file."""
    sure: bool = True
    """Whether the encoding is certain."""
    readings: Sequence[Reading] = ()
    sheets: Sequence[Sheet] = ()


def read(content: bytes | BinaryIO, choices: Choices | None = None) -> Table:
    """Read a file as it is likeliest meant; see :func:`open_table`.

    :raises Refused: also when it cannot be told in which encoding it is.
    """
    opened = open_table(content, choices)
    if not opened.sure:
        likely = [one for one in opened.readings if one.score > opened.readings[0].score - 0.3]
        shown = "; ".join(f"{NAMES[one.encoding]}: {', '.join(one.names)}" for one in likely[:4])
        raise refused(
            "It is not certain in which encoding the file is. Save it as “CSV UTF-8” or as .xlsx,"
            f" or say which it is. As names read in each: {shown}."
        )
    return opened.table


def open_table(content: bytes | BinaryIO, choices: Choices | None = None) -> Opened:
    """Open a CSV file in any usual encoding, or an Excel workbook (.xlsx).

    :param content: a file is read again for each pass over the rows, so it must stay open.
    :raises Refused: when it is empty, too large, no table, or not readable as chosen.
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    size = file.seek(0, io.SEEK_END)
    if size > MAX_BYTES:
        raise refused(
            f"The file is larger than {MAX_BYTES // 1024 // 1024} MB; upload it in parts."
        )
    if not size:
        raise refused("The file is empty.")
    choices = choices or Choices()
    file.seek(0)
    start = file.read(4096)
    if start.startswith(b"PK\x03\x04"):
        return _open_workbook(Workbook(file), choices)
    _refuse_other_kinds(start)
    return _open_text(file, choices)


def _open_text(file: BinaryIO, choices: Choices) -> Opened:
    if choices.encoding is not None and choices.encoding not in NAMES:
        raise refused("Choose one of the encodings.")
    if choices.separator is not None and choices.separator not in SEPARATORS:
        raise refused("Choose one of the separators.")
    found = encodings.recognise(file, choices.encoding)
    separator = choices.separator or separator_of(file, found.encoding)
    source = CsvSource(file, found.encoding, separator, found.clean)
    made = table.build(source, choices.header_line)
    used = replace(
        choices,
        encoding=found.encoding,
        separator=separator,
        header_line=made.header_line or 0,
        sheet=None,
    )
    return Opened(made, used, found.sure, found.readings)


def _open_workbook(book: Workbook, choices: Choices) -> Opened:
    if choices.sheet is None:
        sheet = _likeliest(book)
    else:
        named = [one for one in book.sheets if one.name == choices.sheet]
        if not named:
            raise refused("Choose one of the sheets.")
        sheet = named[0]
    made = table.build(book.source(sheet), choices.header_line, with_hidden=choices.with_hidden)
    used = Choices(sheet.name, None, None, made.header_line or 0, choices.with_hidden)
    return Opened(made, used, sheets=book.sheets)


def _likeliest(book: Workbook) -> Sheet:
    """Return the first sheet that names phones or e-mail addresses, or else the first with any."""
    shown = [one for one in book.sheets if not one.hidden] or list(book.sheets)
    some: Sheet | None = None
    for sheet in shown[:20]:
        first = _first_lines(book.source(sheet))
        if first and some is None:
            some = sheet
        if any(header.known_names(line) for line in first):
            return sheet
    if some is None:
        raise refused("The workbook is empty.")
    return some


def _first_lines(source: Source) -> list[list[str]]:
    found: list[list[str]] = []
    for line in source.lines():
        found.append(line.cells)
        if len(found) == table.LOOKED_AT:
            break
    return found


def _refuse_other_kinds(start: bytes) -> None:
    """Say what a file is that is no table.

    :raises Refused: then.
    """
    kind = next((words for begins, words in _OTHERS if start.startswith(begins)), None)
    if kind is None and start[:512].lstrip().lower().startswith(_MARKUP):
        kind = "This is a web page or XML, whatever its name says."
    if kind is None and start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"[{", b'{"')):
        kind = "This is JSON, as programs write it."
    if kind is None and not start.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        text = encodings.unmarked_utf16(start) is not None
        kind = "This is no table." if b"\x00" in start and not text else None
    if kind:
        raise refused(f"{kind} {_SAVE_AS}")


_SAVE_AS = "In your spreadsheet, choose “Save as” and then “Excel workbook (.xlsx)” or CSV."
_MARKUP = (b"<!doctype", b"<html", b"<table", b"<?xml")
_OTHERS = (
    (
        b"\xd0\xcf\x11\xe0",
        "This is a workbook of the old kind (.xls), or one that is protected by a password.",
    ),
    (b"%PDF", "This is a PDF file."),
    (b"\x1f\x8b", "This is a compressed file."),
    (b"7z\xbc\xaf", "This is a compressed file."),
    (b"Rar!", "This is a compressed file."),
    (b"\x89PNG", "This is a picture."),
    (b"\xff\xd8\xff", "This is a picture."),
    (b"{\\rtf", "This is a text document."),
    (b"BEGIN:VCARD", "This is a file of contacts (vCard)."),
    (b"BEGIN:VCALENDAR", "This is a calendar."),
)
