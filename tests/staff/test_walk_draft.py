"""A canned reply is drafted, tried on one's own phone, then used: as people see it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.staff.conftest import enter, press, said
from tests.support.looks import Looker
from tests.support.stack import Stack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes]

REPLIES = "/staff/clients/registrar/replies"
MINE, ASKS = "+13195550171", "+13195550172"


def test_a_reply_is_drafted_tried_and_used(page: Page, stack: Stack) -> None:
    looker = Looker(page)
    enter(page, stack.base_url)
    page.goto(f"{stack.base_url}{REPLIES}")
    page.get_by_role("link", name="away", exact=True).click()
    page.get_by_label("What it says").fill("We moved to Hall 5.")
    press(page, "Keep as a draft")
    said(page, "Kept as a draft: nobody gets it before you use it.")
    draft = page.get_by_role("region", name="Draft")
    expect(draft).to_contain_text("We moved to Hall 5.")
    looker.look("wording-with-a-draft")
    stack.text_in("Hello", phone=ASKS)
    assert not any("Hall 5" in text for text in stack.texts_of(ASKS))

    page.get_by_label("Your phone").fill("319-555-0171")
    page.get_by_label("What", exact=True).select_option("The draft")
    press(page, "Text me a test")
    said(page, "A test is on its way")
    eventually(lambda: stack.texts_of(MINE) == ["We moved to Hall 5."], "the draft is texted")
    press(page, "Use the draft")
    said(page, "The draft is in use, as version 2.")
    expect(draft).to_have_count(0)
    stack.text_in("Hello again", phone=ASKS)
    eventually(lambda: "We moved to Hall 5." in stack.texts_of(ASKS), "people get it now")
    assert looker.wrong == []


def test_a_draft_is_written_further_and_thrown_away_without_javascript(
    browser: Browser, stack: Stack
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        enter(page, stack.base_url)
        page.goto(f"{stack.base_url}{REPLIES}")
        page.get_by_role("link", name="away", exact=True).click()
        page.get_by_label("What it says").fill("Closed on Friday.")
        press(page, "Keep as a draft")
        page.get_by_role("link", name="Go on writing it").click()
        expect(page.get_by_label("What it says")).to_have_value("Closed on Friday.")
        page.get_by_label("What it says").fill("Closed on Friday and Saturday.")
        press(page, "Keep as a draft")
        draft = page.get_by_role("region", name="Draft")
        expect(draft).to_contain_text("Closed on Friday and Saturday.")
        press(page, "Throw it away")
        said(page, "The draft is gone.")
        expect(draft).to_have_count(0)
