"""The office as staff keep it: lists, keys, credentials, people, settings, usage and history."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.models.base import utcnow
from embedded.demo import read
from tests.staff.conftest import enter, press, said
from tests.support.looks import Looker
from tests.support.processes import ROOT
from tests.support.stack import SUPPORT, Stack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes]

CLIENT = "/staff/clients/registrar"


@pytest.fixture
def walker(page: Page, stack: Stack) -> Looker:
    """Pat at a browser, signed in."""
    enter(page, stack.base_url)
    return Looker(page)


@pytest.fixture
def plain(browser: Browser, stack: Stack):
    """Pat at a browser without JavaScript, signed in."""
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        enter(page, stack.base_url)
        yield page


def go(page: Page, section: str) -> None:
    page.get_by_label("Sections").get_by_role("link", name=section, exact=True).click()


def row(page: Page, words: str):
    return page.get_by_role("row").filter(has_text=words)


def keep_a_list(page: Page, folder: Path, name: str, look=lambda _: None) -> None:
    """Make a suppression list, add phones by hand and by file, lift one, delete the list."""
    go(page, "Suppression lists")
    look("suppression-lists")
    page.get_by_label("Name", exact=True).fill(name)
    press(page, "Make the list")
    said(page, f"“{name}” is ready")
    page.get_by_label("Phone", exact=True).fill("12")
    press(page, "Add")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved.")
    page.get_by_label("Phone", exact=True).fill("(206) 555-0131")
    press(page, "Add")
    said(page, "+12065550131 is on the list.")
    file = folder / "phones.csv"
    file.write_text("phone\n206-555-0132\nnobody\n")
    page.get_by_label("Excel or CSV file").set_input_files(file)
    press(page, "Upload")
    expect(page.get_by_role("alert")).to_contain_text("1 row has a mistake")
    look("suppression-list-with-mistakes")
    page.get_by_label("Excel or CSV file").set_input_files(file)
    page.get_by_label("Leave faulty rows out").check()
    press(page, "Upload")
    said(page, "1 phone was added")
    row(page, "(206) 555-0131").get_by_role("button", name="Lift").click()
    said(page, "(206) 555-0131 may be texted again.")
    page.get_by_label("Show").select_option(label="All")
    press(page, "Search")
    expect(row(page, "(206) 555-0131")).to_contain_text("Lifted")
    look("suppression-list")
    press(page, f"Delete “{name}”")
    said(page, f"“{name}” is deleted.")


def make_a_key(page: Page, label: str, look=lambda _: None) -> None:
    """Make a key that is shown once, and revoke it."""
    go(page, "API keys")
    press(page, "Make the key")
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Which system is it for?").fill(label)
    page.get_by_role("radio", name="Read").check()
    press(page, "Make the key")
    key = page.get_by_label("Copy it now").input_value()
    assert len(key) >= 32
    look("key-shown-once")
    page.get_by_role("link", name="I have copied it").click()
    assert key not in page.content()
    look("keys")
    row(page, label).get_by_role("button", name="Revoke").click()
    said(page, f"“{label}” opens nothing any more.")


def save_credentials(page: Page, name: str, look=lambda _: None) -> None:
    """Write down a Twilio account and a log-in; neither can be read again."""
    demo = read(ROOT / "sandbox" / "demo.yaml")
    assert demo is not None
    go(page, "Credentials")
    look("credentials")
    page.get_by_role("link", name="New Twilio account").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Account SID").fill(demo.account_sid)
    page.get_by_label("Auth token", exact=True).fill("only-twilio-knows-this-token-0123")
    press(page, "Save")
    expect(page.get_by_role("alert")).to_contain_text("Twilio refuses this auth token")
    page.get_by_label("Auth token", exact=True).fill(demo.auth_token)
    press(page, "Save")
    said(page, f"“{name}” is saved.")
    assert demo.auth_token not in page.content()
    look("credential")
    press(page, f"Delete “{name}”")
    page.get_by_role("link", name="New log-in").click()
    page.get_by_label("Name", exact=True).fill(f"{name} log-in")
    page.get_by_label("User name").fill("dispatch")
    page.get_by_label("Password").fill("never shown again")
    press(page, "Save")
    page.get_by_role("link", name=f"{name} log-in").click()
    assert "never shown" not in page.content()
    look("credential-login")
    press(page, f"Delete “{name} log-in”")
    said(page, f"“{name} log-in” is deleted.")


def change_settings(page: Page, segments: str, look=lambda _: None) -> None:
    go(page, "Settings")
    page.get_by_label("segments of texts").fill("many")
    press(page, "Save")
    expect(page.get_by_role("alert")).to_contain_text("Not saved yet.")
    look("settings-with-mistake")
    page.get_by_label("segments of texts").fill(segments)
    press(page, "Save")
    said(page, "Saved.")


def invite(page: Page, stack: Stack, email: str) -> str:
    """Invite somebody; return the link that they are mailed."""
    go(page, "People")
    page.get_by_label("E-mail address").fill(email)
    press(page, "Send the invitation")
    said(page, f"An invitation is on its way to {email}.")

    def link() -> str | None:
        mails = [one for one in stack.ask("GET", "mails")["items"] if one["to"] == email]
        found = re.search(r"http\S+/staff/invitation/\S+", mails[0]["text"]) if mails else None
        return found[0] if found else None

    return eventually(link, "the invitation is mailed")


def join(browser: Browser, url: str, email: str) -> None:
    """Choose a password by an invitation's link, and see what staff see."""
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(url)
        page.get_by_label("Password", exact=True).fill("a few plain words")
        page.get_by_label("Password again").fill("a few plain words")
        press(page, "Set it and sign in")
        said(page, "Welcome.")
        go(page, "People")
        expect(page.get_by_role("main")).to_contain_text(email)
        expect(page.get_by_role("button", name="Send the invitation")).to_have_count(0)
        expect(page.get_by_role("link", name="Credentials")).to_have_count(0)


