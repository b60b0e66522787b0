"""Chromium for the tests that need a browser; it comes from the system's packages only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-fake-device-for-media-stream",
    "--disable-sync",
)


def executable() -> str | None:
    """Return the path of Chromium or Chrome, None where there is none."""
    chosen = os.environ.get("CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome")
    return chosen or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless browser; skip the test where there is none."""
    path = executable()
    if path is None:
        pytest.skip("no Chromium on this machine: browser tests are skipped (see .ci/run)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()
