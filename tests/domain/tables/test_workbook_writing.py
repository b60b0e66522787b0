"""What is written as a workbook, as another program reads it."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from app.domain import tables
from app.domain.tables import workbook_writing


def sheets(content: bytes) -> list[list[list[Any]]]:
    """Read every sheet with openpyxl; ZIP's own sums are checked as well."""
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    book = openpyxl.load_workbook(io.BytesIO(content))
    return [[[cell.value for cell in row] for row in sheet.rows] for sheet in book.worksheets]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param("hello", "hello", id="words"),
        pytest.param("", None, id="nothing"),
        pytest.param(None, None, id="none"),
        pytest.param("+13195550142", "+13195550142", id="a phone keeps its plus"),
        pytest.param("00123", "00123", id="zeros in front"),
        pytest.param("=1+1", "=1+1", id="a formula is text"),
        pytest.param("  two  blanks ", "  two  blanks ", id="blanks"),
        pytest.param("a\nb\tc", "a\nb\tc", id="lines"),
        pytest.param("<b>&\"'</b> ]]>", "<b>&\"'</b> ]]>", id="marks of XML"),
        pytest.param("Zoë 😀 图书馆 مرحبا", "Zoë 😀 图书馆 مرحبا", id="every script"),
        pytest.param(7, 7, id="a number"),
        pytest.param(Decimal("1.250"), 1.25, id="an amount"),
        pytest.param(True, "true", id="yes"),
        pytest.param(float("inf"), "Infinity", id="no number of a sheet's"),
        pytest.param(["a", 1], '["a", 1]', id="a list"),
        pytest.param("x\x00y\x0bz\ufffe", "x\x00y\x0bz\ufffe", id="what XML cannot hold"),
        pytest.param("_x0041_ stays", "_x0041_ stays", id="what looks like it"),
        pytest.param("a\ud800b", "a?b", id="half a letter"),
        pytest.param("é" * 40_000, "é" * 32_767, id="too long for a cell"),
        pytest.param("😀" * 20_000, "😀" * 16_383, id="too long, cut between letters"),
    ],
)
def test_a_value_comes_back(value: object, read: object) -> None:
    content = b"".join(tables.write_workbook(["Text"], [[[value, "end"]]]))
    ((header, row),) = sheets(content)
    found = row[0]
    if isinstance(found, str):
        found = openpyxl.utils.escape.unescape(found)
    assert (header[0], found, row[1]) == ("Text", read, "end")


def test_a_cell_says_where_it_is() -> None:
    wide = [f"column {number}" for number in range(1, 731)]
    content = b"".join(tables.write_workbook(wide, [[range(730), ["", "", "here"]]]))
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert [sheet[at].value for at in ("A1", "Z1", "AA1", "AZ1", "ZZ1", "ABB1")] == [
        f"column {number}" for number in (1, 26, 27, 52, 702, 730)
    ]
    assert (sheet["ABB2"].value, sheet["A3"].value, sheet["C3"].value) == (729, None, "here")


@pytest.mark.parametrize("parts", [[], [[]], [[], []]], ids=["no parts", "one", "two"])
def test_a_table_of_nobody_has_its_header(parts: list[list[list[object]]]) -> None:
    assert sheets(b"".join(tables.write_workbook(["A", "B"], parts))) == [[["A", "B"]]]


@pytest.mark.parametrize("count", [3, 4, 8, 9, 10, 11])
@pytest.mark.parametrize("together", [1, 3, 4, 5, 100])
def test_what_a_sheet_cannot_hold_goes_on_in_another(
    count: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook_writing, "MOST_ROWS", 5)  # its header and four more
    rows = [[number] for number in range(count)]
    parts = [rows[at : at + together] for at in range(0, count, together)]
    found = sheets(b"".join(tables.write_workbook(["N"], parts)))
    assert all(sheet[0] == ["N"] and len(sheet) <= 5 for sheet in found)
    assert [row[0] for sheet in found for row in sheet[1:]] == list(range(count))


def test_a_sheet_ends_where_it_gets_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_writing, "MOST_BYTES", 1000)
    parts = [[["x" * 600]] for _ in range(5)]
    found = sheets(b"".join(tables.write_workbook(["N"], parts)))
    assert [len(sheet) for sheet in found] == [3, 3, 2]


def test_its_length_costs_no_memory() -> None:
    def parts(count: int) -> Iterator[list[list[object]]]:
        for at in range(count):
            yield [[f"{at}-{row}", "words " * 20] for row in range(1_000)]

    def most(count: int) -> int:
        tracemalloc.start()
        for _ in tables.write_workbook(["A", "B"], parts(count)):
            pass
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert most(20) < 1.5 * most(4)
