# ruff: noqa: DTZ001 - a cell's date has no zone
"""Excel workbooks are read as the person sees them; what would harm the process is refused.

What is right stands in ECMA-376 (Office Open XML); the workbooks are openpyxl's and by hand.
"""

from __future__ import annotations

import datetime as dt
import io
import resource
import time
import zipfile
from typing import Any

import pytest

from app.domain import tables
from app.domain.mistakes import Refused
from app.domain.tables import Choices, RowMistake
from tests.support.workbooks import book, with_parts, with_sheet


def cells_of(content: bytes, **choices: Any) -> list[list[str]]:
    """Return the cells under the header."""
    table = tables.open_table(content, Choices(**choices)).table
    return [
        [f"! {row.message}"] if isinstance(row, RowMistake) else list(row.values.values())
        for row in table.rows()
    ]


def formatted(value: Any, code: str) -> bytes:
    def change(made: Any) -> None:
        made.active["A2"].number_format = code

    return book([["x"], [value]], change)


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (3195550100, "General", "3195550100"),
        (3195550100.0, "General", "3195550100"),
        (13195550100, "0.00E+00", "13195550100"),
        # What Excel makes of 3.19555E+09 in a CSV file: its other digits are lost.
        (3195550000, "0.00E+00", "3.19555E+09"),
        (13200000000, "##0.0E+0", "1.32E+10"),
        (3195550000, "General", "3195550000"),
        (300000, "0.00E+00", "300000"),
        (3195550100, '[<=9999999]###\\-####;\\(###\\)\\ ###\\-####', "3195550100"),
        (1234, "00000", "01234"),
        (0.1 + 0.2, "General", "0.3"),
        (1.5, "0.00", "1.5"),
        (0.25, "0%", "25%"),
        (-3, "General", "-3"),
        (True, "General", "TRUE"),
        (dt.date(2026, 11, 28), "yyyy-mm-dd", "2026-11-28"),
        (dt.date(2026, 11, 28), "DD.MM.YYYY", "2026-11-28"),
        (dt.date(2026, 11, 28), "[$-407]d. mmmm yyyy", "2026-11-28"),
        (dt.datetime(2026, 11, 28, 14, 30), "m/d/yy h:mm", "2026-11-28 14:30"),
        (dt.datetime(2026, 11, 28, 14, 30, 5), "m/d/yy", "2026-11-28 14:30:05"),
        (dt.time(14, 30), "h:mm AM/PM", "14:30"),
        (dt.timedelta(hours=30), "[h]:mm:ss", "30:00:00"),
        (dt.date(1900, 1, 1), "yyyy-mm-dd", "1900-01-01"),
        (44000, '0 "days"', "44000"),
        (7, "[Red]0", "7"),
        ("  Ann ", "General", "Ann"),
        ("00123", "@", "00123"),
        ("'+13195550100", "@", "+13195550100"),
    ],
)  # fmt: skip
def test_a_cell_says_what_its_reader_sees(value: Any, code: str, shown: str) -> None:
    assert cells_of(formatted(value, code)) == [[shown]]


def test_a_workbook_that_counts_from_1904() -> None:
    def change(made: Any) -> None:
        made.epoch = openpyxl_mac_epoch()
        made.active["A2"] = dt.date(2026, 11, 28)

    assert cells_of(book([["x"], [1]], change)) == [["2026-11-28"]]


def openpyxl_mac_epoch() -> dt.datetime:
    from openpyxl.utils.datetime import CALENDAR_MAC_1904

    return CALENDAR_MAC_1904


def test_texts_in_every_way_that_xml_knows() -> None:
    content = with_sheet(
        '<row r="1"><c r="A1" t="inlineStr"><is><t>Name</t></is></c>'
        '<c r="B1" t="inlineStr"><is><r><t>Pho</t></r><r><t>ne</t></r></is></c></row>'
        '<row r="3"><c r="A3" t="inlineStr"><is><t>王</t><rPh sb="0" eb="1"><t>ワン</t></rPh>'
        '</is></c><c r="B3" t="str"><f>A1</f><v>_x0041_b_x005F_x0041_</v></c></row>'
        "<row><c><v>1</v></c><c t='b'><v>0</v></c></row>"
    )
    assert cells_of(content) == [["王", "Ab_x0041_"], ["1", "FALSE"]]


def test_formulas_say_their_result_or_that_there_is_none() -> None:
    content = with_sheet(
        '<row r="1"><c r="A1" t="inlineStr"><is><t>x</t></is></c></row>'
        '<row r="2"><c r="A2"><f>1+1</f><v>2</v></c></row>'
        '<row r="3"><c r="A3"><f>1+1</f><v/></c></row>'
        '<row r="4"><c r="A4" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>'
        '<row r="5"><c r="A5" t="str"><f>""</f><v></v></c></row>'
    )
    two, not_calculated, error = cells_of(content)
    assert two == ["2"]
    assert "Cell A3 holds a formula whose result is not in the file" in not_calculated[0]
    assert "the error #DIV/0! under “x”" in error[0]


def test_what_is_merged_downwards_stands_in_each_of_its_rows() -> None:
    def change(made: Any) -> None:
        made.active.merge_cells("A1:B1")
        made.active.merge_cells("A3:A5")

    rows = [["People of the autumn", None], ["Course", "Phone"], ["Algebra", 1], [None, 2],
            [None, 3], [None, 4]]  # fmt: skip
    table = tables.read(book(rows, change))
    assert (table.columns, table.header_line) == (("Course", "Phone"), 2)
    assert [list(row.values.values()) for row in table.rows() if isinstance(row, tables.Row)] == [
        ["Algebra", "1"], ["Algebra", "2"], ["Algebra", "3"], ["", "4"]
    ]  # fmt: skip


