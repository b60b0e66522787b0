"""A batch to many people: one starts it, another looks at it and decides; as both see it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.staff.conftest import employ, enter, press, said
from tests.support.looks import Looker
from tests.support.stack import PAT, Stack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes]

CLIENT = "/staff/clients/registrar"
BO = ("bo@example.edu", "bo-on-this-machine")


@pytest.fixture(scope="module")
def office(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Pat owns the registrar; Bo works there too."""
    employ(stack, tmp_path_factory.mktemp("colleague"), BO)
    return stack


def set_the_limit(page: Page, office: Stack, people: str) -> None:
    page.goto(f"{office.base_url}{CLIENT}/settings")
    page.get_by_label("Ask somebody else").fill(people)
    page.locator("form").filter(has=page.get_by_label("Ask somebody else")).get_by_role(
        "button", name="Save"
    ).click()
    said(page, "Saved.")


def start(page: Page, office: Stack) -> None:
    page.goto(f"{office.base_url}{CLIENT}/communications")
    page.get_by_role("link", name="class-reminder").click()
    page.get_by_role("link", name="Prepare to send").click()


def test_one_starts_and_another_approves(page: Page, browser: Browser, office: Stack) -> None:
    looker = Looker(page)
    enter(page, office.base_url)
    set_the_limit(page, office, "1")
    looker.look("settings-of-sending")
    start(page, office)
    person = page.locator("#person")
    expect(person).to_contain_text("1 of 50")
    page.get_by_role("link", name="Next person").click()
    expect(person).to_contain_text("2 of 50")
    expect(person.get_by_role("heading")).to_contain_text("Ben Carter gets")
    expect(person.locator(".bubble")).to_contain_text("MATH 1850")
    expect(page.get_by_role("main")).to_contain_text("somebody else here approves it first")
    looker.look("preflight-needs-approval")
    page.get_by_role("button", name="Ask to text").click()
    said(page, "It waits until somebody else has approved it.")
    progress = page.locator("#progress")
    expect(progress).to_contain_text("Waits for approval")
    expect(progress).to_contain_text("Somebody else here has to approve it.")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    looker.look("batch-waits-for-others")
    batch = page.url

    with browser.new_context() as context:
        other = context.new_page()
        theirs = Looker(other)
        enter(other, office.base_url, BO)
        other.goto(f"{office.base_url}{CLIENT}/")
        waiting = other.get_by_role("link", name="waits for approval")
        expect(waiting).to_contain_text(PAT[0])
        waiting.click()
        assert other.url == batch
        expect(other.locator("#progress")).to_contain_text(f"{PAT[0]} asks for your approval.")
        expect(other.get_by_role("heading", name="What would go out")).to_be_visible()
        expect(other.locator(".bubble").first).to_be_visible()
        other.get_by_text("Reject", exact=True).click()
        theirs.look("batch-to-approve")
        press(other, "Approve")
        said(other, "Approved.")
        expect(other.locator("#progress")).to_contain_text(f"Approved by {BO[0]}")
        eventually(lambda: office.texts_of("+13195550110"), "the first person got the text")
        expect(other.locator("#progress")).to_contain_text("Running")
        theirs.look("batch-approved")
        assert theirs.wrong == []
    page.goto(f"{office.base_url}{CLIENT}/history")
    expect(page.get_by_role("main")).to_contain_text("approve")
    expect(page.get_by_role("main")).to_contain_text(BO[0])
    assert looker.wrong == []


def test_one_starts_and_another_rejects_without_javascript(browser: Browser, office: Stack) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        enter(page, office.base_url, BO)
        start(page, office)
        page.get_by_role("link", name="Next person").click()
        expect(page.get_by_role("main")).to_contain_text("Ben Carter gets")
        page.get_by_role("link", name="Before it is sent").click()
        page.get_by_role("button", name="Ask to text").click()
        said(page, "It waits until somebody else has approved it.")
        batch = page.url
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        enter(page, office.base_url)
        page.goto(batch)
        page.get_by_text("Reject", exact=True).click()
        page.get_by_label("Why must it not go out?").fill("The exam week is wrong.")
        press(page, "Reject for good")
        said(page, "Rejected.")
        expect(page.locator("#progress")).to_contain_text("Refused")
        expect(page.locator("#progress")).to_contain_text(
            f"Not approved by {PAT[0]}: The exam week is wrong."
        )
    eventually(
        lambda: any(
            BO[0] in one["to"] and "The exam week is wrong." in one["text"]
            for one in office.ask("GET", "mails")["items"]
        ),
        "Bo gets a mail that says why",
    )
