"""What numbers say and do, set up as staff do it, on all of Dispatch with the local Twilio."""

from __future__ import annotations

import io
import math
import struct
import wave
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.staff.conftest import enter, press, said
from tests.support.looks import Looker
from tests.support.stack import Stack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes]

CLIENT = "/staff/clients/registrar"
PERSON = "+12065550142"
EARS = """
    window.heard = [];
    window.speechSynthesis.speak = (words) => window.heard.push([words.text, words.lang]);
"""
"""Chromium without a screen has no voices: what would be read aloud is noted instead."""


@pytest.fixture
def walker(page: Page, stack: Stack) -> Looker:
    """Pat at a browser, signed in."""
    page.add_init_script(EARS)
    enter(page, stack.base_url)
    return Looker(page)


def tone() -> bytes:
    """A second of sound."""
    samples = (int(9000 * math.sin(number / 9)) for number in range(8000))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(b"".join(struct.pack("<h", one) for one in samples))
    return file.getvalue()


def go(page: Page, stack: Stack, path: str) -> None:
    page.goto(f"{stack.base_url}{CLIENT}/{path}")


def number(page: Page, stack: Stack, name: str):
    """Open a number's page; return its form for calls."""
    go(page, stack, "numbers")
    page.get_by_role("link", name=name).click()
    page.wait_for_load_state()
    return page.locator("#voice")


def test_a_call_is_written_heard_and_tried_out(walker: Looker, page: Page, stack: Stack) -> None:
    stack.ask("PUT", f"phones/{PERSON}", {"answers": "person"})
    go(page, stack, "templates")
    page.get_by_role("link", name="New call").click()
    page.get_by_label("Name", exact=True).fill("snow day")
    page.get_by_label("Words to be read").fill(
        "Hello {{ toName }}. No school & no bus today."
        "{% if AnsweredBy == 'machine' %} Please call back.{% endif %}"
    )
    preview = page.locator("#preview")
    expect(preview).to_contain_text("A person hears")
    expect(preview).to_contain_text("Says: “Hello [toName]. No school & no bus today.”")
    expect(preview).to_contain_text("An answering machine hears")
    page.get_by_label("Voice", exact=True).select_option(label="Amy, British English")
    press(page, "Listen")
    words, language = page.evaluate("window.heard")[-1]
    assert words.startswith("Hello {{ toName }}.")
    assert language == "en-GB"
    walker.look("template-call")
    press(page, "Save")
    said(page, "“snow day” is saved. Choose it for a communication to call people with it.")
    page.get_by_label("Words to be read").fill("All is open again.")
    press(page, "Save")
    said(page, "Saved as version 2.")
    press(page, "Use version 1 again")
    said(page, "Version 1 is in use again.")
    expect(page.get_by_label("Voice", exact=True)).to_have_value("Polly.Amy")
    page.get_by_label("Your phone").fill(PERSON)
    page.get_by_label("From").select_option(label="(319) 555-0100")
    press(page, "Call me with it")
    said(page, f"A test is on its way to {PERSON}.")
    eventually(
        lambda: [
            one for one in stack.ask("GET", f"feed?phone={PERSON.replace('+', '%2B')}")["calls"]
            if "No school & no bus today." in str(one)
        ],
        "the phone rings and the words are said",
    )  # fmt: skip
    assert walker.wrong == []


