"""The guide: the same words and pictures in the repository and in the pages."""

from __future__ import annotations

import re

import pytest

from tests.staff.conftest import Staff
from tests.support.processes import ROOT

GUIDE = (ROOT / "docs" / "staff.md").read_text("utf-8")
pytestmark = pytest.mark.database("sqlite")


def test_the_guide_is_shown_with_its_pictures(pat: Staff) -> None:
    page = pat.http.get("/staff/help").text
    for heading in re.findall(r"^## (.+)$", GUIDE, re.MULTILINE):
        assert f"<h2>{heading}</h2>" in page
    pictures = re.findall(r"\(staff/(\w+)\.png\)", GUIDE)
    assert len(pictures) == page.count("<img ") > 2
    for name in pictures:
        answer = pat.http.get(f"/staff/help/{name}.png")
        assert (answer.status_code, answer.content_type) == (200, "image/png")


def test_no_mark_of_the_text_is_left_over(pat: Staff) -> None:
    page = pat.http.get("/staff/help").text
    guide = page[page.index('class="guide"') :]
    assert not re.search(r"\*\*|\]\(|^#|\|", guide, re.MULTILINE)
    assert "<code>{{ toName }}</code>" in guide


def test_nothing_else_of_the_folder_is_served(pat: Staff) -> None:
    for name in ("nothing.png", "..%2Fflows.svg", "../staff.md"):
        assert pat.http.get(f"/staff/help/{name}").status_code == 404
