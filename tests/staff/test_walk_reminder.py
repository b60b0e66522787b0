"""A reminder that goes out by itself before a date, and an answer that waits for its hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.staff.conftest import enter, press, said
from tests.support.looks import Looker
from tests.support.stack import PAT, Stack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(240)]

CLIENT = "/staff/clients/registrar"
CHICAGO = ZoneInfo("America/Chicago")
ANA, BEN, ASKS = "+13195550161", "+13195550162", "+13195550163"
OFFICE = """
clients:
  - name: registrar
    templates:
      - name: appointment text
        kind: sms
        body: "Hi {{{{ toName }}}}, we see you on {{{{ appointment }}}}."
    populations:
      - name: appointments
        members:
          - {{toName: Ana Moreno, toPhone: "{ana}", appointment: "{soon}"}}
          - {{toName: Ben Carter, toPhone: "{ben}", appointment: "{later}"}}
          - {{toName: Chi Nguyen, toPhone: "+13195550164"}}
"""


def next_minute() -> datetime:
    """Return a full minute that leaves time to fill in a form."""
    return (datetime.now(CHICAGO) + timedelta(seconds=90)).replace(second=0, microsecond=0)


def prepare(stack: Stack, folder: Path, day: datetime) -> None:
    """Ana has an appointment in two days, Ben in nine, Chi none."""
    soon, later = (f"{day + timedelta(days=days):%Y-%m-%d}" for days in (2, 9))
    file = folder / "appointments.yaml"
    file.write_text(OFFICE.format(ana=ANA, ben=BEN, soon=soon, later=later))
    applied = stack.flask("apply", str(file))
    assert applied.returncode == 0, applied.stderr


def test_a_dated_reminder_goes_out(page: Page, stack: Stack, tmp_path: Path) -> None:
    looker = Looker(page)
    at = next_minute()
    prepare(stack, tmp_path, at)
    enter(page, stack.base_url)
    page.goto(f"{stack.base_url}{CLIENT}/communications")
    page.get_by_role("link", name="New text").click()
    page.get_by_label("Name").fill("appointment-reminder")
    page.get_by_label("What is said").select_option("appointment text")
    page.get_by_label("To whom").select_option("appointments")
    page.get_by_label("From", exact=True).select_option(label="(319) 555-0100")
    page.get_by_text("By a date of each person, by itself").click()
    page.get_by_label("Column of the list that holds the date").fill("appointment")
    page.locator("#days").fill("2")
    page.locator("#relative_at").fill(f"{at:%H:%M}")
    looker.look("communication-by-a-date")
    press(page, "Save")
    said(page, "“appointment-reminder” is saved.")
    main = page.get_by_role("main")
    expect(main).to_contain_text(f"2 days before appointment at {at:%H:%M}")
    expect(main).to_contain_text("1 person has no date under “appointment”")
    shown = page.url
    page.get_by_role("link", name="Calendar").first.click()
    expect(page.locator("table.month .event").first).to_contain_text("appointment-reminder")
    looker.look("calendar-to-come")

    eventually(lambda: stack.texts_of(ANA), "Ana is reminded", 150)
    day = f"{at + timedelta(days=2):%Y-%m-%d}"
    assert stack.texts_of(ANA) == [f"Hi Ana Moreno, we see you on {day}."]
    assert stack.texts_of(BEN) == []
    page.goto(shown)
    expect(main).to_contain_text("Went out")
    looker.look("communication-by-itself")
    page.goto(f"{stack.base_url}{CLIENT}/calendar?month={at:%Y-%m}")
    expect(page.locator("table.month .today")).to_contain_text("Went out")
    looker.look("calendar-went-out")
    page.locator("table.month .today").get_by_role("link", name="appointment-reminder").click()
    expect(main).to_contain_text(PAT[0])
    assert looker.wrong == []


def test_an_answer_waits_and_is_canceled_without_javascript(browser: Browser, stack: Stack) -> None:
    stack.text_in("When do you open?", phone=ASKS)
    tomorrow = (datetime.now(CHICAGO) + timedelta(days=1)).replace(hour=9, minute=0)
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        looker = Looker(page)
        enter(page, stack.base_url)
        page.goto(f"{stack.base_url}{CLIENT}/conversations")
        page.get_by_role("link", name="(319) 555-0163").first.click()
        page.get_by_label("Your answer").fill("At nine.")
        page.get_by_text("Send it later").click()
        page.get_by_label("Day and time").fill(f"{tomorrow:%Y-%m-%dT%H:%M}")
        press(page, "Send")
        said(page, "Until then you can cancel it below.")
        expect(page.get_by_role("log")).to_contain_text("Waits until")
        page.screenshot(path="tests/artefacts/conversation-waits.png", full_page=True)
        press(page, "Cancel it")
        said(page, "Canceled. It does not go out.")
        expect(page.get_by_role("main")).to_contain_text(f"Canceled by {PAT[0]} before its hour.")
        assert looker.wrong == []
    assert stack.texts_of(ASKS) == [text for text in stack.texts_of(ASKS) if text != "At nine."]
