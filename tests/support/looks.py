"""What a page must look like wherever it is shown: nothing overflows, nobody is locked out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

ARTEFACTS = Path(__file__).resolve().parents[1] / "artefacts"
SIZES: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (360, "light"),
    (360, "dark"),
    (1440, "light"),
    (1440, "dark"),
)
"""Widths in CSS pixels and colour schemes in which every page is looked at."""


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


def look(browser: Browser, state: Any, base: str, paths: Iterable[str]) -> list[str]:
    """Open every page in each size and scheme, keep a picture, and return what is wrong.

    :param state: the storage state of a signed-in browser, or None for a stranger.
    """
    ARTEFACTS.mkdir(exist_ok=True)
    wrong: list[str] = []
    for width, scheme in SIZES:
        with browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, storage_state=state
        ) as context:
            page = context.new_page()
            complaints: list[str] = []
            page.on("console", lambda m, c=complaints: m.type == "error" and c.append(m.text))
            for path in paths:
                page.goto(base + path)
                name = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")
                page.screenshot(path=ARTEFACTS / f"{name}-{width}-{scheme}.png", full_page=True)
                found = [f"overflows by {overflow(page)} px"] if overflow(page) > 0 else []
                found += barriers(page) + complaints
                complaints.clear()
                wrong += [f"{path} at {width} px, {scheme}: {one}" for one in found]
    return wrong
