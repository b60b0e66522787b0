"""CSV files are read as spreadsheets write them, and what is wrong is said with its line."""

from __future__ import annotations

import csv
import io

import pytest

from app.domain import tables
from app.domain.mistakes import Refused
from app.domain.tables import Choices, Row, RowMistake


def rows_of(content: bytes) -> list[Row]:
    return [row for row in tables.read(content).rows() if isinstance(row, Row)]


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
    table = tables.read(content)
    assert table.columns == ("toName", "toPhone")
    assert [dict(row.values) for row in rows_of(content)] == [{"toName": "Ann", "toPhone": "319"}]


def test_windows_letters_and_lines_are_kept() -> None:
    rows = rows_of('toName,note\n"Zo\xeb","a\nb"\nBob,\n'.encode("cp1252"))
    assert [(row.line, row.values["toName"]) for row in rows] == [(2, "Zoë"), (4, "Bob")]
    assert rows[0].values["note"] == "a\nb"


def test_only_line_ends_end_a_row() -> None:
    rows = rows_of("a,b\nx\u2028y\x0bz,1\n\u0085,2\n".encode())
    assert [row.values["b"] for row in rows] == ["1", "2"]


def test_a_character_cut_at_the_end_is_asked_about() -> None:
    opened = tables.open_table(b"a\nZo\xc3")
    assert not opened.sure
    assert "ZoÃ" in [name for reading in opened.readings for name in reading.names]


def test_rows_that_are_too_wide_are_mistakes_beside_the_others() -> None:
    found = list(tables.read(b"a,b\n1,2\n1,2,3\n4,5\n,,,x\n").rows())
    assert [type(one).__name__ for one in found] == ["Row", "RowMistake", "Row", "RowMistake"]
    assert "There are 3 values" in found[1].message
    assert [one.line for one in found] == [2, 3, 4, 5]


def test_a_file_can_be_read_again_and_stays_open() -> None:
    file = io.BytesIO(b"a\n1\n2\n")
    table = tables.read(file)
    assert len(list(table.rows())) == len(list(table.rows())) == 2
    assert not file.closed


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("a,,a,b,b,b", ("a", "Column 2", "a 2", "b", "b 2", "b 3")),
        ("a 2,a,a,,", ("a 2", "a", "a 3")),
        ('"Student\nname","  Phone   number\r\n"', ("Student name", "Phone number")),
        ('"Last, First, Middle",b', ("Last, First, Middle", "b")),
        ("\ufeff\u200bPhone,b", ("Phone", "b")),
    ],
    ids=["no name and twice", "as another", "line breaks", "separators", "marks"],
)
def test_every_column_has_a_name_of_its_own(header: str, columns: tuple[str, ...]) -> None:
    assert tables.read(f"{header}\r\n1,2\r\n".encode()).columns == columns


@pytest.mark.parametrize(
    ("content", "columns", "header_line"),
    [
        ("sep=;\r\na;b\r\n1;2", ("a", "b"), 2),
        ('"sep=|"\r\na|b\r\n1|2', ("a", "b"), 2),
        ("SEP=\t\na\tb\n1,2\t3", ("a", "b"), 2),
        ("\n\n  \n,,\na,b\n1,2\n", ("a", "b"), 5),
        ("Class list,,\n\na,Phone,c\n1,2,3\n", ("a", "Phone", "c"), 3),
        ("Spring 2027\nUpdated today\na;b;c\n1;2;3\n4;5;6\n", ("a", "b", "c"), 3),
        ("Ann,3195550100\nBob,3195550101\n", ("Column 1", "Column 2"), None),
        ("3195550100\n3195550101\n", ("Column 1",), None),
        ("a;b\n1,5;2,5\n1,5;2,5\n", ("a", "b"), 1),
        ('"L, F";Phone\n"L, A";1\n', ("L, F", "Phone"), 1),
        ('a,b\n"1;2;3","4;5;6"\n', ("a", "b"), 1),
        ("a|b|c\n1|2|3\n", ("a", "b", "c"), 1),
        ("a\n1;2\n3;4\n", ("a",), 1),
    ],
    ids=["sep", "quoted sep", "tab", "blank lines", "title", "titles", "no header", "one column",
         "decimal commas", "quoted comma", "semicolons inside", "bars", "one name"],
)  # fmt: skip
def test_separator_and_header_are_found(
    content: str, columns: tuple[str, ...], header_line: int | None
) -> None:
    table = tables.read(content.encode())
    assert (table.columns, table.header_line) == (columns, header_line)


