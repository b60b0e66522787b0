"""Calls from their lane to the person's ear and back to the department, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain.content import catalog
from app.domain.sending import communications
from app.extensions import unit_of_work
from app.models.client import Client
from app.models.communication import Callback, CallbackEvent, Communication, MachineDetection
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind
from app.models.message import Message
from app.models.route import Destination
from app.models.sender import Sender
from app.models.template import TemplateKind
from app.outbound import batches
from app.outbound.send import drains
from app.twilio.statuses import CALL_RANKS, CALL_TERMINAL
from tests.support.house import House, communication, join
from tests.support.our_calls import queued
from tests.support.relay import AS_RECORDED
from tests.support.rows import Rows
from tests.support.sandbox import Running, eventually

ANA, DEE, ELI, FAY, GUS = (f"+131955501{n}" for n in (10, 13, 14, 15, 16))
"""The sandbox's people: a person, a machine, always busy, never answers, a fax."""
TEMPLATE = (
    "<Response><Say>Hello {{ toName }}.</Say>"
    "{% if AnsweredBy == 'machine' %}<Say>Please call back.</Say>{% endif %}</Response>"
)


def listen(rows: Rows, house: House) -> None:
    """Let an endpoint be told each status of all the client's messages."""
    endpoint = Endpoint(
        client_id=house.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    rows.add(
        Callback(
            client_id=house.client.id, event=CallbackEvent.MESSAGE_STATUS, endpoint_id=endpoint.id
        )
    )


def told(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """Return what the endpoint is told, by phone."""
    heard: dict[str, list[dict[str, Any]]] = {}
    for one in rows.all(select(Delivery).order_by(*AS_RECORDED)):
        data = json.loads(one.body)["data"]
        heard.setdefault(data["to"], []).append(data)
    return heard


def ended(rows: Rows, count: int) -> dict[str, Message]:
    def done() -> dict[str, Message] | None:
        found = rows.all(Message)
        over = {one.to: one for one in found if one.status in CALL_TERMINAL}
        return over if len(over) == count else None

    return dict(eventually(done, seconds=40))


def said(box: Running, sid: str | None) -> list[str]:
    call = eventually(lambda: (c := box.get(f"calls/{sid}")) and not c["live"] and c, seconds=20)
    return [step["text"] for step in call["heard"] if step["kind"] == "say"]


def send(app: Flask) -> None:
    with app.app_context():
        batches.drain()
    with app.app_context():
        drains.drain()


PERSON = ["Hello Ana."]


@pytest.mark.parametrize(
    ("detection", "answered", "heard"),
    [
        (
            MachineDetection.CONTINUE,
            {ANA: "human", DEE: "machine_start", GUS: "fax"},
            {ANA: PERSON, DEE: ["Hello Dee.", "Please call back."],
             GUS: ["Hello Gus.", "Please call back."]},
        ),
        (
            MachineDetection.HANG_UP,
            {ANA: "human", DEE: "machine_start", GUS: "fax"},
            {ANA: PERSON, DEE: [], GUS: []},
        ),
        (
            MachineDetection.WAIT_FOR_BEEP,
            {ANA: "human", DEE: "machine_end_beep", GUS: "fax"},
            {ANA: PERSON, DEE: ["Hello Dee.", "Please call back."],
             GUS: ["Hello Gus.", "Please call back."]},
        ),
        (
            MachineDetection.OFF,
            {ANA: None, DEE: None, GUS: None},
            {ANA: PERSON, DEE: ["Hello Dee."], GUS: ["Hello Gus."]},
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, MachineDetection) else "",
)  # fmt: skip
def test_a_department_calls_its_people(
    detection: MachineDetection,
    answered: dict[str, str | None],
    heard: dict[str, list[str]],
    app: Flask,
    rows: Rows,
    box: Running,
    house: House,
) -> None:
    listen(rows, house)
    made = communication(
        rows, house, TEMPLATE, destination=Destination.VOICE, machine_detection=detection
    )
    names = {ANA: "Ana", DEE: "Dee", ELI: "Eli", FAY: "Fay", GUS: "Gus"}
    join(rows, made, *({"toName": name, "toPhone": phone} for phone, name in names.items()))
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        communications.start_batch(session, found, "pat@example.edu")
    send(app)
    over = ended(rows, len(names))
    assert {phone: one.status for phone, one in over.items()} == {
        ANA: "completed", DEE: "completed", ELI: "busy", FAY: "no-answer", GUS: "completed",
    }  # fmt: skip
    assert {phone: over[phone].answered_by for phone in answered} == answered
    for phone, words in heard.items():
        assert said(box, over[phone].sid) == words
        assert over[phone].call_duration is not None
    for phone, events in told(rows).items():
        words = [one["status"] for one in events]
        # Twenty times as fast as life, reports overtake each other; none is told afterwards.
        ranks = [CALL_RANKS[word] for word in words]
        assert words[0] == "queued"
        assert words[-1] == over[phone].status
        assert ranks == sorted(set(ranks))
        assert ("CallDuration" in events[-1]) is (words[-1] == "completed")
        assert events[-1].get("AnsweredBy") == answered.get(phone)
    assert list(box.box.store.alerts) == []


def place(app: Flask, house: House, source: str, to: str = ANA, **more: Any) -> None:
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        sender = session.get_one(Sender, house.sender.id)
        queued(session, client, sender, to, source=source, **more)
    with app.app_context():
        drains.drain()


def test_keys_come_back_to_the_department(
    app: Flask, rows: Rows, box: Running, house: House
) -> None:
    listen(rows, house)
    box.put(f"phones/{ANA.replace('+', '%2B')}", {"digits": "7"})
    source = "<Response><Gather numDigits='1'><Say>Press a key.</Say></Gather></Response>"
    place(app, house, source)
    [message] = ended(rows, 1).values()
    assert message.digits == "7"
    assert said(box, message.sid)[-1] == "Thank you. Goodbye."
    assert told(rows)[ANA][-1]["Digits"] == "7"


def test_a_recording_comes_back_with_completed(
    app: Flask, rows: Rows, box: Running, house: House
) -> None:
    listen(rows, house)
    box.put(f"phones/{ANA.replace('+', '%2B')}", {"record_seconds": 4})
    place(app, house, "<Response><Say>Speak.</Say><Record maxLength='10'/></Response>")
    [message] = ended(rows, 1).values()
    url = eventually(lambda: rows.one(Message).recording_url)
    assert "/Recordings/RE" in url
    last = eventually(lambda: (one := told(rows)[ANA][-1]).get("RecordingUrl") and one)
    assert (last["status"], last["RecordingUrl"]) == ("completed", url)
    assert said(box, message.sid)[-1] == "Thank you. Goodbye."


EVERY_VERB = [
    (
        "Say, Play, Pause, Gather, Dial and Hangup",
        '<Say voice="Polly.Joanna" language="en-US">Hello <break time="200ms"/>there.</Say>'
        '<Play digits="12w3"/><Pause length="1"/>'
        '<Gather input="dtmf" timeout="1" numDigits="1"><Say>Press.</Say><Pause/></Gather>'
        '<Dial timeout="10" callerId="+13195550100"><Number sendDigits="w1">+13195550111</Number>'
        "</Dial><Hangup/>",
        ["say", "tones", "pause", "gather", "dial"],
    ),
    (
        "Record",
        '<Record maxLength="5" finishOnKey="#" playBeep="true" trim="do-not-trim"/>',
        ["beep", "record"],
    ),
    (
        "Reject after the answer is a way to hang up",
        '<Say>No.</Say><Reject reason="busy"/>',
        ["say"],
    ),
    ("Enqueue and Leave", "<Enqueue>support</Enqueue><Say>Bye.</Say><Leave/>", ["queue", "say"]),
    (
        "Queue, with nobody in it",
        "<Dial><Queue>support</Queue></Dial><Say>Nobody waits.</Say>",
        ["note", "say"],
    ),
    (
        "what reaches Twilio's other products is accepted",
        '<Start><Stream url="wss://media.example.edu/s"/></Start><Stop><Stream name="s"/></Stop>'
        '<Connect><Stream url="wss://media.example.edu/s"/></Connect>'
        '<Pay paymentConnector="a"/><Prompt for="x"/>'
        "<Refer><Sip>sip:desk@example.edu</Sip></Refer><Say>Done.</Say>",
        ["note", "say"],
    ),
    ("Redirect", '<Redirect method="POST">{{ next }}</Redirect>', ["say"]),
]


@pytest.mark.parametrize(("inside", "steps"), [one[1:] for one in EVERY_VERB],
                         ids=[one[0] for one in EVERY_VERB])  # fmt: skip
@pytest.mark.database("sqlite")
def test_every_verb_passes_the_check_and_runs(
    inside: str, steps: list[str], app: Flask, rows: Rows, box: Running, house: House
) -> None:
    body = f"<Response>{inside}</Response>"
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        client.twiml_hosts, client.sip_domains = ["127.0.0.1", "media.example.edu"], ["example.edu"]
        catalog.save_template(session, client, "all", TemplateKind.VOICE, body, [], "pat")
    following = box.url + "/nowhere"
    place(app, house, body, member={"next": following, "toPhone": ANA})
    [message] = ended(rows, 1).values()
    assert message.status == "completed"
    call = box.get(f"calls/{message.sid}")
    kinds = [step["kind"] for step in call["heard"]]
    assert [kind for kind in steps if kind not in kinds] == [], kinds


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_on_the_way_each_call_ends_right(
    seed: int, app: Flask, rows: Rows, box: Running, house: House
) -> None:
    listen(rows, house)
    box.put("faults", {
        "webhooks": {"duplicate": 0.5, "drop_answer": 0.3, "shuffle_callbacks": 1,
                     "early_callbacks": 0.5},
        "rest": [{"mode": "reset-after", "when": "Calls.json", "ratio": 0.4}],
        "seed": seed,
    })  # fmt: skip
    made = communication(rows, house, TEMPLATE, destination=Destination.VOICE)
    people = [f"+13195550{n}" for n in range(120, 132)]
    join(rows, made, *({"toName": "Ana", "toPhone": phone} for phone in people))
    with app.app_context(), unit_of_work() as session:
        found = session.get_one(Communication, made.id)
        communications.start_batch(session, found, "pat@example.edu")
    send(app)
    over = ended(rows, len(people))
    arrivals = [one["to"] for one in box.get("arrivals")["items"]]
    assert sorted(arrivals) == people  # nobody is called twice
    for phone in people:
        assert over[phone].status == "completed"
        heard = said(box, over[phone].sid)
        steps = [step["kind"] for step in box.get(f"calls/{over[phone].sid}")["heard"]]
        # Where the answer of the URL and of the fallback are both lost, Twilio itself speaks.
        assert heard == ([] if "error" in steps else PERSON), steps
    for events in told(rows).values():
        ranks = [CALL_RANKS[one["status"]] for one in events]
        assert ranks == sorted(set(ranks))
        assert events[-1]["status"] == "completed"
