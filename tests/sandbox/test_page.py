"""The phone page in a real browser: text, STOP, call, a ringing phone, faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.sandbox import DEMO, PERSON, Running, Stub, eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]
ARTEFACTS = Path(__file__).parents[1] / "artefacts"


@pytest.fixture
def phone(running: Running, stub: Stub, page: Page) -> Iterator[Page]:
    """The page, open as the first person, with a stub application behind it."""
    stub.on("/inbound/sms", "<Response><Message>We are closed.</Message></Response>")
    stub.on(
        "/inbound/voice",
        "<Response><Say>Welcome.</Say><Gather numDigits='1' action='/keys' timeout='300'>"
        "<Say>Press a key.</Say></Gather></Response>",
    )
    stub.on("/keys", "<Response><Say>Thank you.</Say></Response>")
    running.put("time", {"speed": 4})  # a busy machine must not run out of a person's patience
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.goto(running.url + "/")
    expect(page.locator("#who")).to_have_value(PERSON)
    yield page
    assert problems == []


def write(phone: Page, text: str) -> None:
    phone.fill("#body", text)
    phone.press("#body", "Enter")


def test_a_text_is_answered_and_stop_is_heeded(phone: Page, running: Running) -> None:
    write(phone, "Hi there")
    expect(phone.locator(".mine .bubble")).to_have_text("Hi there")
    expect(phone.locator(".theirs .bubble")).to_have_text("We are closed.")
    phone.get_by_role("button", name="STOP").click()
    expect(phone.locator(".automatic .bubble")).to_contain_text("You have successfully been")
    assert (DEMO, PERSON) in running.box.store.opted_out
    phone.click("#tab-log")
    expect(phone.locator("#log-log")).to_contain_text(f"{PERSON} (Ana Moreno) → {DEMO}")


def test_a_picture_is_sent(phone: Page, stub: Stub) -> None:
    phone.set_input_files(
        "#picture", {"name": "a.png", "mimeType": "image/png", "buffer": b"\x89PNG"}
    )
    write(phone, "Look")
    eventually(lambda: stub.at("/inbound/sms"))
    assert stub.at("/inbound/sms")[0].params["MediaContentType0"] == "image/png"


def test_a_call_is_heard_and_keys_are_pressed(phone: Page, stub: Stub) -> None:
    phone.click("#dial")
    expect(phone.locator("#heard")).to_contain_text("Press a key.")
    phone.get_by_role("button", name="5", exact=True).click()
    expect(phone.locator("#heard")).to_contain_text("Thank you.")
    expect(phone.locator("#call-title")).to_contain_text("ended")
    assert stub.at("/keys")[0].params["Digits"] == "5"
    phone.click("#close")
    expect(phone.locator("#call")).to_be_hidden()


def test_hanging_up(phone: Page, stub: Stub) -> None:
    phone.click("#dial")
    expect(phone.locator("#heard")).to_contain_text("Press a key.")
    phone.click("#hangup")
    expect(phone.locator("#call-title")).to_contain_text("ended")
    assert eventually(lambda: stub.at("/inbound/voice/status"))


def test_a_call_from_the_application_rings_and_is_taken(phone: Page, running: Running) -> None:
    running.put("time", {"speed": 2})
    running.client().calls.create(
        to=PERSON, from_=DEMO, twiml="<Response><Say>Hello Ana</Say></Response>"
    )
    expect(phone.locator("#ringing")).to_contain_text(f"{DEMO} is calling.")
    phone.get_by_role("button", name="Answer", exact=True).click()
    expect(phone.locator("#heard")).to_contain_text("Hello Ana")


def test_a_fault_is_switched_on_and_seen(phone: Page, running: Running, stub: Stub) -> None:
    phone.click("#tab-faults")
    phone.select_option("#fault-rest", "500-before")
    expect(phone.locator("#faults-on")).to_be_visible()
    assert [rule.mode for rule in running.box.faults.rest] == ["500-before"]
    phone.click("#faults-clear")
    expect(phone.locator("#faults-on")).to_be_hidden()
    running.box.store.numbers[DEMO].sms_fallback_url = ""
    stub.on("/inbound/sms", (500, "text/html", "broken"))
    write(phone, "Hi")
    phone.click("#tab-debugger")
    expect(phone.locator("#debugger-log")).to_contain_text("11200")
    phone.click("#tab-webhooks")
    expect(phone.locator("#webhooks-log .status").first).to_have_text("500")


def test_the_tabs_follow_the_arrow_keys(phone: Page) -> None:
    phone.focus("#tab-webhooks")
    phone.keyboard.press("ArrowRight")
    expect(phone.locator("#log")).to_be_visible()
    expect(phone.locator("#tab-log")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_it_fits_and_everyone_can_use_it(phone: Page, scheme: str, width: int) -> None:
    phone.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    phone.set_viewport_size({"width": width, "height": 900})
    write(phone, "A long word: " + "x" * 90)
    phone.click("#dial")
    expect(phone.locator("#heard")).to_contain_text("Press a key.")
    for tab in ("log", "mail", "endpoint", "faults", "webhooks"):
        phone.click(f"#tab-{tab}")
        overflow = "document.documentElement.scrollWidth - window.innerWidth"
        assert phone.evaluate(overflow) <= 0
        found = Axe().run(phone).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
    phone.locator("#webhooks-log summary").first.click()
    ARTEFACTS.mkdir(exist_ok=True)
    phone.screenshot(path=ARTEFACTS / f"phone-{scheme}-{width}.png", full_page=True)
    phone.click("#hangup")
    expect(phone.locator("#call-title")).to_have_text(re.compile("ended"))