def test_an_owner_keeps_the_office(
    walker: Looker, page: Page, browser: Browser, stack: Stack, tmp_path: Path
) -> None:
    stack.text_in("Are you open?")
    keep_a_list(page, tmp_path, "do not disturb", walker.look)
    make_a_key(page, "library", walker.look)
    save_credentials(page, "second account", walker.look)
    change_settings(page, "2", walker.look)
    url = invite(page, stack, "lee@example.edu")
    walker.look("people")
    join(browser, url, "lee@example.edu")
    page.reload()
    page.get_by_role("button", name="Make lee@example.edu owner").click()
    said(page, "lee@example.edu is an owner now.")
    page.get_by_role("button", name="Remove lee@example.edu").click()
    said(page, "lee@example.edu can no longer see registrar.")
    go(page, "Usage")
    expect(page.get_by_role("img", name=re.compile("Segments of the last twelve"))).to_be_visible()
    walker.look("usage")
    go(page, "History")
    page.get_by_role("searchbox").fill("lee@example.edu")
    press(page, "Search")
    expect(page.get_by_role("table")).to_contain_text("invited person lee@example.edu")
    walker.look("history")
    assert walker.wrong == []


def test_the_office_without_javascript(plain: Page, stack: Stack, tmp_path: Path) -> None:
    keep_a_list(plain, tmp_path, "plain list")
    make_a_key(plain, "plain system")
    save_credentials(plain, "plain account")
    change_settings(plain, "10000")
    invite(plain, stack, "max@example.edu")
    go(plain, "Usage")
    expect(plain.get_by_role("table")).to_contain_text(f"{utcnow():%B %Y}")


def test_support_enables_and_halts(page: Page, stack: Stack) -> None:
    enter(page, stack.base_url, SUPPORT)
    looker = Looker(page)
    page.goto(f"{stack.base_url}{CLIENT}/settings")
    looker.look("settings-support")
    press(page, "Stop all sending")
    said(page, "Nothing goes out any more.")
    page.goto(f"{stack.base_url}{CLIENT}/")
    expect(page.get_by_role("main")).to_contain_text("support has stopped all sending")
    page.goto(f"{stack.base_url}{CLIENT}/settings")
    press(page, "Let it go on")
    said(page, "Sending goes on.")
    assert looker.wrong == []
