"""CSV files are read as spreadsheets write them, and what is wrong is said with its line."""

from __future__ import annotations

import pytest

from app.domain import csv_files
from app.domain.mistakes import Refused


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
    assert [dict(row.values) for row in table.rows] == [{"toName": "Ann", "toPhone": "319"}]


def test_windows_letters_and_lines_are_kept() -> None:
    table = csv_files.read('toName,note\n"Zo\xeb","a\nb"\nBob,\n'.encode("cp1252"))
    assert [(row.line, row.values["toName"]) for row in table.rows] == [(2, "Zoë"), (4, "Bob")]
    assert table.rows[0].values["note"] == "a\nb"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n \n", "empty"),
        (b"a,a\n1,2\n", "names “a” twice"),
        (b"a,,b\n1,2,3\n", "Column 2 has no name"),
        (b"a,b\n1,2\n1,2,3\n", "Line 3 has 3 values"),
        (b"PK\x03\x04\x00\x00", "Save as"),
        (b"a" * 101 + b",b\n", "longer than 100"),
        (b"a\n" + b"x" * 200_000, "Line 2 cannot be read"),
        (b"a," * (10 * 1024 * 1024), "larger than 10 MB"),
    ],
    ids=["nothing", "blank", "twice", "no name", "too wide", "a workbook", "long", "huge cell",
         "huge file"],
)  # fmt: skip
def test_what_is_no_table_is_refused_in_words(content: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said):
        csv_files.read(content)


def test_nothing_that_is_written_is_a_formula() -> None:
    written = csv_files.write(["a", "b"], [["=1+1", "+13195550100"], ["@x", "-2"], [None, "+A1"]])
    assert written.splitlines() == ["a,b", "'=1+1,+13195550100", "'@x,-2", ",'+A1"]
