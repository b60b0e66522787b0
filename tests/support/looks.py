"""What a page must look like wherever it is shown: nothing overflows, nobody is locked out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page

ARTEFACTS = Path(__file__).resolve().parents[1] / "artefacts"
SIZES: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (360, "light"),
    (360, "dark"),
    (1440, "dark"),
    (1440, "light"),
)
"""Widths in CSS pixels and colour schemes in which every page is looked at."""
CHECKED = {(360, "dark"), (1440, "light")}
"""Where axe-core looks: both widths, for what is laid out, and both schemes, for contrast."""
HEIGHT = 900


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


def barriers(page: Page) -> list[str]:
    """Return what axe-core calls a serious or critical barrier, each in a line."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']} ({node['html'][:160]})"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


class Looker:
    """Looks at the pages of one window as it goes, keeps pictures, and remembers what is wrong."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.wrong.append(f"{page.url}: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        # Who presses Save while a preview is on its way leaves the page, and that ends it.
        left = any(said in message.text for said in ("htmx:sendAbort", "htmx:afterRequest"))
        if message.type == "error" and "status of 4" not in message.text and not left:
            self.wrong.append(f"{self.page.url}: {message.text}")

    def look(self, name: str) -> None:
        """Look at the page as it is now, in each size and scheme; ``name`` is the picture's."""
        ARTEFACTS.mkdir(exist_ok=True)
        before = self.page.viewport_size
        for width, scheme in SIZES:
            self.page.set_viewport_size({"width": width, "height": HEIGHT})
            # What moves by itself fades for a moment: that is no colour to be judged.
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            self.page.screenshot(path=ARTEFACTS / f"{name}-{width}-{scheme}.png", full_page=True)
            found = [f"overflows by {overflow(self.page)} px"] if overflow(self.page) > 0 else []
            if (width, scheme) in CHECKED:
                found += barriers(self.page)
            self.wrong += [f"{name} at {width} px, {scheme}: {one}" for one in found]
        self.page.emulate_media(reduced_motion="null")
        if before:
            self.page.set_viewport_size(before)


def look(browser: Browser, state: Any, base: str, paths: Iterable[str]) -> list[str]:
    """Open every page, look at it in each size and scheme, and return what is wrong.

    :param state: the storage state of a signed-in browser, or None for a stranger.
    """
    with browser.new_context(storage_state=state) as context:
        looker = Looker(context.new_page())
        for path in paths:
            looker.page.goto(base + path)
            looker.look(re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-"))
        return looker.wrong
