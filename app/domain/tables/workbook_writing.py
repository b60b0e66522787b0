"""Excel workbooks (.xlsx, ECMA-376) written while they are sent: their length costs no memory.

The libraries for it write a file first and hand it out when all of it is there: whoever downloads
a million rows would wait for minutes. Every value but a number is text, so that a phone keeps its
plus sign and nothing is taken for a formula.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any, Final
from xml.sax.saxutils import escape

from app.domain import attributes

MOST_ROWS: Final = 1_048_576
"""Rows of a sheet (Excel specifications and limits); what is more goes on in another sheet."""
MOST_BYTES: Final = 1024**3
"""Bytes of a sheet before it is packed: well below 2 GiB, where ZIP needs what Excel cannot read
in a file that was written in one go."""
LONGEST: Final = 32_767
"""Characters of a cell, as UTF-16 counts them (Excel specifications and limits)."""

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_KIND: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_BEGIN: Final = (
    f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    '</sheetView></sheetViews><sheetFormatPr baseColWidth="20" defaultRowHeight="15"/><sheetData>'
)
_END: Final = "</sheetData></worksheet>"
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\r\ud800-\udfff\ufffe\uffff]")
"""What XML cannot hold, or changes when it is read."""
_ESCAPE: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
"""What a reader would take for such a character (ECMA-376, ST_Xstring)."""

Row = Iterable[object]


class _Sink(io.RawIOBase):
    """Takes what the archive writes, and gives it away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def write_workbook(columns: Sequence[str], parts: Iterable[Iterable[Row]]) -> Iterator[bytes]:
    """Yield a workbook piece by piece; each sheet begins with ``columns``.

    :param parts: the rows, some at a time: after each of them a piece is yielded.
    """
    sink, count = _Sink(), 0
    lines = _Lines(parts)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _types())
        archive.writestr("_rels/.rels", _relations([("officeDocument", "xl/workbook.xml")]))
        while count == 0 or lines.are_left:
            count += 1
            with archive.open(f"xl/worksheets/sheet{count}.xml", "w") as sheet:
                sheet.write((_BEGIN + _row(1, columns)).encode())
                for piece in lines.of_one_sheet():
                    sheet.write(piece)
                    yield sink.take()
                sheet.write(_END.encode())
        sheets = [("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, count + 1)]
        archive.writestr("xl/_rels/workbook.xml.rels", _relations(sheets))
        archive.writestr("xl/workbook.xml", _workbook(count))
    yield sink.take()


class _Lines:
    """The rows as XML, as many as a sheet holds at a time."""

    def __init__(self, parts: Iterable[Iterable[Row]]) -> None:
        self._parts = iter(parts)
        self._begun: Iterator[Row] = iter(())
        self.are_left = True

    def of_one_sheet(self) -> Iterator[bytes]:
        rows, size = 1, 0
        while rows < MOST_ROWS and size < MOST_BYTES:
            taken = islice(self._begun, MOST_ROWS - rows)
            written = [_row(number, row) for number, row in enumerate(taken, rows + 1)]
            if not written:
                following = next(self._parts, None)
                if following is None:
                    self.are_left = False
                    return
                self._begun = iter(following)
                continue
            piece = "".join(written).encode()
            rows, size = rows + len(written), size + len(piece)
            yield piece


def _row(number: int, values: Row) -> str:
    """Write a row; not every program finds cells that do not say where they are."""
    cells = [_cell(f"{_letters(at)}{number}", value) for at, value in enumerate(values)]
    return f'<row r="{number}">{"".join(cells)}</row>'


@cache
def _letters(at: int) -> str:
    """Return the name of a column, from 0: A to Z, AA and so on."""
    before, last = divmod(at, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


def _cell(place: str, value: object) -> str:
    if _is_number(value):
        return f'<c r="{place}"><v>{value}</v></c>'
    text = attributes.text(value).encode("utf-16-le", "replace")[: 2 * LONGEST]
    if not text:
        return ""
    written = _text(text.decode("utf-16-le", "ignore"))
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{written}</t></is></c>'


def _is_number(value: object) -> bool:
    """Tell whether a sheet holds it as a number; yes and no are words here."""
    is_one = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return is_one and math.isfinite(value)  # type: ignore[arg-type]


def _text(text: str) -> str:
    text = _ESCAPE.sub("_x005F_", text)
    return escape(_UNWRITABLE.sub(lambda one: f"_x{ord(one[0]):04X}_", text))


def _types() -> str:
    relations = "application/vnd.openxmlformats-package.relationships+xml"
    return (
        f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="{relations}"/>'
        f'<Default Extension="xml" ContentType="{_KIND}.worksheet+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/></Types>'
    )


def _relations(targets: Iterable[tuple[str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{listed}</Relationships>'


def _workbook(count: int) -> str:
    listed = "".join(
        f'<sheet name="Sheet{number}" sheetId="{number}" r:id="rId{number}"/>'
        for number in range(1, count + 1)
    )
    return (
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>'
    )