def test_a_person_says_which_line_is_the_header_and_what_separates() -> None:
    content = b"a,b;c\nd,e;f\n1,2;3\n"
    assert tables.open_table(content, Choices(separator=";")).table.columns == ("a,b", "c")
    assert tables.open_table(content, Choices(header_line=2)).table.columns == ("d", "e;f")
    none = tables.open_table(content, Choices(header_line=0)).table
    assert none.columns == ("Column 1", "Column 2")
    assert len(list(none.rows())) == 3
    for wrong in (Choices(header_line=9), Choices(separator="x"), Choices(encoding="rot13")):
        with pytest.raises(Refused):
            tables.open_table(content, wrong)


@pytest.mark.parametrize("written", ['="00123"', '"=""00123"""', "'00123", "\u00a000123 "])
def test_what_keeps_zeros_in_a_spreadsheet_is_no_part_of_them(written: str) -> None:
    assert rows_of(f"a,b\n{written},1\n".encode())[0].values["a"] == "00123"


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?"])
def test_an_error_of_the_spreadsheet_is_nobodys_name(error: str) -> None:
    (row,) = tables.read(f"Name,Phone\n{error},3195550100\n".encode()).rows()
    assert isinstance(row, RowMistake)
    assert f"the error {error} under “Name”" in row.message


def test_more_than_a_hundred_thousand_rows_are_refused() -> None:
    assert len(rows_of(b"a\n" + b"1\n" * 100_000)) == 100_000
    with pytest.raises(Refused, match="more than 100,000 rows"):
        rows_of(b"a\n" + b"1\n" * 100_001)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n \n", "empty"),
        (b"PK\x03\x04\x00\x00", "damaged"),
        (b"a\x00b\x00\x01\x02\x00", "no table"),
        (b'[{"toName": "Ann"}]', "JSON"),
        (b'\xef\xbb\xbf{"people": []}', "JSON"),
        (b"BEGIN:VCARD\r\nFN:Ann\r\nEND:VCARD\r\n", "contacts"),
        (b"a" * 101 + b",b\n", "longer than 100"),
        (b"a\n" + b"x" * 200_000, "Line 2 cannot be read"),
        (b"a," * (10 * 1024 * 1024), "larger than 15 MB"),
    ],
    ids=["nothing", "blank", "a workbook", "bytes", "JSON", "more JSON", "vCard", "long",
         "huge cell", "huge file"],
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
    written = tables.write(["a", "b"], [[cell, "x"]])
    assert next(csv.reader(written.splitlines(keepends=True)[1:]))[0].startswith("'")
    (row,) = tables.read(written.encode()).rows()
    assert isinstance(row, tables.Row)
    assert row.values["a"] == cell


@pytest.mark.parametrize(
    "cell", ["'tis", "'", "+13195550100", "'+13195550100", "-2", "a=b", "=", ""]
)
def test_what_is_no_formula_is_read_back_unchanged(cell: str) -> None:
    (row,) = tables.read(tables.write(["a", "b"], [[cell, "x"]]).encode()).rows()
    assert isinstance(row, tables.Row)
    assert row.values["a"] == cell


def test_nothing_that_is_written_is_a_formula() -> None:
    written = tables.write(["a", "b"], [["=1+1", "+13195550100"], ["@x", "-2"], [None, "+A1"]])
    assert written.splitlines() == ["a,b", "'=1+1,+13195550100", "'@x,-2", ",'+A1"]


def test_no_cell_of_a_file_that_is_handed_out_calculates() -> None:
    """Columns are called as somebody's file called them, so they are as hostile as the cells."""
    written = tables.write(["=A1", "toPhone"], [["@SUM(1)", "+13195550150"]])
    assert written == "'=A1,toPhone\r\n'@SUM(1),+13195550150\r\n"
