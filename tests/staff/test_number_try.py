"""A call to a number tried out step by step, as a caller; what is heard is what Twilio is told."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from time_machine import TimeMachineFixture

from app.domain.routing import routes
from app.domain.routing.handlers import parse
from app.extensions import unit_of_work
from app.models.incoming import Incoming
from app.models.route import Destination
from app.models.sender import Sender
from app.models.voicemail import Voicemail
from tests.staff.conftest import Staff
from tests.staff.test_office_hours import HOME, SATURDAY, write
from tests.support.rows import Rows

PAT, KIM = "+13195550171", "+13195550172"
MONDAY, CHRISTMAS = "2026-11-30T09:00", "2026-12-25T09:00"
RING: dict[str, Any] = {
    "handler": "ring", "people": [{"to": PAT, "name": "Pat"}, {"to": KIM}],
    "otherwise": {"handler": "voicemail", "say": "Deje un mensaje.", "language": "es-MX"},
}  # fmt: skip
ROUTE: dict[str, Any] = {
    "handler": "hours", "hours": "office",
    "open": {
        "handler": "menu", "say": "Press 1 or 2.", "repeat": 1, "speech": {"people": "2"},
        "keys": {"1": {"handler": "call_forward", "to": PAT, "no_answer_say": "Out."}, "2": RING},
    },
    "closed": {"handler": "play_message", "say": "We are closed."},
    "holiday": {"handler": "handle_yourself", "url": "https://sis.example.edu/voice"},
}  # fmt: skip
OVER = "The call is over."
PRESSED = "Press 1 or 2."


@pytest.fixture(autouse=True)
def at(time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(SATURDAY)


@pytest.fixture
def number_(pat: Staff, number: Sender, rows: Rows) -> Sender:
    """The registrar's number with a route by hours."""
    write(pat, dates="2026-12-25 closed")
    with rows.app.app_context(), unit_of_work() as session:
        sender = session.get_one(Sender, number.id)
        spec = parse(Destination.VOICE, ROUTE)
        routes.save_route(session, sender, Destination.VOICE, spec, "test")
    return number


def tried(pat: Staff, number: Sender, when: str, *did: str) -> tuple[list[str], str]:
    """Return what is heard, and the box in which the call is then."""
    answer = pat.http.get(
        f"{HOME}/numbers/{number.id}/voice/try", query_string={"when": when, "did": did}
    )
    assert answer.status_code == 200
    log = answer.text[answer.text.index('role="log"') :].partition('<form class="spaced"')[0]
    found = re.findall(
        r'class="bubble ours">([^<]*)<|id="line-\d+"[^>]*>([^<]*)<|class="bubble-note">([^<]*)<',
        log,
    )
    here = re.search(r'aria-current="step">\s*<span class="strong">([^<]*)<', answer.text)
    return [html.unescape("".join(one)) for one in found], here[1] if here else ""


ANNOUNCED = "A call from 3 1 9, 5 5 5, 0 1 4 2. To take it, press 1."
HEARD = f"{ANNOUNCED} {ANNOUNCED}"
WAYS: dict[str, tuple[str, list[str], list[str], str]] = {
    "now, on a Saturday": ("", [], ["We are closed.", OVER], "Play a message"),
    "on a holiday": (
        CHRISTMAS, [], ["The call goes on at https://sis.example.edu/voice.", OVER],
        "Handle it yourself",
    ),
    "while it is open": (MONDAY, [], [PRESSED], "Let callers choose"),
    "no key, twice": (
        MONDAY, ["none", "none"],
        [PRESSED, "Press nothing", PRESSED, "Press nothing", "Thank you. Goodbye.", OVER],
        "Let callers choose",
    ),
    "a phone that nobody answers": (
        MONDAY, ["key:1", "nobody"],
        [PRESSED, "Press 1", "Nobody picks up", "Out.", OVER], "Forward to another phone",
    ),
    "a phone that is answered": (
        MONDAY, ["key:1", "takes:0"],
        [PRESSED, "Press 1", f"{PAT} takes the call",
         "The two are connected. When they hang up, the call is over."],
        "Forward to another phone",
    ),
    "a mailbox, and then somebody": (
        MONDAY, ["word:people", "mailbox:0", "takes:0"],
        [PRESSED, "Say “people”", f"The mailbox of Pat ({PAT}) picks up", HEARD,
         f"{KIM} takes the call", HEARD,
         "The two are connected. When they hang up, the call is over."],
        "Ring several people",
    ),
    "a message in another language": (
        MONDAY, ["key:2", "nobody", "nobody", "speak"],
        [PRESSED, "Press 2", "Nobody picks up", "Nobody picks up", "Deje un mensaje.",
         "Leave a message", OVER],
        "Take a message",
    ),
    "what cannot be done there": (
        MONDAY, ["takes:0", "speak", "key:", "key:12", "word:x", "nobody"], [PRESSED],
        "Let callers choose",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("when", "did", "heard", "box"), WAYS.values(), ids=WAYS)
def test_each_way_is_heard_as_a_caller_hears_it(
    when: str, did: list[str], heard: list[str], box: str, pat: Staff, number_: Sender
) -> None:
    assert tried(pat, number_, when, *did) == (heard, box)


def test_nothing_is_kept_and_nobody_is_called(pat: Staff, number_: Sender, rows: Rows) -> None:
    tried(pat, number_, MONDAY, "key:2", "nobody", "nobody", "speak")
    assert not rows.all(Incoming)
    assert not rows.all(Voicemail)


def test_a_time_that_is_none_is_told(pat: Staff, number_: Sender) -> None:
    path = f"{HOME}/numbers/{number_.id}/voice/try"
    answer = pat.http.get(path, query_string={"when": "soon"}, follow_redirects=True)
    assert "Choose a day and a time." in answer.text


def test_a_number_that_does_nothing_says_so(pat: Staff, number: Sender) -> None:
    heard, box = tried(pat, number, "")
    assert heard == ["Thank you for calling. This number does not take calls. Goodbye.", OVER]
    assert box == ""
