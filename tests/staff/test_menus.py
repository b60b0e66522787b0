"""A menu set up in the form of a number: keys with what they lead to, and words for them."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from app.models.route import Handler, Route
from app.models.sender import Sender
from tests.staff.conftest import Staff
from tests.staff.test_office_hours import HOME, choose, text_of
from tests.support.rows import Rows

MENU = {
    "handler": "menu", "say": "Press 1 or 2.", "repeat": "1",
    "keys_0_key": "1", "keys_0_handler": "call_forward", "keys_0_to": "(319) 555-0175",
    "keys_1_key": "*", "keys_1_handler": "play_message", "keys_1_say": "We open at eight.",
    "speech": "library = 1\nopening hours = *\n", "otherwise_handler": "none",
}  # fmt: skip


def test_keys_and_words_are_kept_and_shown_again(pat: Staff, number: Sender, rows: Rows) -> None:
    assert choose(pat, number, "voice", **MENU).status_code == 302
    outer = rows.one(select(Route).filter_by(handler=Handler.MENU))
    assert outer.options == {
        "say": "Press 1 or 2.", "speech": {"library": "1", "opening hours": "*"},
        "repeat": 1, "timeout": 5,
    }  # fmt: skip
    inside = {one.place: one.options for one in rows.all(Route) if one.parent_id == outer.id}
    assert inside["keys.1"]["to"] == "+13195550175"
    assert inside["keys.*"]["say"] == "We open at eight."
    page = text_of(pat, f"numbers/{number.id}")
    assert "library = 1\nopening hours = *" in page
    assert page.count("One more key") == 2
    assert "Key 1: Forwards the call to +13195550175" in page
    assert "&lt;Gather" in page


WRONG = {
    "a key twice": ({"keys_1_key": "1"}, "1 (twice)"),
    "a word without a key": ({"speech": "library"}, "Write “library” with its key"),
    "nothing behind a key": ({"keys_1_handler": ""}, "Choose what is to be done."),
    "a phone that is none": ({"keys_0_to": "911"}, "911"),
    "no key": ({"keys_0_key": "", "keys_1_key": "", "speech": ""}, "Choose what a key leads to"),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_told_and_nothing_is_lost(
    changes: dict[str, str], words: str, pat: Staff, number: Sender
) -> None:
    answer = choose(pat, number, "voice", **{**MENU, **changes})
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert words in page
    assert "Press 1 or 2." in page


def test_what_has_a_box_of_its_own_stays_as_it_is(pat: Staff, number: Sender, rows: Rows) -> None:
    deep = {"handler": "play_message", "say": "Deep."}
    deeper = json.dumps({"handler": "menu", "say": "Again.", "keys": {"1": deep}})
    fields = {**MENU, "keys_0_handler": "kept", "keys_0_kept": deeper}
    assert choose(pat, number, "voice", **fields).status_code == 302
    page = text_of(pat, f"numbers/{number.id}")
    assert "It has a box of its own in the picture" in page
    assert len([one for one in rows.all(Route) if one.handler is Handler.MENU]) == 2
    assert HOME in page
