"""Excel workbooks (.xlsx, ECMA-376): a ZIP archive with a part for each sheet.

The libraries for it were measured and are not used. Calamine lays a sheet out as a rectangle, so
that two cells far apart, in a file of 2 KB, end the process for want of 512 GB; openpyxl keeps
the elements of one row, of which a file of a few KB may hold millions. Neither tells of hidden
rows. Here cells are read one by one, and everything has a limit.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import IO, BinaryIO, Final
from urllib.parse import unquote

from app.domain.tables.cell_formats import Format, format_of
from app.domain.tables.lines import refused
from app.domain.tables.sheet import Book, SheetSource, unescape
from app.domain.tables.xml_stream import DAMAGED, TOO_LARGE, elements, parse

_SMALL: Final = 8 * 1024 * 1024
"""Most bytes, unpacked, of the parts that describe the workbook."""
_STRINGS_BYTES: Final = 64 * 1024 * 1024
_STRINGS: Final = 1_000_000
"""Most texts that the sheets of a workbook share."""
_STRINGS_LENGTH: Final = 40 * 1024 * 1024
"""Most characters of them together."""
_DIRECTORY: Final = 1024 * 1024
"""Most bytes of the archive's table of contents."""
_END: Final = b"PK\x05\x06"
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHER_KINDS: Final = (
    ("xl/workbook.bin", "This is a binary workbook (.xlsb)."),
    ("content.xml", "This is an OpenDocument file."),
    ("word/document.xml", "This is a text document."),
    ("Index/Document.iwa", "This is a Numbers file."),
)


@dataclass(frozen=True)
class Sheet:
    """One sheet: its name, whether the workbook hides it, and the part that holds it."""

    name: str
    hidden: bool
    part: str


@dataclass
class _Strings:
    """Collects the shared texts; what is written small above Japanese words is no part of them."""

    found: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    inside: bool = False
    aside: int = 0

    def begin(self, name: str, _: dict[str, str]) -> None:
        if name == "rPh":
            self.aside += 1
        self.inside = name == "t" and not self.aside

    def end(self, name: str) -> None:
        self.inside = False
        if name == "rPh":
            self.aside -= 1
        elif name == "si":
            self.found.append(unescape("".join(self.pieces)))
            self.pieces = []
            if len(self.found) > _STRINGS:
                raise refused(TOO_LARGE)

    def text(self, data: str) -> None:
        if self.inside:
            self.pieces.append(data)
            self.length += len(data)
            if self.length > _STRINGS_LENGTH:
                raise refused(TOO_LARGE)


class Workbook:
    """An opened workbook.

    :raises Refused: when it is none, is damaged or too large.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._archive = _open_archive(file)
        self._names = set(self._archive.namelist())
        for name, kind in _OTHER_KINDS:
            if name in self._names:
                raise refused(
                    f"{kind} In your spreadsheet, choose “Save as” and then “Excel workbook"
                    " (.xlsx)” or CSV."
                )
        main = self._main_part()
        self._relations = self._related(main)
        self.sheets, since_1904 = self._read_main(main)
        self._book = Book(self._strings(), self._formats(), since_1904)

    def source(self, sheet: Sheet) -> SheetSource:
        """Return the lines of a sheet."""
        return SheetSource(lambda: self._part(sheet.part), self._book)

    def _part(self, name: str) -> AbstractContextManager[IO[bytes]]:
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise refused(DAMAGED) from None
        if info.compress_type not in _PACKED or info.flag_bits & 0x1:
            raise refused(DAMAGED)
        return _guarded(self._archive, info)

    def _main_part(self) -> str:
        for target, kind in self._related("").values():
            if kind.endswith("/officeDocument"):
                return target
        raise refused(DAMAGED)

    def _related(self, part: str) -> dict[str, tuple[str, str]]:
        """Return the parts that a part refers to, and their kinds, by the ids of the references."""
        folder, name = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        if relations not in self._names:
            return {}
        found = {}
        with self._part(relations) as opened:
            for element, attributes in elements(opened, _SMALL):
                if element == "Relationship" and attributes.get("TargetMode") != "External":
                    target = unquote(attributes.get("Target", ""))
                    path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
                    found[attributes.get("Id", "")] = (path, attributes.get("Type", ""))
        return found

    def _read_main(self, main: str) -> tuple[list[Sheet], bool]:
        sheets: list[Sheet] = []
        since_1904 = False
        with self._part(main) as opened:
            for name, attributes in elements(opened, _SMALL):
                if name == "workbookPr":
                    since_1904 = attributes.get("date1904") in ("1", "true", "on")
                elif name == "sheet":
                    key = next((v for k, v in attributes.items() if k.endswith(" id")), "")
                    target, kind = self._relations.get(key, ("", ""))
                    if kind.endswith("/worksheet"):
                        hidden = attributes.get("state", "visible") != "visible"
                        sheets.append(Sheet(attributes.get("name", ""), hidden, target))
        if not sheets:
            raise refused("The workbook has no sheet with cells.")
        return sheets, since_1904

    def _named(self, ending: str) -> str | None:
        parts = (target for target, kind in self._relations.values() if kind.endswith(ending))
        return next((part for part in parts if part in self._names), None)

    def _strings(self) -> list[str]:
        part = self._named("/sharedStrings")
        if part is None:
            return []
        strings = _Strings()
        with self._part(part) as opened:
            for _ in parse(opened, _STRINGS_BYTES, strings.begin, strings.end, strings.text):
                pass
        return strings.found

    def _formats(self) -> list[Format]:
        """Return the number format of each style, by its number."""
        part = self._named("/styles")
        if part is None:
            return []
        codes: dict[int, str] = {}
        formats: list[Format] = []
        inside = False
        with self._part(part) as opened:
            for name, attributes in elements(opened, _SMALL):
                if name == "numFmt":
                    codes[_int(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
                elif name in ("cellXfs", "cellStyleXfs", "cellStyles", "dxfs"):
                    inside = name == "cellXfs"
                elif name == "xf" and inside:
                    number = _int(attributes.get("numFmtId"))
                    formats.append(format_of(number, codes.get(number)))
        return formats


def _int(written: str | None) -> int:
    return int(written) if written and re.fullmatch(r"\d{1,9}", written) else 0


def _open_archive(file: BinaryIO) -> zipfile.ZipFile:
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_557))
    end = file.read()
    place = end.rfind(_END)
    directory = int.from_bytes(end[place + 12 : place + 16], "little") if place >= 0 else 0
    if place < 0 or directory > _DIRECTORY:
        raise refused(DAMAGED if place < 0 else TOO_LARGE)
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise refused(DAMAGED) from None


@contextmanager
def _guarded(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """Lend a part of the archive, whose own faults are the workbook's."""
    try:
        with archive.open(info) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError):
        raise refused(DAMAGED) from None
