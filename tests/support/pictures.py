"""`python -m tests.support.pictures`: takes the pictures of the staff's guide, docs/staff/*.png.

They show the demo on everything that runs, with texts that came in and a communication on its way.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page

from embedded import valkey
from tests.support import stack as stacks
from tests.support.browser import chromium
from tests.support.databases import SqliteTemplate
from tests.support.processes import ROOT
from tests.support.stack import PAT, Stack

PICTURES = ROOT / "docs" / "staff"
WIDTH = 1240


def main() -> None:
    """Start everything, take the pictures, end everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        redis = valkey.start(folder / "valkey")
        try:
            database = SqliteTemplate(folder).fresh(folder)
            with stacks.running(folder, database, redis.url) as stack, chromium() as browser:
                context = browser.new_context(viewport={"width": WIDTH, "height": 660})
                _take(context.new_page(), stack)
        finally:
            redis.stop()


def _take(page: Page, stack: Stack) -> None:
    base = f"{stack.base_url}/staff/clients/registrar"
    for phone, words in (
        ("138", "Are you open on Friday?"),
        ("142", "HOURS"),
        ("146", "please stop"),
    ):
        stack.text_in(words, phone=f"+12065550{phone}")
    page.goto(f"{stack.base_url}/staff/login")
    page.get_by_label("E-mail address").fill(PAT[0])
    page.get_by_label("Password").fill(PAT[1])
    page.get_by_role("button", name="Sign in").click()
    _shot(page, "home")
    page.goto(f"{base}/replies")
    page.get_by_role("link", name="away").click()
    _shot(page, "reply")
    page.goto(f"{base}/numbers")
    page.get_by_role("link", name="(319) 555-0100").click()
    _shot(page, "number")
    page.goto(f"{base}/communications")
    page.get_by_role("link", name="class-reminder").click()
    page.get_by_role("link", name="Prepare to send").click()
    page.get_by_role("button", name="Text 50 people").click()
    time.sleep(15)  # one text a second: the picture shows some of them delivered
    page.reload()
    _shot(page, "batch")


def _shot(page: Page, name: str) -> None:
    page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
