"""People to ring, set up in the form of a number."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.models.route import Handler, Route
from app.models.sender import Sender
from tests.staff.conftest import Staff
from tests.staff.test_office_hours import CALLS, choose, text_of, write
from tests.support.rows import Rows

PEOPLE: dict[str, Any] = {
    "people_to": ["(319) 555-0171", "(319) 555-0172", "", ""],
    "people_name": ["Pat", "", "", ""], "people_seconds": ["15", "", "", ""],
}  # fmt: skip
RING: dict[str, Any] = {
    "handler": "ring", **PEOPLE, "strategy": "all", "confirm": "true", "whisper": "Admissions.",
    "otherwise_handler": "voicemail", "otherwise_say": "Leave a message.",
}  # fmt: skip


def test_people_are_kept_and_shown_again(pat: Staff, number: Sender, rows: Rows) -> None:
    assert choose(pat, number, "voice", **RING).status_code == 302
    outer = rows.one(select(Route).filter_by(handler=Handler.RING))
    assert outer.options == {
        "people": [
            {"to": "+13195550171", "name": "Pat", "seconds": 15},
            {"to": "+13195550172", "seconds": 20},
        ],
        "strategy": "all", "confirm": True, "whisper": "Admissions.",
    }  # fmt: skip
    page = text_of(pat, f"numbers/{number.id}")
    assert 'value="+13195550171"' in page
    assert "Rings all at once: Pat (+13195550171) for 15 seconds, +13195550172" in page
    assert "When nobody takes it: Says “Leave a message.”" in page
    assert page.count("&lt;Number") == 2


def test_a_wrong_phone_is_told_and_nothing_is_lost(pat: Staff, number: Sender) -> None:
    answer = choose(pat, number, "voice", **{**RING, "people_to": ["911", "", "", ""]})
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert "“911”" in page or "911 " in page
    assert 'value="Pat"' in page
    assert "Admissions." in page


def test_people_are_rung_while_the_office_is_open(pat: Staff, number: Sender, rows: Rows) -> None:
    write(pat)
    assert choose(pat, number, "voice", **CALLS).status_code == 302
    assert choose(pat, number, "voice", at="open", **RING).status_code == 302
    places = {one.place: one.handler for one in rows.all(Route)}
    assert places == {
        None: Handler.HOURS, "open": Handler.RING, "otherwise": Handler.VOICEMAIL,
        "closed": Handler.PLAY_MESSAGE,
    }  # fmt: skip
    page = text_of(pat, f"numbers/{number.id}/voice/box?at=open")
    assert 'value="+13195550171"' in page
    assert 'name="ring.otherwise-handler"' in page


def test_what_has_a_box_of_its_own_behind_people_stays_as_it_is(
    pat: Staff, number: Sender, rows: Rows
) -> None:
    menu = '{"handler": "menu", "say": "Press 1.", "keys": {"1": {"handler": "voicemail"}}}'
    fields = {**RING, "otherwise_handler": "kept", "otherwise_kept": menu}
    assert choose(pat, number, "voice", **fields).status_code == 302
    assert "It has a box of its own" in text_of(pat, f"numbers/{number.id}")
    assert len([one for one in rows.all(Route) if one.handler is Handler.MENU]) == 1
