"""Two people on one inbox at once, and what a secretary looks up afterwards, in a browser."""

from __future__ import annotations

import base64
import csv
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.models.base import utcnow
from tests.staff.conftest import employ, enter, press, said
from tests.support.looks import Looker
from tests.support.stack import PAT, Stack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes]

CLIENT = "/staff/clients/registrar"
NUMBER, PERSON, SHOWN = "+13195550102", "+12065550181", "(206) 555-0181"
FURTHER = "+12065550182"
KIM = ("kim@example.edu", "kim-on-this-machine")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def office(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Pat and Kim both work for the registrar."""
    employ(stack, tmp_path_factory.mktemp("colleague"), KIM)
    return stack


def open_talk(page: Page, office: Stack, shown: str = SHOWN) -> None:
    page.goto(f"{office.base_url}{CLIENT}/conversations")
    page.get_by_role("link", name=shown).click()


def test_two_people_answer_together(
    page: Page, browser: Browser, office: Stack, tmp_path: Path
) -> None:
    office.text_in("Where is room 12?", NUMBER, PERSON)
    looker = Looker(page)
    enter(page, office.base_url)
    open_talk(page, office)
    with browser.new_context() as context:
        other = context.new_page()
        theirs = Looker(other)
        enter(other, office.base_url, KIM)
        other.goto(f"{office.base_url}{CLIENT}/conversations")
        expect(other.get_by_role("link", name=SHOWN)).to_be_visible()
        office.text_in("And is it far?", NUMBER, FURTHER)
        expect(other.get_by_role("link", name="(206) 555-0182")).to_be_visible(timeout=20_000)
        expect(other.locator("#menu-waits")).to_contain_text("2")
        open_talk(other, office)

        press(page, "Assign to me")
        talk = other.get_by_role("log")
        expect(other.locator("#talk")).to_contain_text(f"Taken by {PAT[0]}", timeout=20_000)
        press(other, "Assign to me")
        said(other, f"{PAT[0]} has taken this conversation meanwhile.")
        expect(other.get_by_role("button", name="Take it over")).to_be_visible()

        other.get_by_label("Your answer").fill("I am writing, too")
        page.get_by_label("Your answer").fill("Upstairs; here is the way.")
        expect(page.locator("#size")).to_contain_text("1 segment")
        picture = tmp_path / "way.png"
        picture.write_bytes(PNG)
        page.get_by_label("Add a picture or file").set_input_files(picture)
        looker.look("together-answering")
        press(page, "Send")
        expect(page.get_by_role("log").get_by_role("img", name="Picture 1")).to_be_visible()
        expect(talk).to_contain_text("Upstairs; here is the way.", timeout=20_000)
        expect(talk).to_contain_text(PAT[0])
        expect(other.get_by_label("Your answer")).to_have_value("I am writing, too")
        theirs.look("together-reading-along")
        assert theirs.wrong == []
    sent = eventually(lambda: office.texts_of(PERSON), "the answer is on the phone", 60)
    assert sent == ["Upstairs; here is the way."]
    assert looker.wrong == []


def long_ago(office: Stack, days: int, body: str) -> None:
    """Let a text have come some days ago: nobody waits a month for a test."""
    path = office.env["DATABASE_URL"].removeprefix("sqlite:///")
    at = utcnow() - timedelta(days=days)
    with sqlite3.connect(path, timeout=30) as database:
        database.execute("UPDATE incoming SET received_at = ? WHERE body = ?", (str(at)[:26], body))


def test_what_was_written_last_month_is_found_and_handed_out(
    page: Page, office: Stack, tmp_path: Path
) -> None:
    asked = "My transcript never arrived, Zoë said"
    office.text_in(asked, "+13195550101", "+13195550120")
    long_ago(office, 31, asked)
    office.text_in("And the next one?", "+13195550101", "+13195550120")
    looker = Looker(page)
    enter(page, office.base_url)
    page.get_by_role("link", name="Search", exact=True).click()
    page.get_by_role("searchbox").fill("transcript zoe")
    press(page, "Search")
    found = page.get_by_role("region", name="What was said")
    expect(found).to_contain_text(asked)
    looker.look("search-last-month")
    found.get_by_role("link", name="Kai Baker").click()
    expect(page.get_by_role("log")).to_contain_text(asked)

    page.goto(f"{office.base_url}{CLIENT}/inbox?q=transcript")
    page.get_by_text("Download as a file for spreadsheets").click()
    looker.look("inbox-download")
    day = f"{utcnow() - timedelta(days=35):%Y-%m-%d}"
    page.get_by_label("From", exact=True).fill(day)
    page.get_by_label("until", exact=True).fill(f"{utcnow() - timedelta(days=20):%Y-%m-%d}")
    with page.expect_download() as download:
        page.get_by_role("button", name="What came in, as shown").and_(
            page.locator(":not([formaction*=xlsx])")
        ).last.click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.suffix == ".csv"
    lines = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    assert [(one["Text"], one["Name"]) for one in lines] == [(asked, "Kai Baker")]
    assert looker.wrong == []


def test_one_reads_why_a_call_reached_nobody(page: Page, office: Stack) -> None:
    office.ask("PUT", "phones/+13195550111", {"answers": "no-answer"})
    office.ask("POST", "calls", {"from": "+13195550121", "to": "+13195550101", "attended": False})
    looker = Looker(page)
    enter(page, office.base_url)
    page.goto(f"{office.base_url}{CLIENT}/inbox?kind=voice")
    eventually(
        lambda: page.reload() and "Nobody took the call" in page.content(), "the call is over", 60
    )
    expect(page.get_by_role("listitem").first).to_contain_text("Lea Clark")
    page.get_by_role("link", name="Details of call").first.click()
    expect(page.get_by_role("main")).to_contain_text("(319) 555-0111 did not take the call.")
    looker.look("call-reached-nobody")
    assert looker.wrong == []
