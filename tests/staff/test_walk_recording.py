"""A greeting recorded in the browser, with Chromium's own microphone that beeps; by telephone."""

from __future__ import annotations

import io
import wave

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.staff.conftest import enter, press, said
from tests.support.looks import Looker
from tests.support.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.processes]


def test_a_greeting_is_recorded_with_the_microphone(page: Page, stack: Stack) -> None:
    enter(page, stack.base_url)
    walker = Looker(page)
    page.goto(f"{stack.base_url}/staff/clients/registrar/recordings")
    press(page, "Record with the microphone")
    told = page.locator("#recorded")
    expect(told).to_contain_text("Your browser may not use the microphone.")
    page.context.grant_permissions(["microphone"])
    press(page, "Record with the microphone")
    expect(told).to_have_text("Recording: speak now.")
    page.wait_for_timeout(1200)  # of speaking
    press(page, "Stop")
    expect(told).to_contain_text("s are recorded.")
    walker.look("recording-by-microphone")
    page.get_by_label("Name", exact=True).fill("greeting")
    press(page, "Upload")
    said(page, "“greeting” is saved.")
    source = page.locator("audio").get_attribute("src") or ""
    sound = requests.get(stack.base_url + source, timeout=10)
    with wave.open(io.BytesIO(sound.content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        assert 0.5 < file.getnframes() / 16000 < 5
        assert any(file.readframes(file.getnframes()))  # not silence
    assert walker.wrong == []


def test_a_greeting_is_recorded_by_telephone(page: Page, stack: Stack) -> None:
    enter(page, stack.base_url)
    walker = Looker(page)
    mine = "+13195550120"
    stack.ask("PUT", f"phones/{mine}", {"answers": "person", "record_seconds": 6})
    page.goto(f"{stack.base_url}/staff/clients/registrar/recordings")
    page.get_by_label("Your phone").fill(mine)
    press(page, "Call me")
    expect(page.get_by_text("Speak after the tone")).to_be_visible()
    walker.look("recording-by-phone-called")
    expect(page.get_by_text("This is what you said.")).to_be_visible(timeout=30_000)
    walker.look("recording-by-phone-heard")
    page.get_by_label("Name", exact=True).fill("spoken")
    press(page, "Keep it")
    said(page, "“spoken” is saved.")
    entry = page.locator(".entry", has_text="spoken")
    expect(entry).to_contain_text("audio/mpeg")
    source = entry.locator("audio").get_attribute("src") or ""
    assert requests.get(stack.base_url + source, timeout=10).content[:2] == b"\xff\xf3"
    assert walker.wrong == []
