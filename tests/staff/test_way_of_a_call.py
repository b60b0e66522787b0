"""A call in the log: each step of it, who took it, and where the caller left."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.models.incoming import Incoming
from tests.inbound.test_ring import KIM, LEG, PAT, PEOPLE
from tests.inbound.test_steps import Phone, put
from tests.staff.conftest import Staff
from tests.staff.test_everybody import AddPerson
from tests.support.departments import Caller, Department, department
from tests.support.rows import Rows
from tests.support.twilio import Twilio

RING: dict[str, Any] = {
    "handler": "ring", "people": PEOPLE,
    "otherwise": {"handler": "voicemail", "say": "Leave a message."},
}  # fmt: skip
MENU: dict[str, Any] = {
    "handler": "menu", "say": "Press 1 or 2.", "speech": {"address": "2"},
    "keys": {"1": RING, "2": {"handler": "play_message", "say": "Calvin Hall."}},
}  # fmt: skip
AT_RING, AT_MESSAGE = "Key 1 → Ring several people", (
    "Key 1 → When nobody takes it → Take a message"
)  # fmt: skip


@pytest.fixture
def ours(rows: Rows) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def phone(client: FlaskClient, twilio: Twilio, ours: Department) -> Phone:
    put(Caller.by_header(client, ours), ours, MENU)
    return Phone(twilio, ours)


@pytest.fixture
def reader(staff: Staff, ours: Department, add_person: AddPerson) -> Staff:
    add_person("pat@example.edu", ours.client)
    staff.sign_in("pat@example.edu")
    return staff


def rung(phone: Phone, status: str, key: str | None = None) -> None:
    """Let the phone that rings be picked up, unless no key is given, and Twilio tell of it."""
    if key is not None:
        number = phone.root.find("Dial/Number")
        assert number is not None
        leg = {"CallSid": LEG, "ParentCallSid": phone.call["CallSid"]}
        heard = phone.ask(number.attrib["url"], **leg)
        action = html.unescape(heard.partition('action="')[2].partition('"')[0])
        phone.ask(action, **leg, Digits=key)
    bridged = "true" if status == "completed" else "false"
    action = phone.root[0].attrib["action"]
    phone.hear(phone.ask(action, DialCallStatus=status, DialBridged=bridged))


def ended(phone: Phone, ours: Department) -> None:
    told = {**phone.call, "CallStatus": "completed", "CallDuration": "40"}
    assert phone.twilio.post("/inbound/voice/status", told).status_code == 204


def shown(reader: Staff, rows: Rows) -> tuple[list[str], str]:
    """Return the steps that the page of the call shows, and the sentence before them."""
    path = f"/staff/clients/registrar/inbox/{rows.one(Incoming).id}"
    page = reader.http.get(path).get_data(as_text=True)
    plain = html.unescape(page)
    steps = re.findall(r"<li>(.*?) <span class=\"quiet small\">\d+:\d\d:\d\d [ap]m</span>", plain)
    sentence = re.search(r"<p>((?:Taken by .*?)?The caller (?:left|is) at: .*?)</p>", plain)
    assert sentence
    return steps, re.sub("<.*?>", "", sentence[1])


def test_who_took_the_call(phone: Phone, reader: Staff, rows: Rows, ours: Department) -> None:
    phone.press("7").press("1")
    rung(phone, "no-answer", key="")
    rung(phone, "completed", key="1")
    ended(phone, ours)
    assert shown(reader, rows) == (
        [
            "Key 7 was pressed",
            f"Key 1 was pressed; then: {AT_RING}",
            f"Pat ({PAT}): picked up",
            f"Pat ({PAT}): pressed nothing, as a mailbox does",
            f"Pat ({PAT}): did not take the call",
            f"{KIM}: picked up",
            f"{KIM}: took the call",
            "The two hung up",
        ],
        f"Taken by {KIM}. The caller left at: {AT_RING}.",
    )


def test_where_the_caller_left(phone: Phone, reader: Staff, rows: Rows, ours: Department) -> None:
    phone.press("").press("1")
    rung(phone, "busy")
    assert shown(reader, rows)[1] == f"The caller is at: {AT_RING}."
    rung(phone, "no-answer")
    ended(phone, ours)
    steps, sentence = shown(reader, rows)
    assert steps[0] == "No key was pressed"
    assert steps[1:] == [
        f"Key 1 was pressed; then: {AT_RING}",
        f"Pat ({PAT}): was busy",
        f"{KIM}: did not take the call; then: {AT_MESSAGE}",
    ]
    assert sentence == f"The caller left at: {AT_MESSAGE}."


def test_what_was_said_is_shown_as_words(phone: Phone, reader: Staff, rows: Rows) -> None:
    phone.say("The <b>address</b>")
    steps, sentence = shown(reader, rows)
    assert steps == ["The caller said “The <b>address</b>”; then: Key 2 → Play a message"]
    assert sentence == "The caller is at: Key 2 → Play a message."


def test_who_hangs_up_at_once_left_at_the_first_box(
    phone: Phone, reader: Staff, rows: Rows, ours: Department
) -> None:
    ended(phone, ours)
    assert shown(reader, rows) == ([], "The caller left at: Let callers choose.")
