"""A route inside another has a form of its own: a box of the picture on the number's page."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from app.domain.routing import routes
from app.extensions import db
from app.models.route import Destination, Route
from app.models.sender import Sender
from tests.staff.conftest import Staff
from tests.staff.test_office_hours import HOME, choose, text_of, write
from tests.support.forms import forms
from tests.support.rows import Rows

DESK, SECOND = "+13195550175", "+13195550176"
HOURS: dict[str, Any] = {
    "handler": "hours", "hours": "office", "open_handler": "menu", "closed_handler": "voicemail",
    "holiday_handler": "none",
}  # fmt: skip
MENU: dict[str, Any] = {
    "handler": "menu", "say": "Press 1 for English, 2 para español.",
    "keys_0_key": "1", "keys_0_handler": "ring", "keys_1_key": "2", "keys_1_handler": "menu",
    "otherwise_handler": "none",
}  # fmt: skip
RING: dict[str, Any] = {
    "handler": "ring", "people_to": [DESK, SECOND], "people_name": ["Pat", "Kim"],
    "people_seconds": ["", ""], "otherwise_handler": "voicemail",
}  # fmt: skip
SPANISH: dict[str, Any] = {
    "handler": "menu", "say": "Oprima 1.", "language": "es-MX", "keys_0_key": "1",
    "keys_0_handler": "play_message", "keys_0_say": "Abrimos a las ocho.",
    "otherwise_handler": "none",
}  # fmt: skip


class Form:
    """The answer to a form, with what the next one has to send along."""

    def __init__(self, answer: Any) -> None:
        self.status, self.page = answer.status_code, answer.get_data(as_text=True)

    def hidden(self, name: str) -> str:
        found = re.search(rf'type="hidden" name="{name}" value="([^"]*)"', self.page)
        return html.unescape(found[1]) if found else ""

    def along(self) -> dict[str, str]:
        return {name: self.hidden(name) for name in ("at", "draft")}


def stored(number: Sender, rows: Rows) -> dict[str, Any] | None:
    with rows.app.app_context():
        sender = db.session.get_one(Sender, number.id)
        route = routes.find_route(db.session(), sender, Destination.VOICE)
        return routes.describe(route) if route else None


def test_what_leads_on_is_filled_in_box_by_box_and_saved_at_the_end(
    pat: Staff, number: Sender, rows: Rows
) -> None:
    write(pat)
    at_menu = Form(choose(pat, number, "voice", **HOURS))
    assert (at_menu.status, at_menu.hidden("at")) == (200, "open")
    assert "Nothing is saved yet" in at_menu.page
    at_people = Form(choose(pat, number, "voice", **MENU, **at_menu.along()))
    assert at_people.hidden("at") == "open/keys.1"
    assert "2 boxes are still empty" in at_people.page
    at_spanish = Form(choose(pat, number, "voice", **RING, **at_people.along()))
    assert at_spanish.hidden("at") == "open/keys.2"
    assert "While it is open → Key 2" in at_spanish.page
    assert not rows.all(Route)
    answer = choose(pat, number, "voice", **SPANISH, **at_spanish.along())
    assert answer.status_code == 302
    found = stored(number, rows)
    assert found is not None
    people = [{"to": DESK, "name": "Pat"}, {"to": SECOND, "name": "Kim"}]
    assert found["open"]["keys"]["1"]["people"] == people
    assert found["open"]["keys"]["2"]["say"] == "Oprima 1."
    assert found["closed"] == {"handler": "voicemail"}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a phone that is none": ({"people_to": ["911", ""]}, "911"),
    "nobody": ({"people_to": ["", ""]}, "exactly one of people and rota"),
    "a place that is gone": ({"at": "closed/keys.1"}, "That box is not there any more."),
    "a draft that is none": ({"draft": "[1"}, "Choose what is to be done."),
    "a draft of other things": ({"draft": '{"open": 1}'}, "That box is not there any more."),
    "a draft far too deep": ({"draft": "[" * 100_000}, "Choose what is to be done."),
}


@pytest.mark.parametrize(("changes", "sentence"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_told_in_the_box_and_nothing_is_lost(
    changes: dict[str, Any], sentence: str, pat: Staff, number: Sender, rows: Rows
) -> None:
    write(pat)
    fields = {"open_handler": "ring"}
    at_people = Form(choose(pat, number, "voice", **{**HOURS, **fields}))
    answer = Form(choose(pat, number, "voice", **{**RING, **at_people.along(), **changes}))
    assert answer.status == 422
    assert sentence in answer.page
    assert 'value="Pat"' in answer.page or "people_to" in changes
    assert not rows.all(Route)


def test_what_is_wrong_outside_is_told_before_one_is_led_inside(
    pat: Staff, number: Sender, rows: Rows
) -> None:
    answer = Form(choose(pat, number, "voice", **{**HOURS, "hours": "office"}))
    assert answer.status == 422  # nobody has written these hours down
    assert "There are no hours" in answer.page or "office" in answer.page
    assert not rows.all(Route)


def test_routes_are_at_most_five_inside_each_other(pat: Staff, number: Sender) -> None:
    write(pat)
    draft: dict[str, Any] = {"handler": "menu"}
    for _ in range(4):
        draft = {"handler": "menu", "say": "Press 1.", "keys": {"1": draft}}
    along = {"at": "keys.1/keys.1/keys.1/keys.1", "draft": json.dumps(draft)}
    fields = {**MENU, "keys_1_key": "", **along}
    answer = Form(choose(pat, number, "voice", **fields))
    assert answer.status == 422
    assert "At most 5 routes can be inside each other." in answer.page


@pytest.fixture
def settled(pat: Staff, number: Sender) -> Staff:
    write(pat)
    steps = (HOURS, {**MENU, "keys_1_handler": "voicemail"}, RING)
    along: dict[str, str] = {}
    for fields in steps:
        answer = choose(pat, number, "voice", **fields, **along)
        along = Form(answer).along()
    assert answer.status_code == 302
    return pat


def test_the_picture_is_a_list_of_boxes_each_with_its_form(settled: Staff, number: Sender) -> None:
    page = text_of(settled, f"numbers/{number.id}")
    figure = page[page.index('<figure class="flow">') : page.index("</figure>")]
    ways = re.findall(r'class="when">([^<]*)<', figure)
    assert ways == [
        "While it is open", "Key 1", "When nobody takes it", "Key 2", "When no key was pressed",
        "While it is closed", "On holidays",
    ]  # fmt: skip
    links = [html.unescape(one) for one in re.findall(r'href="([^"]*)"', figure)]
    places = [one.partition("at=")[2] for one in links if "at=" in one]
    assert places == ["open", "open/keys.1", "open/keys.1/otherwise", "open/keys.2", "closed"]
    for link in links:
        assert settled.http.get(link).status_code == 200
    assert "Say goodbye" in figure
    assert "Pat (+13195550175) for 20 seconds" in figure


def test_one_box_is_changed_and_the_others_stay(settled: Staff, number: Sender, rows: Rows) -> None:
    before = stored(number, rows)
    assert before is not None
    changed = {"handler": "play_message", "say": "All have gone home."}
    at = "open/keys.1/otherwise"
    assert choose(settled, number, "voice", at=at, **changed).status_code == 302
    after = stored(number, rows)
    before["open"]["keys"]["1"]["otherwise"] = changed
    assert after == before


def test_a_form_sent_as_it_is_shown_changes_nothing(
    settled: Staff, number: Sender, rows: Rows
) -> None:
    before, page = stored(number, rows), f"{HOME}/numbers/{number.id}"
    for path in (page, f"{page}/voice/box?at=open"):
        shown = forms(path, settled.http.get(path).get_data(as_text=True))
        form = next(one for one in shown if one.action.partition("#")[0].endswith("/voice"))
        sent = {**form.fields, "menu.say": MENU["say"]}  # of a textarea the reader sees no words
        answer = settled.http.post(form.action, data=sent)
        assert answer.status_code == 302
        assert stored(number, rows) == before


def test_a_box_is_tried_out_before_it_is_saved(settled: Staff, number: Sender, rows: Rows) -> None:
    before = stored(number, rows)
    fields = {"at": "closed", "handler": "play_message", "say": "We are asleep.", "do": "preview"}
    page = Form(choose(settled, number, "voice", **fields)).page
    assert "Closed: Says “We are asleep.”" in page
    assert stored(number, rows) == before


@pytest.mark.parametrize("at", ["open/keys.9", "closed/open", "keys.1", "open/keys", "//"])
def test_a_box_that_is_gone_leads_back_to_the_number(
    at: str, settled: Staff, number: Sender
) -> None:
    page = f"{HOME}/numbers/{number.id}"
    answer = settled.http.get(f"{page}/voice/box?at={at}")
    assert (answer.status_code, answer.headers["Location"]) == (302, page)
    assert "That box is not there any more." in text_of(settled, f"numbers/{number.id}")
