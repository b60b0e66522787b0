"""A secretary's Excel file, as it is, on its way to texts: mapped, corrected, and sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.staff.conftest import enter, press, said
from tests.support.looks import Looker
from tests.support.stack import Stack, eventually
from tests.support.workbooks import book

pytestmark = [pytest.mark.browser, pytest.mark.processes]

CLIENT = "/staff/clients/registrar"


def choose(page: Page, path: Path) -> None:
    page.get_by_label("Excel or CSV file").set_input_files(path)
    press(page, "Look at the file")


def write(page: Page, stack: Stack, population: str, name: str) -> None:
    page.goto(f"{stack.base_url}{CLIENT}/templates/new/sms")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("What it says").fill("Hallo {{ toName }}, {{ kurs }} beginnt Montag.")
    press(page, "Save")
    page.goto(f"{stack.base_url}{CLIENT}/communications")
    page.get_by_role("link", name="New text").click()
    page.get_by_label("Name", exact=True).fill(name)
    for label, choice in {"From": "(888) 555-0104", "What is said": name,
                          "To whom": population}.items():  # fmt: skip
        page.get_by_label(label, exact=True).select_option(label=choice)
    press(page, "Save")


def walk(page: Page, stack: Stack, folder: Path, name: str, first: int, look=lambda _: None):
    """From an Excel file with a German header to texts on phones.

    :param first: of three phones, the last digits.
    """
    page.goto(f"{stack.base_url}{CLIENT}/populations")
    page.get_by_label("Name", exact=True).fill(name)
    press(page, "Make the population")
    phones = [2065550000 + first + number for number in range(3)]
    workbook = folder / f"{name}.xlsx"
    workbook.write_bytes(
        book([
            ["Teilnehmerliste Herbst", None, None, None],
            [None, None, None, None],
            ["Vollständiger Name", "Kontakt\nnummer", "Kurs", "Intern"],
            ["Jürgen Groß", phones[0], "Algebra", "x"],
            ["Zoë O’Brien", f"'+1{phones[1]}", "Logik", "y"],
            ["王小明", phones[2] // 10, "Algebra", "z"],
        ])
    )  # fmt: skip
    choose(page, workbook)
    expect(page.get_by_role("alert")).to_contain_text("Say which one holds the phones")
    look("file-to-be-mapped")
    page.get_by_label("What “Kontakt nummer” is").select_option(label="Phone")
    page.get_by_label("Name for templates, if “Kurs”").fill("kurs")
    page.get_by_label("What “Intern” is").select_option(label="Leave it out")
    press(page, "Read it again like this")
    expect(page.get_by_role("heading", name="1 row has a mistake")).to_be_visible()
    expect(page.get_by_role("heading", name="2 people")).to_be_visible()
    expect(page.locator("#faulty")).to_contain_text("has 9 digits")
    look("file-with-a-mistake")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the faulty rows").click()
    page.get_by_label("Leave faulty rows out").check()
    press(page, "Take these people in")
    said(page, "The file is in: 2 new, 0 changed, 0 the same as before, 1 faulty row left out.")
    look("file-taken-in")
    page.get_by_role("link", name="See the people").click()
    mended = folder / f"{name}-mended.csv"
    content = download.value.path().read_bytes().decode("utf-8-sig")
    mended.write_text(
        content.replace(f",{phones[2] // 10},", f",{phones[2]},"), encoding="utf-8-sig"
    )
    choose(page, mended)
    expect(page.get_by_role("heading", name="1 person")).to_be_visible()
    look("file-as-remembered")
    press(page, "Take this person in")
    said(page, "The file is in: 1 new")
    expect(page.get_by_role("table")).to_contain_text("王小明")
    write(page, stack, name, name)
    page.get_by_role("link", name="Prepare to send").click()
    press(page, "Text 3 people")
    said(page, "It is on its way.")
    for phone, text in zip(
        phones,
        ("Hallo Jürgen Groß, Algebra", "Hallo Zoë O’Brien, Logik", "Hallo 王小明, Algebra"),
        strict=True,
    ):
        got = eventually(lambda phone=phone: stack.texts_of(f"+1{phone}"), f"a text to {phone}", 40)
        assert text in got[0]


def test_an_excel_file_is_mapped_corrected_and_sent(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    enter(page, stack.base_url)
    looker = Looker(page)
    walk(page, stack, tmp_path, "erstsemester", 171, looker.look)
    assert looker.wrong == []


def test_the_same_without_javascript(browser: Browser, stack: Stack, tmp_path: Path) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        enter(page, stack.base_url)
        walk(page, stack, tmp_path, "zweitsemester", 181)


def test_where_names_are_uncertain_the_right_ones_are_chosen(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    enter(page, stack.base_url)
    looker = Looker(page)
    page.goto(f"{stack.base_url}{CLIENT}/populations")
    page.get_by_label("Name", exact=True).fill("praha")
    press(page, "Make the population")
    file = tmp_path / "praha.csv"
    names = ["Dvořák", "Jiří", "Kateřina", "Řehoř", "Ondřej", "Přemysl"]
    lines = [f"{name};206555019{number}" for number, name in enumerate(names)]
    file.write_bytes("\r\n".join(["Jméno;Telefon", *lines]).encode("cp1250"))
    choose(page, file)
    expect(page.get_by_text("How do these names read?")).to_be_visible()
    looker.look("file-in-an-uncertain-encoding")
    page.get_by_role("radio", name="Central European").check()
    press(page, "Take these people in")
    said(page, "The file is in: 6 new")
    expect(page.get_by_role("table")).to_contain_text("Dvořák")
    assert looker.wrong == []
