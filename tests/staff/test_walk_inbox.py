"""A secretary's day at the inbox in a browser without JavaScript: everything is a form."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.staff.conftest import enter, press, said
from tests.support.looks import ARTEFACTS
from tests.support.stack import Stack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes]

NUMBER, PERSON, SHOWN = "+13195550102", "+12065550194", "(206) 555-0194"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def plain(browser: Browser, stack: Stack) -> Iterator[Page]:
    """Pat at a narrow browser without JavaScript, signed in."""
    with browser.new_context(
        java_script_enabled=False, viewport={"width": 360, "height": 900}
    ) as context:
        page = context.new_page()
        enter(page, stack.base_url)
        yield page


def look(page: Page, name: str) -> None:
    """Keep a picture of the page as it is."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"plain-{name}.png", full_page=True)


def open_inbox(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.base_url}/staff/clients/registrar/conversations")


def answer_with_a_picture(page: Page, stack: Stack, folder: Path) -> None:
    """Take it, tell the others, begin with a canned reply, and send something better."""
    press(page, "Assign to me")
    expect(page.get_by_text("Taken by pat@example.edu")).to_be_visible()
    page.get_by_label("Note for the others").fill("Asked the porter.")
    press(page, "Keep the note")
    expect(page.get_by_role("log")).to_contain_text("Asked the porter.")
    page.get_by_label("Canned reply").select_option(index=1)
    press(page, "Put in")
    box = page.get_by_label("Your answer")
    assert box.input_value(), "the canned reply stands in the box, to be changed"
    box.fill("Room 12 opens at nine; here is the way.")
    picture = folder / "way.png"
    picture.write_bytes(PNG)
    page.get_by_label("Add a picture or file").set_input_files(picture)
    look(page, "answering")
    press(page, "Send")
    talk = page.get_by_role("log")
    expect(talk).to_contain_text("Room 12 opens at nine; here is the way.")
    expect(talk.get_by_role("img", name="Picture 1")).to_be_visible()
    sent = eventually(lambda: stack.texts_of(PERSON), "the answer is on the phone", 60)
    assert sent[-1] == "Room 12 opens at nine; here is the way."


def read_on_and_close(page: Page, stack: Stack) -> None:
    """What comes in meanwhile is there when the page is loaded again."""
    stack.text_in("Danke schön, Zoë!", NUMBER, PERSON)
    page.reload()
    expect(page.get_by_role("log")).to_contain_text("Danke schön, Zoë!")
    look(page, "conversation")
    press(page, "Close")
    said(page, "Closed. A new text from this phone opens it again.")
    expect(page.get_by_role("main")).not_to_contain_text(SHOWN)


def find_what_was_said(page: Page, stack: Stack) -> None:
    """By any words, whoever said them, without their accents."""
    page.goto(f"{stack.base_url}/staff/clients/registrar/search")
    for wanted, shown in (
        ("room 12", "Is room 12 open?"), ("zoe schon", "Danke schön"), ("porter", "Asked the"),
        ("nine way", "Room 12 opens at nine"),
    ):  # fmt: skip
        page.get_by_role("searchbox", name="A name, a phone number or words").fill(wanted)
        press(page, "Search")
        expect(page.get_by_role("region", name="What was said")).to_contain_text(shown)
    look(page, "search")
    page.get_by_role("link", name=SHOWN).first.click()


def forget_them(page: Page, stack: Stack) -> None:
    """Give out what is known, and erase it: nothing but that it was done is left."""
    with page.expect_download() as download:
        page.get_by_role("link", name="Download what is known").click()
    known = json.loads(download.value.path().read_text())
    assert known["phone"] == PERSON
    assert known["conversations"][0]["notes"][0]["text"] == "Asked the porter."
    page.get_by_role("link", name="Erase …").click()
    look(page, "erase")
    press(page, "Erase for good")
    said(page, "Opt-outs stay.")
    page.goto(f"{stack.base_url}/staff/clients/registrar/search?q=porter")
    expect(page.get_by_text("Nothing fits.")).to_be_visible()
    page.goto(f"{stack.base_url}/staff/clients/registrar/history")
    expect(page.get_by_role("main")).not_to_contain_text(PERSON)


def test_a_day_at_the_inbox_without_javascript(plain: Page, stack: Stack, tmp_path: Path) -> None:
    stack.text_in("Is room 12 open?", NUMBER, PERSON)
    open_inbox(plain, stack)
    entry = plain.get_by_role("listitem").filter(has_text=SHOWN)
    expect(entry).to_contain_text("Is room 12 open?")
    expect(entry).to_contain_text("1 new")
    look(plain, "inbox")
    entry.get_by_role("link", name=SHOWN).click()
    answer_with_a_picture(plain, stack, tmp_path)
    read_on_and_close(plain, stack)
    find_what_was_said(plain, stack)
    forget_them(plain, stack)
