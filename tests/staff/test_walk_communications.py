"""Communications as staff make them: on the whole of Dispatch, with the local Twilio."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.models.base import utcnow
from tests.staff.conftest import enter, press, said
from tests.support.looks import Looker
from tests.support.stack import Stack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes]

CLIENT = "/staff/clients/registrar"
UNREACHABLE = "+12065550102"
PEOPLE = [(f"Person {number}", f"+1206555{number:04}") for number in range(101, 113)]
FAULTY = "Name,Phone,term\nPerson 101,+12065550101,fall\nNobody,12,fall\n,,fall\n"
GOOD = "Name,Phone,term\n" + "".join(f"{name},{phone},fall\n" for name, phone in PEOPLE)


@pytest.fixture
def walker(page: Page, stack: Stack) -> Looker:
    """Pat at a browser, signed in."""
    enter(page, stack.base_url)
    return Looker(page)


def upload(page: Page, folder: Path, content: str) -> None:
    file = folder / "people.csv"
    file.write_text(content)
    page.get_by_label("Excel or CSV file").set_input_files(file)
    press(page, "Look at the file")


def gather_people(page: Page, stack: Stack, folder: Path, name: str) -> None:
    """Make a population from a file, whose mistakes are shown row by row first."""
    page.goto(f"{stack.base_url}{CLIENT}/populations")
    page.get_by_label("Name", exact=True).fill(name)
    press(page, "Make the population")
    said(page, f"“{name}” is ready")
    upload(page, folder, FAULTY)
    expect(page.get_by_role("heading", name="2 rows have mistakes")).to_be_visible()
    expect(page.locator("td[data-label=Line]")).to_have_text(["3", "4"])


def write(page: Page, stack: Stack, kind: str, name: str, words: str) -> None:
    page.goto(f"{stack.base_url}{CLIENT}/templates/new/{kind}")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("What it says").fill(words)
    press(page, "Save")
    said(page, f"“{name}” is saved")


def join(page: Page, stack: Stack, name: str, sender: str, **choices: str) -> None:
    """Write a communication of texts."""
    page.goto(f"{stack.base_url}{CLIENT}/communications")
    page.get_by_role("link", name="New text").click()
    page.get_by_label("Name", exact=True).fill(name)
    for label, choice in {"From": sender, **choices}.items():
        page.get_by_label(label, exact=True).select_option(label=choice)
    page.get_by_label("Short links, counted").check()
    press(page, "Save")
    said(page, f"“{name}” is saved. Nothing is sent yet.")


def bar(page: Page) -> int:
    """How far the progress bar is."""
    return int(page.locator("#progress-bar").get_attribute("value") or 0)


def state(page: Page) -> str:
    return page.locator("#progress .tag").first.inner_text()


def test_a_text_to_a_list_of_people(
    walker: Looker, page: Page, stack: Stack, tmp_path: Path
) -> None:
    stack.ask("PUT", f"phones/{UNREACHABLE}", {"outcome": "undelivered", "error_code": 30003})
    gather_people(page, stack, tmp_path, "freshmen")
    walker.look("population-with-mistakes")
    press(page, "Throw this file away")
    said(page, "Nothing was changed.")
    upload(page, tmp_path, GOOD)
    press(page, "Take these people in")
    said(page, "The file is in: 12 new")
    walker.look("population")
    write(page, stack, "sms", "welcome", "Hi {{ toName }}, see https://www.example.edu/{{ term }}")
    join(page, stack, "welcome week", "(888) 555-0104", **{
        "What is said": "welcome", "To whom": "freshmen", "Suppression list": "opted-out",
    })  # fmt: skip
    walker.look("communication-new")

    page.get_by_role("link", name="Prepare to send").click()
    tiles = page.locator(".tiles")
    expect(tiles).to_contain_text("of 12 in freshmen")
    expect(tiles).to_contain_text("12 segments")
    expect(page.locator(".bubble")).to_contain_text("Hi Person 101, see ")
    walker.look("preflight")
    tomorrow = utcnow() + timedelta(days=1)
    page.get_by_role("radio", name="Later").check()
    page.get_by_label("Day and time").fill(f"{tomorrow:%Y-%m-%dT09:00}")
    press(page, "Text 12 people")
    said(page, "It is scheduled")
    walker.look("batch-scheduled")
    page.get_by_role("link", name="Cancel for good …").click()
    walker.look("batch-cancel")
    press(page, "Cancel for good")
    said(page, "Canceled.")

    page.get_by_role("link", name="welcome week").click()
    page.get_by_role("link", name="Prepare to send").click()
    press(page, "Text 12 people")
    said(page, "It is on its way.")
    page.evaluate("window.sameAsBefore = true")
    eventually(lambda: bar(page) >= 1 and state(page) == "Running", "the bar moves by itself")
    assert page.evaluate("window.sameAsBefore"), "the page was not loaded again"
    press(page, "Pause")
    said(page, "Paused.")
    held = eventually(lambda: bar(page), "something went out before the pause")
    walker.look("batch-paused")
    assert held < 12
    press(page, "Resume")
    expect(page.locator("#progress")).to_contain_text("Complete", timeout=30_000)
    expect(page.locator("#progress")).to_contain_text("Not delivered", timeout=20_000)
    assert bar(page) == 12

    text = eventually(lambda: stack.texts_of("+12065550105"), "a person got the text")[0]
    link = re.search(r"http\S+/l/\S+", text)
    assert link, text
    assert stack.open_link(link[0]) == 302
    page.reload()
    expect(page.locator("#progress")).to_contain_text("Links opened 1 time by people")
    walker.look("batch-complete")
    page.get_by_label("Show").select_option(label="Not delivered (1)")
    press(page, "Show")
    page.get_by_role("link", name="Person 102").click()
    expect(page.get_by_role("main")).to_contain_text("Person 102")
    expect(page.get_by_role("main")).to_contain_text("30003")
    walker.look("message-undelivered")
    page.get_by_role("link", name="Communications").first.click()
    walker.look("communications")
    assert walker.wrong == []


def start(page: Page, button: str) -> None:
    """Start what is open after a look at what it would do."""
    page.get_by_role("link", name="Prepare to send").click()
    press(page, button)
    said(page, "It is on its way.")


def reload_until(page: Page, words: str) -> None:
    """Without JavaScript, people reload the page to see how far it is."""
    eventually(lambda: page.reload() and words in page.locator("#progress").inner_text(), words, 60)


def test_texts_and_calls_without_javascript(browser: Browser, stack: Stack, tmp_path: Path) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        enter(page, stack.base_url)
        gather_people(page, stack, tmp_path, "sophomores")
        page.get_by_label("Leave faulty rows out").check()
        press(page, "Take this person in")
        said(page, "The file is in: 1 new, 0 changed, 0 the same as before, 2 faulty rows left out")
        write(page, stack, "sms", "plain welcome", "Hello {{ toName }}")
        join(page, stack, "plain week", "31955", **{
            "What is said": "plain welcome", "To whom": "sophomores",
        })  # fmt: skip
        start(page, "Text 1 person")
        reload_until(page, "Complete")

        page.goto(f"{stack.base_url}{CLIENT}/communications")
        page.get_by_role("link", name="appointment-call").click()
        start(page, "Call 5 people")
        press(page, "Pause")
        said(page, "Paused.")
        press(page, "Resume")
        said(page, "It goes on.")
        for words in ("3 Answered", "1 Busy", "1 Not answered"):
            reload_until(page, words)
        page.get_by_role("link", name="Dee Walker").click()
        expect(page.get_by_role("main")).to_contain_text("Answered by")