def test_rows_that_a_filter_hides_are_left_out_unless_wanted() -> None:
    def change(made: Any) -> None:
        made.active.row_dimensions[3].hidden = True

    content = book([["x"], ["seen"], ["hidden"]], change)
    assert cells_of(content) == [["seen"]]
    assert cells_of(content, with_hidden=True) == [["seen"], ["hidden"]]
    assert tables.read(content).hidden() == 1


def test_the_sheet_with_phones_is_found_and_another_can_be_chosen() -> None:
    def change(made: Any) -> None:
        people = made.create_sheet("People")
        people.append(["Phone"])
        people.append(["1"])
        secret = made.create_sheet("Old", 0)
        secret.append(["Phone"])
        secret.sheet_state = "hidden"

    content = book([["Read me first"], ["…"]], change)
    opened = tables.open_table(content)
    assert opened.used.sheet == "People"
    assert [(one.name, one.hidden) for one in opened.sheets] == [
        ("Old", True), ("Sheet", False), ("People", False)
    ]  # fmt: skip
    assert cells_of(content, sheet="Sheet") == [["…"]]


def test_names_with_prefixes_and_absolute_parts_are_read() -> None:
    """The Open XML SDK writes ``x:`` before every name, and parts from the root."""
    content = book([["a"]])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        relations = archive.read("xl/_rels/workbook.xml.rels")
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = (
        f'<x:worksheet xmlns:x="{main}"><x:sheetData><x:row r="1"><x:c r="A1" t="str"><x:v>a</x:v>'
        '</x:c></x:row><x:row r="2"><x:c r="A2" t="str"><x:v>b</x:v></x:c></x:row></x:sheetData>'
        "</x:worksheet>"
    )
    assert b"/xl/worksheets/sheet1.xml" in relations  # openpyxl's are absolute already
    relative = relations.replace(b"/xl/worksheets", b"worksheets")
    for one in (relations, relative):
        parts = {"xl/worksheets/sheet1.xml": sheet.encode(), "xl/_rels/workbook.xml.rels": one}
        assert cells_of(with_parts(content, parts)) == [["b"]]


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)


def bomb(head: str, piece: str, times: int, tail: str) -> bytes:
    """Return a workbook whose sheet is a few KB packed, and many MB unpacked."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book([["x"]]))) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            if not name.endswith("sheet1.xml"):
                new.writestr(name, old.read(name))
        with new.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            part.write(head.encode())
            for _ in range(times):
                part.write(piece.encode() * 1000)
            part.write(tail.encode())
    return file.getvalue()


TAIL = "</sheetData></worksheet>"
HEAD = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: with_sheet('<row><c t="str"><v>&c;</v></c></row>', LAUGHS), "damaged"),
        (lambda: with_sheet('<row><c t="str"><v>&x;</v></c></row>',
            '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'), "damaged"),
        (lambda: with_sheet("<row><c>"), "damaged"),
        (lambda: with_parts(book([["x"]]), {"xl/workbook.xml": b"<"}), "damaged"),
        (lambda: with_parts(book([["x"]]), {"_rels/.rels": b"<r/>"}), "damaged"),
        (lambda: book([["x"], ["y"]])[:-100], "damaged"),
        (lambda: bytes(book([["x"], ["y"]])).replace(b"sheet1.xml", b"sheet9.xml", 1), "damaged"),
        (lambda: with_parts(book([["x"]]), {"xl/workbook.bin": b""}), "binary workbook"),
        (lambda: with_parts(book([["x"]]), {"content.xml": b""}), "OpenDocument"),
        (lambda: bomb(HEAD, "<row/>", 30_000, TAIL), "too large"),
        (lambda: bomb(HEAD + "<row>", "<c/>", 45_000, f"</row>{TAIL}"), "too large"),
        (lambda: bomb(HEAD + '<row><c t="str"><v>', "x" * 100, 1_800, f"</v></c></row>{TAIL}"),
            "too large"),
        (lambda: book([[]]), "empty"),
        (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "old kind"),
        (lambda: b"<html><table><tr><td>Phone</td></tr></table></html>", "web page"),
        (lambda: b"%PDF-1.7", "PDF"),
    ],
    ids=["billion laughs", "external entity", "unclosed", "workbook", "no main part", "cut",
         "part missing", "xlsb", "ods", "rows", "cells of a row", "one text", "nothing", "xls",
         "html", "pdf"],
)  # fmt: skip
def test_what_is_no_workbook_or_means_harm_is_refused_in_words(content: Any, said: str) -> None:
    file = content()
    assert len(file) < 1024 * 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(Refused, match=said):
        cells_of(file)
    assert time.process_time() - began < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KB


def test_cells_far_apart_cost_nothing() -> None:
    """Calamine wants 512 GB for this one, and ends the process."""
    content = with_sheet(
        '<row r="1"><c r="A1" t="str"><v>a</v></c></row>'
        '<row r="1048576"><c r="A1048576" t="str"><v>b</v></c><c r="XFD1048576"><v>2</v></c></row>'
    )
    assert cells_of(content) == [["b"]]


def test_more_columns_than_are_read_are_refused() -> None:
    with pytest.raises(Refused, match="101 columns; at most 100"):
        cells_of(book([[f"c{n}" for n in range(130)], ["1"]]))


def test_more_rows_than_are_read_are_refused() -> None:
    rows = "".join(f'<row><c t="str"><v>{n}</v></c></row>' for n in range(100_002))
    with pytest.raises(Refused, match="more than 100,000 rows"):
        cells_of(with_sheet(rows))