def test_callers_hear_a_recording_or_words_and_one_goes_back(
    walker: Looker, page: Page, stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "closed.wav"
    file.write_bytes(tone())
    go(page, stack, "recordings")
    page.get_by_label("Name", exact=True).fill("closed")
    page.get_by_label("Audio file").set_input_files(file)
    press(page, "Upload")
    said(page, "“closed” is saved.")
    page.evaluate("document.querySelector('audio').load()")
    lasts = "document.querySelector('audio').duration || 0"
    eventually(lambda: page.evaluate(lasts) == 1, "the browser can play it")
    walker.look("recordings")

    calls = number(page, stack, "(319) 555-0100")
    calls.get_by_label("Or a recording", exact=True).filter(visible=True).select_option(
        label="closed"
    )
    calls.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_visible()  # words and a recording are one too many
    page.wait_for_load_state()
    walker.look("number-with-mistake")
    calls.get_by_label("Words to be read").filter(visible=True).fill("")
    calls.get_by_role("button", name="Save").click()
    said(page, "Saved. Plays the recording “closed”")
    calls.get_by_label("Or a recording", exact=True).filter(visible=True).select_option(
        label="None"
    )
    calls.get_by_label("Words to be read").filter(visible=True).fill("We are at lunch.")
    calls.get_by_role("button", name="Listen").click()
    assert page.evaluate("window.heard")[-1][0] == "We are at lunch."
    calls.get_by_role("button", name="See what it would do").click()
    expect(calls.locator(".effect")).to_contain_text("We are at lunch.")
    calls.get_by_role("button", name="Save").click()
    said(page, "Saved. Says “We are at lunch.”")
    calls.get_by_role("button", name="Use it again: Plays the recording").click()
    said(page, "Saved. Plays the recording “closed”")
    walker.look("number")
    go(page, stack, "recordings")
    expect(page.get_by_role("main")).to_contain_text("Used by")
    assert walker.wrong == []


def test_a_number_is_handed_over_to_ones_own_system_and_taken_back(
    walker: Looker, page: Page, stack: Stack
) -> None:
    number(page, stack, "(888) 555-0104")
    texts = page.locator("#sms")
    texts.get_by_text("Handle it yourself").filter(visible=True).click()
    texts.get_by_label("Your web address").filter(visible=True).fill(
        "https://sis.example.edu/twiml"
    )
    texts.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("suppression list cannot be combined")
    page.get_by_label("Suppression list").select_option(label="None")
    page.locator("form").filter(has=page.get_by_label("Suppression list")).get_by_role(
        "button", name="Save"
    ).click()
    said(page, "Saved.")
    texts.get_by_text("Handle it yourself").filter(visible=True).click()
    texts.get_by_label("Your web address").filter(visible=True).fill(
        "https://sis.example.edu/twiml"
    )
    texts.get_by_role("button", name="See what it would do").click()
    expect(texts.locator("pre")).to_contain_text("https://sis.example.edu/twiml")
    texts.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Twilio has been told.")).to_be_visible()
    press(page, "Ask Twilio")
    expect(page.locator("#twilio")).to_contain_text("Twilio has the right settings.")

    stack.ask("PUT", "numbers/+18885550104", {"sms_url": "https://old.example.edu/"})
    press(page, "Ask again")
    expect(page.locator("#twilio")).to_contain_text("https://old.example.edu/")
    walker.look("number-differs-at-twilio")
    press(page, "Put it right")
    said(page, "Twilio has the right settings now.")
    texts.get_by_role("radio", name="Nothing").check()
    texts.get_by_role("button", name="See what it would do").click()
    expect(texts.locator(".effect")).to_contain_text("Nothing is done with texts")
    texts.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Twilio has been told.")).to_be_visible()
    assert walker.wrong == []


def verify(page: Page, stack: Stack, phone: str, look=lambda _: None) -> None:
    """Have a desk phone verified: the code is shown while Twilio calls."""
    go(page, stack, "numbers")
    page.get_by_role("link", name="Verify a number of your own").click()
    press(page, "Call it now")
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Phone").fill(phone)
    look("verification-form")
    stack.ask("PUT", "phones/+1319335" + phone[-4:], {"answers": "person"})
    press(page, "Call it now")
    expect(page.locator("#state")).to_contain_text("Twilio is calling")


def test_a_desk_phone_is_verified(walker: Looker, page: Page, stack: Stack) -> None:
    verify(page, stack, "(319) 335-0077", walker.look)
    assert page.locator("#state .code").inner_text().strip().isdigit()
    walker.look("verification")
    expect(page.locator("#state")).to_contain_text("Calls can come from", timeout=30_000)
    page.get_by_role("link", name="See the number").click()
    expect(page.get_by_role("main")).to_contain_text("Your own number, for outgoing calls")
    walker.look("number-verified")
    assert walker.wrong == []


def test_numbers_without_javascript(browser: Browser, stack: Stack) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        enter(page, stack.base_url)
        go(page, stack, "templates/new/voice")
        expect(page.get_by_role("button", name="Listen")).to_be_hidden()
        page.get_by_label("Name", exact=True).fill("plain call")
        page.get_by_label("Words to be read").fill("Hello.")
        press(page, "Save")
        expect(page.locator("#preview")).to_contain_text("Says: “Hello.”")
        calls = number(page, stack, "(319) 555-0101")
        calls.get_by_role("radio", name="Play a message").check()
        calls.get_by_label("Words to be read").filter(visible=True).fill("Good evening.")
        calls.get_by_role("button", name="Save").click()
        said(page, "Saved. Says “Good evening.”")
        press(page, "Ask Twilio")
        expect(page.locator("#twilio")).to_contain_text("Twilio has the right settings.")
        verify(page, stack, "(319) 335-0078")
        eventually(
            lambda: page.reload() and "Calls can come from" in page.content(), "it is verified"
        )
