"""A switchboard set up by a secretary's hands and called on each way, with the local Twilio."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.staff.conftest import enter, press, said
from tests.support.looks import Looker
from tests.support.stack import Stack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(180)]

NUMBER, NAME = "+13195550100", "(319) 555-0100"
CALLER = "+13195550110"
PEOPLE = [("+13195550113", "Dee"), ("+13195550112", "Chi"), ("+13195550111", "Ben")]
WELCOME = "For English, press 1. Para español, oprima 2."
ENGLISH = "To talk to somebody, press 1. For our address, press 2."
SPANISH = "Para dejar un mensaje, oprima 1."
HERE = "We are at 2700 Calvin Hall."
CLOSED = "We are closed. Please leave a message."
HOLIDAY = "Happy holidays."
LEAVE = "Nobody is free. Please leave a message."


@pytest.fixture
def walker(page: Page, stack: Stack) -> Looker:
    """Pat at a browser, signed in; two phones nobody takes, and Ben who presses 1."""
    stack.ask("PUT", f"phones/{PEOPLE[0][0]}", {"answers": "machine"})
    stack.ask("PUT", f"phones/{PEOPLE[1][0]}", {"answers": "no-answer"})
    stack.ask("PUT", f"phones/{PEOPLE[2][0]}", {"answers": "person", "digits": "1", "talks": 4})
    enter(page, stack.base_url)
    return Looker(page)


def choose(inside: Locator, label: str) -> None:
    """Choose what is to be done, as one does: by clicking its words."""
    inside.get_by_text(label, exact=True).filter(visible=True).first.click()


def part(page: Page, legend: str) -> Locator:
    """Return the part of the form in which one says what happens then."""
    return page.get_by_role("group", name=legend, exact=True).filter(visible=True)


def write_hours(page: Page, stack: Stack, holiday: bool = False) -> None:
    """Write down hours that are open day and night; or make today a holiday in them."""
    page.goto(f"{stack.base_url}/staff/clients/registrar/hours")
    page.get_by_role("link", name="day and night" if holiday else "New office hours").click()
    page.get_by_label("Name", exact=True).fill("day and night")
    for day in ("Mon", "Tues", "Wednes", "Thurs", "Fri", "Satur", "Sun"):
        page.get_by_label(f"{day}day", exact=True).fill("00:00-24:00")
    if holiday:
        today = page.evaluate("new Date().toLocaleDateString('sv', {timeZone: 'America/Chicago'})")
        page.get_by_label("Other days").fill(f"{today} closed")
    press(page, "Save")
    said(page, "“day and night” is saved")


def calls_of(page: Page, stack: Stack) -> Locator:
    page.goto(f"{stack.base_url}/staff/clients/registrar/numbers")
    page.get_by_role("link", name=NAME).click()
    page.wait_for_load_state()
    return page.locator("#voice")


def set_up(page: Page, stack: Stack, look: Any) -> None:
    """Write down the whole switchboard, box by box."""
    write_hours(page, stack)
    calls = calls_of(page, stack)
    choose(calls, "Go by office hours")
    calls.get_by_label("Office hours", exact=True).filter(visible=True).select_option(
        "day and night"
    )
    choose(part(page, "While it is open"), "Let callers choose …")
    closed = part(page, "While it is closed")
    choose(closed, "Take a message")
    closed.get_by_label("Greeting to be read").filter(visible=True).fill(CLOSED)
    closed.get_by_label("Mail it to the members of").filter(visible=True).select_option("helpdesk")
    holiday = part(page, "On holidays")
    choose(holiday, "Play a message")
    holiday.get_by_label("Words to be read").filter(visible=True).fill(HOLIDAY)
    look("switchboard-hours-form")
    calls.get_by_role("button", name="Save").click()

    box(page, "While it is open")
    look("switchboard-box-empty")
    page.get_by_label("Words to be read").filter(visible=True).fill(WELCOME)
    key(page, 0, "1", "Let callers choose …")
    key(page, 1, "2", "Let callers choose …")
    press(page, "Save")

    box(page, "While it is open → Key 1")
    page.get_by_label("Words to be read").filter(visible=True).fill(ENGLISH)
    key(page, 0, "1", "Ring several people …")
    key(page, 1, "2", "Play a message").get_by_label("Words to be read").filter(visible=True).fill(
        HERE
    )
    press(page, "Go on")

    box(page, "While it is open → Key 1 → Key 1")
    for at, (phone, name) in enumerate(PEOPLE, 1):
        page.get_by_label(f"Phone {at}", exact=True).filter(visible=True).fill(phone)
        page.get_by_label(f"Name {at}", exact=True).filter(visible=True).fill(name)
    page.get_by_label("Say to whoever picks up").filter(visible=True).fill("A student.")
    nobody = part(page, "When nobody takes it")
    choose(nobody, "Take a message")
    nobody.get_by_label("Greeting to be read").filter(visible=True).fill(LEAVE)
    nobody.get_by_label("Mail it to the members of").filter(visible=True).select_option("helpdesk")
    look("switchboard-box-people")
    press(page, "Go on")

    box(page, "While it is open → Key 2")
    page.get_by_label("Words to be read").filter(visible=True).fill(SPANISH)
    page.get_by_label("Language", exact=True).filter(visible=True).first.select_option("es-MX")
    spanish = key(page, 0, "1", "Take a message")
    spanish.get_by_label("Greeting to be read").filter(visible=True).fill("Deje un mensaje.")
    spanish.get_by_label("Language", exact=True).filter(visible=True).select_option("es-MX")
    press(page, "Save")
    said(page, "Saved. By the hours “day and night”.")


def try_out(page: Page, look: Any) -> None:
    """Go through a call before anybody calls."""
    page.get_by_role("link", name="Try a call, step by step").click()
    heard = page.get_by_role("log", name="What is heard")
    expect(heard).to_contain_text(WELCOME)
    for button in ("1", "1", "The mailbox of Dee (+13195550113) picks up", "Nobody picks up"):
        press(page, button)
    expect(heard).to_contain_text("A student. A call from 3 1 9")
    look("switchboard-try")
    press(page, "Ben (+13195550111) takes the call")
    expect(heard).to_contain_text("The two are connected.")
    press(page, "Call again")
    expect(heard).to_contain_text(WELCOME)


def box(page: Page, title: str) -> None:
    """Expect to be at the form of this box."""
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator(".flow [aria-current]")).to_be_visible()
    page.wait_for_load_state()


def key(page: Page, slot: int, name: str, label: str) -> Locator:
    """Let a key lead on; return the part of the form that says to what."""
    room = page.locator("details").filter(has=page.get_by_label("Key", exact=True)).nth(slot)
    if room.get_attribute("open") is None:
        room.locator("summary").first.click()
    room.get_by_label("Key", exact=True).select_option(name)
    choose(room, label)
    return room


class Caller:
    """Somebody at the phone page who calls the number."""

    def __init__(self, page: Page, stack: Stack) -> None:
        self.page, self.stack = page, stack
        page.goto(stack.sandbox)
        page.locator("#who").select_option(CALLER)
        page.locator("#number").select_option(NUMBER)

    def call(self) -> Caller:
        if self.page.locator("#close").is_visible():
            self.page.click("#close")
        self.page.click("#dial")
        return self

    def hears(self, words: str) -> Caller:
        expect(self.page.locator("#heard")).to_contain_text(words, timeout=30_000)
        return self

    def presses(self, *keys: str) -> Caller:
        for one in keys:
            self.page.locator(f".keypad [data-key='{one}']").click()
        return self

    def leaves_a_message(self) -> Caller:
        return self.hears("Recording.").presses("#")

    def hangs_up(self) -> Caller:
        self.page.click("#hangup")
        return self

    def ends(self) -> Caller:
        expect(self.page.locator("#call-title")).to_contain_text("ended", timeout=30_000)
        return self


def test_it_is_set_up_by_hand_and_called_on_each_way(
    walker: Looker, page: Page, stack: Stack, browser: Browser
) -> None:
    set_up(page, stack, walker.look)
    walker.look("switchboard-number")
    try_out(page, walker.look)
    with browser.new_context() as context:
        caller = Caller(context.new_page(), stack)
        caller.call().hears(WELCOME).presses("1").hears(ENGLISH).presses("2").hears(HERE).ends()
        caller.call().hears(WELCOME).presses("1").hears(ENGLISH).presses("1")
        caller.hears(f"Connected with {PEOPLE[2][0]}").hangs_up().ends()
        look_at_the_log(page, stack, walker.look)
        nobody_is_there(stack)
        caller.call().hears(WELCOME).presses("1").hears(ENGLISH).presses("1").hears(LEAVE)
        caller.leaves_a_message().ends()
        eventually(lambda: "Keys: 1, 1" in str(mails(stack)), "a mail with the keys and the sound")
        caller.call().hears(WELCOME).presses("2").hears(SPANISH).presses("1")
        caller.hears("Deje un mensaje.").leaves_a_message().ends()
        close(page, stack)
        walker.look("switchboard-closed")
        caller.call().hears(CLOSED).leaves_a_message().ends()
        eventually(lambda: len(mails(stack)) == 2, "two mails, each with its sound")
        press(page, "The hours count again")
        write_hours(page, stack, holiday=True)
        caller.call().hears(HOLIDAY).ends()
    assert walker.wrong == []


def look_at_the_log(page: Page, stack: Stack, look: Any) -> None:
    """See in the log of the call who took it, and each step."""
    page.goto(f"{stack.base_url}/staff/clients/registrar/inbox")
    page.get_by_role("link", name="Details of call").first.click()
    eventually(
        lambda: page.reload() and "The caller left at" in page.content(), "Twilio tells of the end"
    )
    expect(page.get_by_role("main")).to_contain_text("Taken by Ben (+13195550111).")
    look("switchboard-call")


def nobody_is_there(stack: Stack) -> None:
    for phone, _ in PEOPLE:
        stack.ask("PUT", f"phones/{phone}", {"answers": "no-answer"})


def close(page: Page, stack: Stack) -> None:
    """Close the number for now."""
    calls_of(page, stack)
    tomorrow = page.evaluate("new Date(Date.now() + 2 * 864e5).toISOString().slice(0, 16)")
    page.get_by_label("Close this number until").fill(tomorrow)
    press(page, "Close")
    said(page, "Closed until")


def mails(stack: Stack) -> list[str]:
    """Return what was mailed with a sound attached."""
    found = stack.ask("GET", f"feed?phone={CALLER.replace('+', '%2B')}")["mails"]
    return [one["text"] for one in found if one["attachments"]]
