"""The heart of the staff pages, used as staff do: in a real browser, on the real web process."""

from __future__ import annotations

import base64
import urllib.parse
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from app.models.client import Client
from app.models.conversation import Conversation
from app.models.credential import Credential
from app.models.sender import Sender, SenderKind
from app.models.user import User
from tests.staff.conftest import PASSWORD
from tests.support.looks import look
from tests.support.processes import Processes
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, AUTH_TOKEN, signed, sms_parameters

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.database("sqlite")]


@pytest.fixture
def site(
    processes: Processes, rows: Rows, registrar: Client, add_person: Callable[..., User]
) -> Processes:
    """The running web process of a client with one number and one owner."""
    add_person("pat@example.edu", registrar)
    credential = Credential(
        client_id=registrar.id, name="main", account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN
    )
    rows.add(credential)
    rows.add(
        Sender(
            client_id=registrar.id, credential_id=credential.id, kind=SenderKind.TWILIO,
            address="+13195550100", rate=1.0,
        )
    )  # fmt: skip
    processes.web(workers=2)
    return processes


def sign_in(page: Page, site: Processes) -> None:
    page.goto(f"{site.base_url}/staff/")
    page.get_by_label("E-mail address").fill("pat@example.edu")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("registrar")


def text_in(site: Processes, body: str) -> str:
    """Text the number as Twilio does and return the TwiML that comes back."""
    url = f"{site.base_url}/inbound/sms"
    fields = sms_parameters(Body=body)
    request = urllib.request.Request(
        url, urllib.parse.urlencode(fields).encode(), signed(url, fields)
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return str(answer.read().decode())


def write_reply(page: Page, site: Processes, name: str, words: str) -> None:
    page.goto(f"{site.base_url}/staff/clients/registrar/replies")
    page.get_by_role("link", name="New canned reply").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("What it says").fill(words)


def test_staff_change_what_a_number_says(page: Page, site: Processes) -> None:
    sign_in(page, site)
    write_reply(page, site, "away", "We’re closed. Call 319-335-0000.")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("a segment then holds 70 characters")
    expect(preview).to_contain_text("These characters make the text dearer")
    page.get_by_label("What it says").fill("We're closed. Call 319-335-0000.")
    expect(preview).to_contain_text("1 segment (")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("“away” is saved")

    page.get_by_role("link", name="Numbers").click()
    page.get_by_role("link", name="(319) 555-0100").click()
    page.wait_for_load_state()  # until its style sheet is there, every choice is seen
    texts = page.locator("#sms")
    texts.get_by_text("Answer with a canned reply").filter(visible=True).click()
    texts.get_by_label("Canned reply", exact=True).filter(visible=True).select_option("away")
    texts.get_by_role("button", name="See what it would do").click()
    expect(page.locator("#sms .effect")).to_contain_text("Answers each text with the template")
    expect(page.locator("#sms pre")).to_contain_text("We're closed.")
    assert "We're closed" not in text_in(site, "hello"), "a look saves nothing"
    page.locator("#sms").get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    assert "We're closed. Call 319-335-0000." in text_in(site, "Are you open?")

    page.get_by_role("link", name="Inbox").click()
    expect(page.locator(".list")).to_contain_text("Are you open?")
    page.get_by_role("link", name="(319) 555-0150").first.click()
    expect(page.get_by_role("log")).to_contain_text("We're closed. Call 319-335-0000.")


def test_an_older_version_is_one_click_away(page: Page, site: Processes) -> None:
    sign_in(page, site)
    write_reply(page, site, "away", "first words")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("away")
    page.get_by_label("What it says").fill("second words")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved as version 2.")
    page.get_by_role("button", name="Use version 1 again").click()
    expect(page.get_by_role("status")).to_contain_text("Version 1 is in use again.")
    expect(page.get_by_label("What it says")).to_have_value("first words")


def test_a_call_gets_words_chosen_with_the_keyboard_alone(page: Page, site: Processes) -> None:
    sign_in(page, site)
    page.goto(f"{site.base_url}/staff/clients/registrar/numbers")
    page.get_by_role("link", name="(319) 555-0100").focus()
    page.keyboard.press("Enter")
    calls = page.locator("#voice")
    calls.get_by_role("radio", name="Nothing").focus()
    page.keyboard.press("ArrowDown")
    expect(calls.get_by_role("radio", name="Play a message")).to_be_checked()
    calls.get_by_label("Words to be read").filter(visible=True).focus()
    page.keyboard.type("We are closed.")
    calls.get_by_role("button", name="Save").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Says “We are closed.”")


def test_every_form_works_without_javascript(browser: Browser, site: Processes) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        sign_in(page, site)
        write_reply(page, site, "away", "Closed today.")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#preview")).to_contain_text("Closed today.")
        page.get_by_role("link", name="Numbers").click()
        page.get_by_role("link", name="(319) 555-0100").click()
        page.wait_for_load_state()  # until its style sheet is there, every choice is seen
        texts = page.locator("#sms")
        texts.get_by_role("radio", name="Answer with a canned reply").filter(visible=True).check()
        texts.get_by_label("Canned reply", exact=True).filter(visible=True).select_option("away")
        texts.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("Saved.")
    assert "Closed today." in text_in(site, "hello")


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_a_person_is_answered_with_a_picture_and_their_next_text_appears_by_itself(
    browser: Browser, page: Page, site: Processes, rows: Rows
) -> None:
    text_in(site, "When do you open?")
    sign_in(page, site)
    page.get_by_role("link", name="Inbox 1 waiting for an answer").click()
    page.get_by_role("link", name="(319) 555-0150").click()
    expect(page.get_by_role("log")).to_contain_text("When do you open?")
    page.get_by_role("button", name="Assign to me").click()
    expect(page.locator("#talk")).to_contain_text("Taken by pat@example.edu")
    page.get_by_label("Note for the others").fill("Asked twice already.")
    page.get_by_role("button", name="Keep the note").click()
    page.get_by_label("Your answer").press_sequentially("At nine.")
    expect(page.locator("#size")).to_contain_text("1 segment, 8 characters, about $0.0083")
    page.get_by_label("Add a picture or file").set_input_files(
        {"name": "map.png", "mimeType": "image/png", "buffer": PNG}
    )
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("log")).to_contain_text("At nine.")
    expect(page.get_by_role("log").get_by_alt_text("Picture 1")).to_be_visible()
    expect(page.locator("#talk")).to_contain_text("Answered")
    page.get_by_label("Your answer").fill("What I am just writing")
    text_in(site, "Thank you!")
    expect(page.get_by_role("log")).to_contain_text("Thank you!", timeout=15_000)
    expect(page.get_by_label("Your answer")).to_have_value("What I am just writing")
    talk = rows.one(Conversation)
    paths = ["conversations", f"conversations/{talk.sender_id}/{talk.phone}"]
    paths = [f"/staff/clients/registrar/{one}" for one in paths]
    assert look(browser, page.context.storage_state(), site.base_url, paths) == []


PAGES = [
    "/staff/account",
    "/staff/clients",
    *(
        f"/staff/clients/registrar/{name}"
        for name in (
            "",
            "inbox",
            "inbox/phone/+13195550150",
            "replies",
            "templates/new/reply",
            "templates",
            "templates/new/voice",
            "numbers",
            "recordings",
            "people",
        )
    ),
]


def test_every_page_looks_right_and_locks_nobody_out(
    browser: Browser, page: Page, site: Processes
) -> None:
    sign_in(page, site)
    write_reply(page, site, "away", "We're closed. Please call 319-335-0000. " * 6)
    page.get_by_role("button", name="Save").click()
    reply = page.url
    page.get_by_role("link", name="Numbers").click()
    page.get_by_role("link", name="(319) 555-0100").click()
    page.wait_for_load_state()  # until its style sheet is there, every choice is seen
    number = page.url
    for words in ("hello", "please stop", "STOP", "x" * 300):
        text_in(site, words)
    own = [url.removeprefix(site.base_url) for url in (reply, number)]
    state = page.context.storage_state()
    assert look(browser, state, site.base_url, [*PAGES, *own]) == []
    assert look(browser, None, site.base_url, ["/staff/login", "/staff/forgotten"]) == []
