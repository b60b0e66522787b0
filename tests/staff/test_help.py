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
        assert re.search(rf'<h2 id="[\w-]+">{re.escape(heading)}</h2>', page)
    pictures = re.findall(r"\(staff/(\w+)\.png\)", GUIDE)
    assert len(pictures) == page.count("<img ") > 2
    for name in pictures:
        answer = pat.http.get(f"/staff/help/{name}.png")
        assert (answer.status_code, answer.content_type) == (200, "image/png")


def test_a_link_leads_to_a_heading_of_the_guide(pat: Staff) -> None:
    page = pat.http.get("/staff/help").text
    guide = page[page.index('class="guide"') :]
    led_to = re.findall(r'<a href="#([^"]+)">', guide)
    assert len(led_to) == GUIDE.count("](#") > 0
    assert set(led_to) <= set(re.findall(r'<h\d id="([^"]+)">', guide))


REQUIREMENTS = {  # what the requirements tell people, in the guide's words
    "order": ("out of order", "longer time between", "once they have reached the carriers"),
    "splitting": ("1,600 characters", "segments of 160", "each is paid for", "Send as MMS"),
    "pace": ("one segment a second", "three segments a second", "100 segments a second"),
    "cost": ("from $1,000 a month", "small monthly fee", "charged for it: the owner is told"),
    "broadcasts": ("100 people or more is a broadcast", "marketing may go out from a short code"),
    "media": ("5 MB at most", "500 KB"),
    "own numbers": ("calls only, no texts",),
}


@pytest.mark.parametrize("words", REQUIREMENTS.values(), ids=REQUIREMENTS)
def test_what_the_requirements_tell_people_stands_where_staff_look(
    words: tuple[str, ...], pat: Staff
) -> None:
    page = re.sub(r"<[^>]+>", "", pat.http.get("/staff/help").text)
    assert [one for one in words if one not in page] == []


def test_the_page_of_a_number_leads_to_what_senders_cost(pat: Staff) -> None:
    assert 'id="which-sender-for-what"' in pat.http.get("/staff/help").text


def test_no_mark_of_the_text_is_left_over(pat: Staff) -> None:
    page = pat.http.get("/staff/help").text
    guide = page[page.index('class="guide"') :]
    assert not re.search(r"\*\*|\]\(|^#|\|", guide, re.MULTILINE)
    assert "<code>{{ toName }}</code>" in guide


def test_nothing_else_of_the_folder_is_served(pat: Staff) -> None:
    for name in ("nothing.png", "..%2Fflows.svg", "../staff.md"):
        assert pat.http.get(f"/staff/help/{name}").status_code == 404
