"""What the documents name is there: files, rooms, headings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PLACE = re.compile(r"`((?:app|tests|bench|embedded|sandbox|migrations|docs|deploy)/[\w/.-]+)`")
LINK = re.compile(r"\]\((?!https?:|mailto:|/)([^)\s]*)\)")
STANDS_FOR_ANY = re.compile(r"\b(NAME|AREA)\b")

each = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: str(one.relative_to(ROOT)))


def anchors(document: Path) -> set[str]:
    """The anchors that a reader of Markdown makes of headings."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


@each
def test_files_and_folders_that_are_named_exist(document: Path) -> None:
    named = [one for one in PLACE.findall(document.read_text()) if not STANDS_FOR_ANY.search(one)]
    assert [one for one in named if not (ROOT / one).exists()] == []


@each
def test_links_lead_somewhere(document: Path) -> None:
    missing = []
    for link in LINK.findall(document.read_text()):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert missing == []


def test_the_picture_shows_every_floor_in_its_order() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    floors = contracts["contracts"][0]["layers"]
    wanted = [set(re.findall(r"app\.(\w+)", floor)) for floor in floors]
    drawn = re.findall(r'y="(\d+)"[^>]*class="h">(\w+)<', (ROOT / "docs/floors.svg").read_text())
    heights = sorted({int(y) for y, _ in drawn})
    assert [{room for y, room in drawn if int(y) == height} for height in heights] == wanted


def test_every_room_of_the_application_is_named_where_a_newcomer_looks() -> None:
    rooms = {one.parent.name for one in (ROOT / "app").glob("*/__init__.py")}
    text = (ROOT / "README.md").read_text() + (ROOT / "docs/architecture.md").read_text()
    assert {one for one in rooms if f"app/{one}/" not in text} == set()
