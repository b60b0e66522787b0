"""CSV files are read as spreadsheets write them, and what is wrong is said with its line."""

from __future__ import annotations

import csv
import io

import pytest

from app.domain import csv_files
from app.domain.csv_files import Row
from app.domain.mistakes import Refused


def rows_of(content: bytes) -> list[Row]:
    return [row for row in csv_files.read(content).rows() if isinstance(row, Row)]


@pytest.mark.parametrize(
    "content",
    [
        b"toName,toPhone\r\nAnn,319\r\n",
        b"\xef\xbb\xbftoName,toPhone\nAnn,319\n",
        b"toName;toPhone\nAnn;319",
        b"toName\ttoPhone\nAnn\t319",
        "toName\ttoPhone\r\nAnn\t319\r\n".encode("utf-16"),
        b"toName,toPhone,,\nAnn,319,,\n,,,\n\n",
        b' toName , toPhone\n "Ann" , 319\n'.replace(b' "Ann" ', b'"Ann"'),
    ],
    ids=["Excel", "UTF-8 with mark", "semicolons", "tabs", "UTF-16", "empty cells", "spaces"],
)
def test_what_spreadsheets_write_is_read(content: bytes) -> None:
    table = csv_files.read(content)
    assert table.columns == ("toName", "toPhone")
    assert [dict(row.values) for row in rows_of(content)] == [{"toName": "Ann", "toPhone": "319"}]


def test_windows_letters_and_lines_are_kept() -> None:
    rows = rows_of('toName,note\n"Zo\xeb","a\nb"\nBob,\n'.encode("cp1252"))
    assert [(row.line, row.values["toName"]) for row in rows] == [(2, "Zoë"), (4, "Bob")]
    assert rows[0].values["note"] == "a\nb"


def test_only_line_ends_end_a_row() -> None:
    rows = rows_of("a,b\nx\u2028y\x0bz,1\n\u0085,2\n".encode())
    assert [row.values["b"] for row in rows] == ["1", "2"]


def test_a_character_cut_at_the_end_makes_it_windows_letters() -> None:
    assert rows_of(b"a\nZo\xc3")[0].values["a"] == "ZoÃ"


def test_rows_that_are_too_wide_are_mistakes_beside_the_others() -> None:
    found = list(csv_files.read(b"a,b\n1,2\n1,2,3\n4,5\n,,,x\n").rows())
    assert [type(one).__name__ for one in found] == ["Row", "RowMistake", "Row", "RowMistake"]
    assert "There are 3 values" in found[1].message
    assert [one.line for one in found] == [2, 3, 4, 5]


def test_a_file_can_be_read_again_and_stays_open() -> None:
    file = io.BytesIO(b"a\n1\n2\n")
    table = csv_files.read(file)
    assert len(list(table.rows())) == len(list(table.rows())) == 2
    assert not file.closed


def test_every_mistake_of_the_header_is_told() -> None:
    with pytest.raises(Refused) as caught:
        csv_files.read(b"a,,a,b,b,b\n")
    assert len(caught.value.mistakes) == 4


def test_more_than_a_hundred_thousand_rows_are_refused() -> None:
    assert len(rows_of(b"a\n" + b"1\n" * 100_000)) == 100_000
    with pytest.raises(Refused, match="more than 100,000 rows"):
        rows_of(b"a\n" + b"1\n" * 100_001)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n \n", "empty"),
        (b"a,a\n1,2\n", "names “a” twice"),
        (b"a,,b\n1,2,3\n", "Column 2 has no name"),
        (b"PK\x03\x04\x00\x00", "Save as"),
        (b"a" * 101 + b",b\n", "longer than 100"),
        (b"a\n" + b"x" * 200_000, "Line 2 cannot be read"),
        (b"a," * (10 * 1024 * 1024), "larger than 15 MB"),
    ],
    ids=["nothing", "blank", "twice", "no name", "a workbook", "long", "huge cell",
         "huge file"],
)  # fmt: skip
def test_what_is_no_table_is_refused_in_words(content: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said):
        rows_of(content)


@pytest.mark.parametrize("quotes", ["", "'", "''"], ids=["bare", "quoted", "quoted twice"])
@pytest.mark.parametrize("before", ["", " ", "\t", "\r", "\n", "\r\n", "\u3000"], ids=ascii)
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝", "＋", "－", "＠"], ids=ascii)
def test_a_formula_is_written_as_text_and_read_back_unchanged(
    quotes: str, before: str, sign: str
) -> None:
    cell = f"{quotes}{before}{sign}1+1"
    written = csv_files.write(["a", "b"], [[cell, "x"]])
    assert next(csv.reader(written.splitlines(keepends=True)[1:]))[0].startswith("'")
    (row,) = csv_files.read(written.encode()).rows()
    assert isinstance(row, csv_files.Row)
    assert row.values["a"] == cell


@pytest.mark.parametrize(
    "cell", ["'tis", "'", "+13195550100", "'+13195550100", "-2", "a=b", "=", ""]
)
def test_what_is_no_formula_is_read_back_unchanged(cell: str) -> None:
    (row,) = csv_files.read(csv_files.write(["a", "b"], [[cell, "x"]]).encode()).rows()
    assert isinstance(row, csv_files.Row)
    assert row.values["a"] == cell


def test_nothing_that_is_written_is_a_formula() -> None:
    written = csv_files.write(["a", "b"], [["=1+1", "+13195550100"], ["@x", "-2"], [None, "+A1"]])
    assert written.splitlines() == ["a,b", "'=1+1,+13195550100", "'@x,-2", ",'+A1"]


def test_no_cell_of_a_file_that_is_handed_out_calculates() -> None:
    """Columns are called as somebody's file called them, so they are as hostile as the cells."""
    written = csv_files.write(["=A1", "toPhone"], [["@SUM(1)", "+13195550150"]])
    assert written == "'=A1,toPhone\r\n'@SUM(1),+13195550150\r\n"
