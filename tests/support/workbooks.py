"""Excel workbooks for tests: as other people's programs write them, and by hand."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import openpyxl

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def book(rows: list[list[Any]], change: Callable[[Any], None] = lambda _: None) -> bytes:
    """Return a workbook of one sheet as openpyxl writes it; ``change`` may do more to it."""
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    change(made)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def with_parts(content: bytes, parts: Mapping[str, bytes]) -> bytes:
    """Return a workbook with other parts in place of its own."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, parts.get(name, old.read(name)))
        for name in parts.keys() - set(old.namelist()):
            new.writestr(name, parts[name])
    return file.getvalue()


def with_sheet(cells: str, before: str = "", after: str = "") -> bytes:
    """Return a workbook whose only sheet is this XML, in ``sheetData``."""
    xml = f'{before}<worksheet xmlns="{MAIN}"><sheetData>{cells}</sheetData>{after}</worksheet>'
    return with_parts(book([["x"]]), {"xl/worksheets/sheet1.xml": xml.encode()})
