"""What every page keeps to, read from the templates themselves."""

from __future__ import annotations

import re

import pytest

from tests.support.processes import ROOT

TEMPLATES = sorted((ROOT / "app").rglob("templates/**/*.html"))
FORBIDDEN = {
    "a style of its own": r"<[a-z][^<>]*\sstyle\s*=",
    "a style sheet in the page": r"<style\b",
    "a script in the page": r"<script(?![^>]*\ssrc=)",
    "an attribute that is a script": r"<[a-z][^<>]*\son[a-z]+\s*=",
}
"""What the content security policy of the pages keeps browsers from: it would be silently lost."""


@pytest.mark.parametrize("pattern", FORBIDDEN.values(), ids=FORBIDDEN)
def test_nothing_stands_in_a_page_that_its_policy_forbids(pattern: str) -> None:
    found = {
        path.name: hit[0][:80]
        for path in TEMPLATES
        if (hit := re.search(pattern, re.sub(r"{%.*?%}", "", path.read_text("utf-8"))))
    }
    assert TEMPLATES
    assert found == {}
