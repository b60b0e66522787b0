"""The rules of a call: who may be called from which number, with which TwiML."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app.domain.reach import Refusal
from app.domain.sending import calls
from app.extensions import unit_of_work
from app.models.client import Client
from app.models.communication import MachineDetection
from app.models.credential import Credential
from app.models.message import Lane, Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender, SenderKind, SenderType
from tests.support.house import House, furnish
from tests.support.our_calls import queued
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID

HELLO = "<Response><Say>Hello {{ toName }}.</Say></Response>"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def queue(app: Flask, house: House, to: str = "(319) 555-0150", **more: Any) -> str:
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        sender = session.get_one(Sender, house.sender.id)
        given = {"source": HELLO, "member": {"toName": "Ann & Bo"}, **more}
        return queued(session, client, sender, to, **given).id


def test_a_call_waits_in_the_lane_of_its_account(app: Flask, rows: Rows) -> None:
    house = furnish(rows, rate=100)
    queue(app, house)
    message = rows.one(Message)
    assert (message.destination, message.state) == (Destination.VOICE, MessageState.WAITING)
    assert (message.to, message.from_) == ("+13195550150", "+13195550100")
    assert message.body == "<Response><Say>Hello Ann &amp; Bo.</Say></Response>"
    assert message.options == {}
    lane = rows.one(Lane)
    assert (lane.key, lane.rate) == (f"voice:{ACCOUNT_SID}", 1.0)
    assert message.lane_key == lane.key


def test_all_numbers_of_an_account_share_its_calls_per_second(app: Flask, rows: Rows) -> None:
    first = furnish(rows)
    second = furnish(rows, address="+13195550101")
    rows.change(
        update(Credential).where(Credential.id == second.credential.id).values(calls_per_second=5)
    )
    queue(app, first)
    queue(app, second)
    assert rows.one(Lane).rate == 1.0  # the lowest that somebody set for this account


@pytest.mark.parametrize(
    ("detection", "kept"),
    [
        (MachineDetection.OFF, {}),
        (MachineDetection.CONTINUE, {"machineDetection": "continue"}),
        (MachineDetection.HANG_UP, {"machineDetection": "hang_up"}),
        (MachineDetection.WAIT_FOR_BEEP, {"machineDetection": "wait_for_beep"}),
    ],
    ids=str,
)
def test_the_detection_is_kept(
    detection: MachineDetection, kept: dict[str, str], app: Flask, rows: Rows
) -> None:
    queue(app, furnish(rows), machine_detection=detection, options={"timeout": 25})
    assert rows.one(Message).options == {"timeout": 25, **kept}


def test_a_verified_number_may_call_once_it_is_verified(app: Flask, rows: Rows) -> None:
    house = furnish(rows, kind=SenderKind.VERIFIED)
    with pytest.raises(Refusal, match=r"has not been verified.*an owner has that done") as refused:
        queue(app, house)
    assert refused.value.code == "not_verified"
    rows.change(update(Sender).values(verified_at=NOW))
    queue(app, house)
    assert rows.count(Message) == 1


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"kind": SenderKind.MESSAGING_SERVICE, "address": "MG" + "0" * 32}, "messaging service"),
        ({"address": "31955", "sender_type": SenderType.SHORT_CODE}, "short code"),
    ],
    ids=["service", "short code"],
)
def test_only_numbers_call(columns: dict[str, Any], sentence: str, app: Flask, rows: Rows) -> None:
    with pytest.raises(Refusal, match=sentence):
        queue(app, furnish(rows, **columns))
    assert rows.count(Message) == 0


@pytest.mark.parametrize(
    ("client", "to", "code"),
    [
        ({}, "+442071838750", "not_allowed"),
        ({}, "+12425550150", "not_allowed"),
        ({"international": True}, "+442071838750", None),
        ({}, "+19005550150", "not_allowed"),
        ({"international": True}, "+19005550150", "not_allowed"),
        ({}, "911", "invalid_phone"),
        ({}, "nobody", "invalid_phone"),
        ({}, "+13195550100", "not_allowed"),
        ({"trial": True}, "+13195550150", "not_allowed"),
        ({"trial": True, "allow_list": ["+13195550150"]}, "+13195550150", None),
        ({"twilio_enabled": False}, "+13195550150", "not_enabled"),
        ({"halted_at": NOW}, "+13195550150", "halted"),
    ],
    ids=[
        "abroad", "Bahamas", "abroad, allowed", "premium", "premium is never allowed", "emergency",
        "no phone", "itself", "trial", "trial, on the list", "not enabled", "halted",
    ],
)  # fmt: skip
def test_who_may_be_called(
    client: dict[str, Any], to: str, code: str | None, app: Flask, rows: Rows
) -> None:
    house = furnish(rows, **client)
    if code is None:
        queue(app, house, to)
        assert rows.one(Message).to == to
        return
    with pytest.raises(Refusal) as refused:
        queue(app, house, to)
    assert refused.value.code == code
    assert refused.value.sentence.endswith(".")
    assert rows.count(Message) == 0


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("<Response><Say>Hello {{ nobody }}.</Say></Response>", "“nobody”"),
        ("<Response><Say>Hello</Response>", "end tag"),
        ("<Response><Sai>Hello</Sai></Response>", "did you mean <Say>"),
        ("<Response><Redirect/></Response>", "<Redirect> without an address"),
        ("<Response>" + "<Say>" + "x" * 2999 + "</Say>" + "</Response>", None),
        ("<Response>" + ("<Say>" + "x" * 2999 + "</Say>") * 21 + "</Response>", "bytes"),
        ("<Response>" + "<Gather/>" * 2000 + "</Response>", "with our own addresses"),
        ("{% if AnsweredBy == 'machine' %}<Say/>{% else %}<Response/>{% endif %}", "Response"),
    ],
    ids=[
        "attribute",
        "not closed",
        "verb",
        "redirect",
        "fits",
        "too large",
        "too large with addresses",
        "only for machines",
    ],
)
def test_twiml_is_checked_before_anybody_is_called(
    source: str, sentence: str | None, app: Flask, rows: Rows
) -> None:
    house = furnish(rows)
    detection = MachineDetection.CONTINUE
    if sentence is None:
        queue(app, house, source=source, machine_detection=detection)
        return
    with pytest.raises(Refusal, match=sentence) as refused:
        queue(app, house, source=source, machine_detection=detection)
    assert refused.value.code == "template_error"
    assert rows.count(Message) == 0


DIAL = "<Response><Dial>{number}</Dial></Response>"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (DIAL.format(number="<Number>+1 319 555 0111</Number>"), None),
        (DIAL.format(number="<Sip>sip:desk@example.edu</Sip>"), "not_allowed"),
        (DIAL.format(number="<Number>+19005550150</Number>"), "not_allowed"),
        (DIAL.format(number="+442071838750"), "not_allowed"),
        (DIAL.format(number="{{ desk }}"), "not_allowed"),
        ("<Response>{% if AnsweredBy == 'machine' %}<Dial>+12425550150</Dial>{% endif %}"
         "</Response>", "not_allowed"),
        ("<Response><Sms to='+13195550150'>Hi</Sms></Response>", "template_error"),
        (DIAL.format(number="12345"), "template_error"),
    ],
    ids=["domestic", "sip", "premium", "abroad", "an attribute", "for a machine only", "a text",
         "no number"],
)  # fmt: skip
def test_a_call_goes_on_only_to_those_who_may_be_called(
    source: str, code: str | None, app: Flask, rows: Rows
) -> None:
    house = furnish(rows)
    more: dict[str, Any] = {
        "source": source, "machine_detection": MachineDetection.CONTINUE,
        "member": {"desk": "+442071838750"},
    }  # fmt: skip
    if code is None:
        queue(app, house, **more)
        return
    with pytest.raises(Refusal) as refused:
        queue(app, house, **more)
    assert (refused.value.code, refused.value.field) == (code, "twiml")


def test_who_may_reach_other_countries_may_go_on_to_them(app: Flask, rows: Rows) -> None:
    queue(app, furnish(rows, international=True), source=DIAL.format(number="+442071838750"))
    assert rows.count(Message) == 1


def test_on_trial_a_call_goes_on_to_the_allow_list_only(app: Flask, rows: Rows) -> None:
    house = furnish(rows, trial=True, allow_list=["+13195550150", "+13195550111"])
    queue(app, house, source=DIAL.format(number="+13195550111"))
    with pytest.raises(Refusal, match=r"In the TwiML: \+13195550112 is not on the allow-list"):
        queue(app, house, source=DIAL.format(number="+13195550112"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"timeout": 601}, "timeout"),
        ({"machineDetectionTimeout": 2}, "machineDetectionTimeout"),
        ({"machineDetectionSpeechThreshold": 999}, "machineDetectionSpeechThreshold"),
        ({"colour": 1}, "colour"),
    ],
    ids=str,
)
def test_an_option_that_twilio_would_not_take_is_refused(
    options: dict[str, int], named: str, app: Flask, rows: Rows
) -> None:
    with pytest.raises(Refusal, match=named):
        queue(app, furnish(rows), options=options)


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        ("human", "human"),
        ("unknown", "human"),
        ("machine_start", "machine"),
        ("machine_end_beep", "machine"),
        ("machine_end_silence", "machine"),
        ("machine_end_other", "machine"),
        ("fax", "machine"),
        ("", ""),
        (None, ""),
    ],
)
def test_who_answered(raw: str | None, verdict: str) -> None:
    assert calls.verdict(raw) == verdict


GREETING = (
    "<Response><Say>Hi {{ toName }}.</Say>"
    "{% if AnsweredBy == 'machine' %}<Say>Please call back.</Say>{% endif %}</Response>"
)


@pytest.mark.parametrize(
    ("detection", "heard"),
    [
        (MachineDetection.OFF, {"anybody": ["Says: “Hi Ann.”"]}),
        (
            MachineDetection.CONTINUE,
            {
                "person": ["Says: “Hi Ann.”"],
                "machine": ["Says: “Hi Ann.”", "Says: “Please call back.”"],
            },
        ),
        (MachineDetection.HANG_UP, {"person": ["Says: “Hi Ann.”"], "machine": ["Hangs up"]}),
    ],
    ids=str,
)
def test_a_preview_says_what_a_person_and_a_machine_hear(
    detection: MachineDetection, heard: dict[str, list[str]]
) -> None:
    assert calls.preview(GREETING, {"toName": "Ann"}, detection) == heard
