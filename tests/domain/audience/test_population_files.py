"""Files as people have them become people, or rows with a reason; what goes out comes back.

The examples are what spreadsheets and student systems write, reported by those who upload it.
"""

from __future__ import annotations

from typing import Any

import pytest

from app.domain import tables
from app.domain.audience import columns, population_files
from app.domain.mistakes import Refused
from app.domain.tables import FaultyRows, Table
from tests.support.workbooks import book

ADA = {"toName": "Ada", "toPhone": "+13195550100"}


def people_of(table: Table, **names: Any) -> tuple[list[dict[str, Any]], FaultyRows]:
    people, faulty = population_files.read_people(table, **names)
    return list(people), faulty


@pytest.mark.parametrize(
    ("file", "people"),
    [
        ("sep=;\r\ntoName;toPhone\r\nAda;3195550100\r\n", [ADA]),
        ('toName,toPhone\r\nAda,"=""3195550100"""\r\n', [ADA]),
        ('toName,toPhone\r\nAda,="3195550100"\r\n', [ADA]),
        ("toName,toPhone\r\nAda,'+13195550100\r\n", [ADA]),
        ("toName,toPhone\r\nAda,’3195550100\r\n", [ADA]),
        ("toName,toPhone\r\nAda,3195550100.0\r\n", [ADA]),
        ("Name,Mobile Number\r\nAda,3195550100\r\n", [ADA]),
        ("NAME\tCELL #\r\nAda\t(319) 555-0100\r\n", [ADA]),
        ("Nombre;Teléfono\r\nAda;319 555 0100\r\n", [ADA]),
        ("Nom complet;N° de téléphone\r\nAda;319.555.0100\r\n", [ADA]),
        ("Name;Handynummer\r\nAda;001 319 555 0100\r\n".replace("001 ", "+1 "), [ADA]),
        ("姓名,手机号码\r\nAda,13195550100\r\n", [ADA]),
        ("\r\n\r\n Fall list,\r\nName,Phone\r\nAda,3195550100\r\n", [ADA]),
        ("Ada,3195550100\r\n", [ADA]),
        ("Who,Reach\r\nAda,(319) 555-0100\r\n", [{"Who": "Ada", "toPhone": "+13195550100"}]),
        (
            '"Last, First, Middle";Phone\r\n"L, A, B";3195550100\r\n',
            [{"Last_First_Middle": "L, A, B", "toPhone": "+13195550100"}],
        ),
        (
            '"Student\nname";Phone\r\nAda;3195550100\r\n',
            [{"Student_name": "Ada", "toPhone": "+13195550100"}],
        ),
        (
            "Name,Phone,Mobile,Phone\r\nAda,3195550101,3195550100,3195550102\r\n",
            [{**ADA, "Phone": "3195550101", "Phone_2": "3195550102"}],
        ),
        (
            "Name,E-Mail-Adresse,2nd room,,\r\nAda,ada@example.edu,B1,,\r\n",
            [{"toName": "Ada", "toAddress": "ada@example.edu", "column_2nd_room": "B1"}],
        ),
        (
            'toName,toPhone,courses\r\nAda,3195550100,"[{""name"": ""Algebra""}]"\r\n',
            [{**ADA, "courses": [{"name": "Algebra"}]}],
        ),
    ],
)
def test_files_as_people_have_them(file: str, people: list[dict[str, Any]]) -> None:
    found, faulty = people_of(tables.read(file.encode()))
    assert (found, faulty.named) == (people, [])


@pytest.mark.parametrize(
    ("header", "attribute"),
    [
        # As forms, registration systems, CRMs and address books call them.
        ("What is your cell phone number?", "toPhone"),
        ("Handynummer bitte", "toPhone"),
        ("Phone (required)*", "toPhone"),
        ("Primary Phone Number (Mobile)", "toPhone"),
        ("Student Cell #", "toPhone"),
        ("Phone 1 - Value", "toPhone"),
        ("MobilePhone__c", "toPhone"),
        ("student_phone_number", "toPhone"),
        ("Ph.", "toPhone"),
        ("Phone / Teléfono", "toPhone"),
        ("Teléfono del estudiante", "toPhone"),
        ("Parent/Guardian Cell", None),
        ("Parent Phone", None),
        ("Emergency Contact Phone", None),
        ("Home Phone", None),
        ("Phone 1 - Type", None),
        ("Phone Plan", None),
    ],
)
def test_a_column_is_told_by_what_its_name_asks_for(header: str, attribute: str | None) -> None:
    content = f"toName,toAddress,{header}\nAda,ada@example.edu,(319) 555-0100\n"
    suggested = columns.suggest(tables.read(content.encode()))
    assert suggested[tables.read(content.encode()).columns[2]] == attribute or (
        attribute is None and "toPhone" not in suggested.values()
    )


@pytest.mark.parametrize(
    ("header", "attribute"),
    [
        ("Student E-mail", "toAddress"),
        ("Email__c", "toAddress"),
        ("RecipientEmail", "toAddress"),
        ("EMAIL ADDR", "toAddress"),
        ("Mail ID", "toAddress"),
        ("E-mail / Correo electrónico", "toAddress"),
        ("Your e-mail address (optional)", "toAddress"),
        ("Parent Email", None),
        ("Email Consent", None),
    ],
)
def test_a_column_of_addresses_is_told_the_same_way(header: str, attribute: str | None) -> None:
    content = f"toName,toPhone,{header}\nAda,3195550100,ada@example.edu\n"
    suggested = columns.suggest(tables.read(content.encode()))
    assert suggested[header] == attribute or (
        attribute is None and "toAddress" not in suggested.values()
    )


def test_a_name_says_nothing_against_what_is_under_it() -> None:
    table = tables.read(b"Name,Reach,Your Phone\nAda,ada@example.edu,iPhone\n")
    assert columns.suggest(table) == {
        "Name": "toName", "Reach": "toAddress", "Your Phone": "Your_Phone"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "because"),
    [
        (["Bob,1.32E+10"], "digits were lost in the spreadsheet"),
        (["Bob,3.19555E+09"], "digits were lost in the spreadsheet"),
        (["Eve,319555010.0"], "9 digits"),
        (["Eve,319555018.0"], "9 digits"),
        (["Eve,"], "neither a phone nor an e-mail"),
        (["Eve,319-555-0100 x12"], "extension"),
        (["#N/A,3195550100"], "the error #N/A"),
        (["Eve,#REF!"], "the error #REF!"),
        (["Eve,3195550100,more"], "3 values"),
        (["Eve,911"], "emergency"),
        (["Eve,n/a"], "letters"),
        (['"Eve","319-555-0100\n319-555-0101"'], "more than one number"),
        (["Eve,319-555-0100 ::: 319-555-0101"], "more than one number"),
        (["Ada,3195550111", "Eve,(319) 555-0111"], "listed twice; the first time on line 2"),
    ],
)
def test_rows_at_fault_say_why(rows: list[str], because: str) -> None:
    content = "\r\n".join(["toName,toPhone", *rows, "Zoe,3195550199"])
    found, faulty = people_of(tables.read(content.encode()))
    assert found[-1] == {"toName": "Zoe", "toPhone": "+13195550199"}
    assert faulty.count == 1
    assert faulty.named[0].line == len(rows) + 1
    assert because in faulty.named[0].message


def test_a_workbook_is_read_like_a_file() -> None:
    rows: list[list[Any]] = [
        ["Vor- und Nachname", "Rufnummer", "E-Mail", "Beginn"],
        ["Ada", 3195550100, "ada@example.edu", "8:00"],
        ["Bob", 319555018, None, None],
    ]
    found, faulty = people_of(tables.read(book(rows)))
    assert found == [{**ADA, "toAddress": "ada@example.edu", "Beginn": "8:00"}]
    assert "9 digits" in faulty.named[0].message


def test_a_person_says_what_columns_are() -> None:
    table = tables.read(b"A,B,C\nAda,3195550100,x\n")
    with pytest.raises(Refused, match="Say which one holds the phones"):
        people_of(table)
    names = {"A": "toName", "B": "toPhone", "C": columns.LEFT_OUT}
    assert people_of(table, names=names)[0] == [ADA]
    with pytest.raises(Refused, match="“A” and “B” would both become toPhone"):
        people_of(table, names={**names, "A": "toPhone"})


def test_what_was_said_is_remembered_whatever_the_case_and_order() -> None:
    said = {"Kontakt": "toPhone", "Wer": "toName", "Intern": columns.LEFT_OUT}
    table = tables.read(b"INTERN;wer;KONTAKT;Kurs\n1;Ada;3195550100;A\n")
    assert columns.suggest(table, said) == {
        "INTERN": columns.LEFT_OUT, "wer": "toName", "KONTAKT": "toPhone", "Kurs": "Kurs"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["Phone", "phone number", "tophone", "Name", "Column 1"])
def test_our_own_columns_come_first(name: str) -> None:
    content = f"toName,toPhone,toAddress,{name}\nAda,3195550100,,7\n"
    suggested = columns.suggest(tables.read(content.encode()), {name: "toName"}, [name])
    assert suggested == {"toName": "toName", "toPhone": "toPhone", "toAddress": "toAddress",
                         name: name}  # fmt: skip
