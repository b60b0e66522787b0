"""Sending one text: checked, queued, and never twice for the same Idempotency-Key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import update

from app.models.client import Client
from app.models.communication import Callback, Communication
from app.models.credential import Credential
from app.models.house import IdempotencyKey
from app.models.message import Message, MessageState
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry
from tests.support.departments import Caller, Department
from tests.support.rows import Rows

PHONE = "+13195550150"
NUMBER = "+13195550111"
TEXT = {"to": PHONE, "from": NUMBER, "body": "Your book is ready."}


def test_a_text_is_queued(api: Caller, rows: Rows, registrar: Department) -> None:
    answer = api.post("messages", {**TEXT, "to": "(319) 555-0150", "member": {"toName": "Ann"}})
    assert answer.status_code == 201
    shown = answer.json
    assert shown["status"] == "queued"
    assert (shown["to"], shown["from"], shown["segments"]) == (PHONE, NUMBER, 1)
    assert api.get(f"messages/{shown['id']}").json == shown
    stored = rows.one(Message)
    assert stored.client_id == registrar.client.id
    assert stored.member == {"toName": "Ann"}
    assert stored.state is MessageState.WAITING


@pytest.mark.parametrize("called", ["name", "address", "id"])
def test_a_messaging_service_is_known_by_name_or_sid(
    api: Caller, rows: Rows, registrar: Department, called: str
) -> None:
    service = getattr(registrar.service, called)
    answer = api.post("messages", {"to": PHONE, "messagingService": service, "body": "Hi"})
    assert answer.status_code == 201
    assert rows.one(Message).sender_id == registrar.service.id


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": "+1319555"}, "to"),
        ({"to": "nobody"}, "to"),
        ({"to": ""}, "to"),
        ({"to": "+442079460000"}, "to"),
        ({"to": "+18765550123"}, "to"),
        ({"to": "+19005550123"}, "to"),
        ({"to": NUMBER}, "to"),
        ({"from": None}, "from"),
        ({"messagingService": "outreach"}, "from"),
        ({"from": "+13195550122"}, "from"),
        ({"from": None, "messagingService": "theirs"}, "messagingService"),
        ({"body": ""}, "body"),
        ({"body": " \n"}, "body"),
        ({"body": "a" * 1601}, "body"),
        ({"media": ["ftp://example.edu/a.png"]}, "media"),
        ({"media": ["https://example.edu/a.png"] * 11}, "media"),
        ({"member": {"toName": ["Ann"]}}, "member.toName"),
        ({"callbacks": {"message_status": {"endpoint": "none"}}}, "callbacks.message_status"),
        ({"callbacks": {"sent": {"endpoint": "sis"}}}, "callbacks.sent"),
        ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_422_and_nothing_is_kept(
    api: Caller, rows: Rows, library: Department, change: dict[str, Any], field: str
) -> None:
    answer = api.post("messages", {**TEXT, **change}, Idempotency_Key="k")
    assert answer.status_code == 422, answer.json
    assert answer.json["errors"][0]["field"].startswith(field)
    assert answer.json["errors"][0]["message"].endswith(".")
    assert rows.count(Message) == rows.count(IdempotencyKey) == rows.count(Callback) == 0


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"to", "from", "body"}),
        ({"to": "12", "body": ""}, {"to", "from", "body"}),
        ({"to": "12", "from": "+13195550122", "body": "a" * 1601}, {"to", "from", "body"}),
        ({**TEXT, "to": NUMBER, "media": ["ftp://example.edu/a"]}, {"to", "media"}),
        (
            {"to": "12", "from": "31955", "twiml": "<Response>", "media": ["https://e.edu/a.png"],
             "callbacks": {"message_sent": {"endpoint": "none"}}},
            {"to", "from", "twiml", "callbacks.message_sent.endpoint"},
        ),
        ({"to": PHONE, "messagingService": "outreach", "twiml": "<Response/>"},
         {"messagingService"}),
        # Those that cannot even be read, and all others with them; nothing that only follows.
        ({"to": "12", "from": "+13195550122", "body": "", "colour": "red"},
         {"colour", "to", "from", "body"}),
        ({"to": 12, "from": "+13195550122", "body": ""}, {"to", "from", "body"}),
        ({"to": "12", "messagingService": ["outreach"], "body": ""},
         {"to", "messagingService", "body"}),
        ({"to": "12", "from": NUMBER, "twiml": 1, "machineDetection": "off"}, {"to", "twiml"}),
        ({**TEXT, "to": "12", "callbacks": {"sent": {}}}, {"to", "callbacks.sent"}),
    ],
)  # fmt: skip
def test_every_mistake_is_told_at_once(api: Caller, body: dict[str, Any], fields: set[str]) -> None:
    answer = api.post("messages", body)
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json["errors"]} == fields


@pytest.mark.parametrize(
    "values", [{"twilio_enabled": False}, {"halted_at": datetime(2026, 11, 21, tzinfo=UTC)}]
)
def test_a_client_that_may_not_send_is_told_so(
    api: Caller, rows: Rows, values: dict[str, Any]
) -> None:
    rows.change(update(Client).values(values))
    answer = api.post("messages", TEXT)
    assert answer.status_code == 403
    assert "support" in answer.json["detail"]


def test_a_suppressed_phone_is_a_message_with_that_status(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    rows.change(update(Sender).values(suppression_list_id=registrar.suppression.id))
    entries = f"suppressionlists/{registrar.suppression.id}/entries"
    assert api.post(entries, {"phone": PHONE}).status_code == 201
    answer = api.post("messages", TEXT)
    assert answer.status_code == 201
    assert answer.json["status"] == "suppressed"
    assert [(one["status"], one["source"]) for one in answer.json["history"]] == [
        ("suppressed", "dispatch")
    ]
    assert api.delete(f"{entries}/{PHONE}").status_code == 204
    assert api.post("messages", TEXT).json["status"] == "queued"


@pytest.mark.parametrize("listed", ["+541123456789", "+5491123456789"])
@pytest.mark.parametrize("to", ["+541123456789", "+54 9 11 2345 6789"])
def test_argentinas_nine_makes_nobody_somebody_else(
    listed: str, to: str, api: Caller, rows: Rows, registrar: Department
) -> None:
    rows.change(update(Client).values(international=True))
    rows.change(update(Sender).values(suppression_list_id=registrar.suppression.id))
    entries = f"suppressionlists/{registrar.suppression.id}/entries"
    assert api.post(entries, {"phone": listed}).status_code == 201
    text = api.post("messages", {**TEXT, "to": to}).json
    assert (text["status"], text["to"]) == ("suppressed", "+5491123456789")
    # A landline of the same form is called as it is written, and no list keeps calls.
    call = {"to": "+541123456789", "from": TEXT["from"], "twiml": "<Response><Hangup/></Response>"}
    assert api.post("messages", call).json["to"] == "+541123456789"
    assert api.delete(f"{entries}/{to.replace(' ', '')}").status_code == 204
    assert api.post("messages", {**TEXT, "to": to}).json["status"] == "queued"


def test_a_phone_that_cannot_be_reached_is_told_from_one_that_opted_out(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    rows.change(update(Sender).values(suppression_list_id=registrar.suppression.id))
    since = datetime.now(UTC)
    until = since + timedelta(days=180)
    rows.add(
        SuppressionEntry(
            list_id=registrar.suppression.id, phone=PHONE, source="twilio", since=since,
            reason="unreachable", error_code=21614, until=until,
        )
    )  # fmt: skip
    entries = f"suppressionlists/{registrar.suppression.id}/entries"
    (shown,) = api.get(entries).json["items"]
    assert (shown["source"], shown["reason"], shown["errorCode"]) == (
        "twilio", "unreachable", 21614,
    )  # fmt: skip
    assert datetime.fromisoformat(shown["until"]) == until
    message = api.post("messages", TEXT).json
    assert (message["status"], message["errorCode"]) == ("suppressed", 21614)
    assert "not a mobile phone" in message["explanation"]
    assert "cannot be reached" in message["errorMessage"]
    body = {"members": [{"toName": "Ann", "toPhone": PHONE}]}
    rows.change(update(Communication).values(suppression_list_id=registrar.suppression.id))
    (refused,) = api.post(f"communications/{registrar.texts.id}/adhocs", body).json["refused"]
    assert refused["reason"] == "suppressed"
    assert "cannot be reached" in refused["message"]
    assert api.delete(f"{entries}/{PHONE}").status_code == 204
    assert api.post("messages", TEXT).json["status"] == "queued"


def test_a_message_says_who_is_told_of_it(api: Caller, rows: Rows, registrar: Department) -> None:
    callbacks = {"message_status": {"endpoint": "sis"}}
    made = api.post("messages", {**TEXT, "callbacks": callbacks}).json
    callback = rows.one(Callback)
    assert (callback.message_id, callback.endpoint_id) == (made["id"], registrar.endpoint.id)


def test_the_same_key_gives_the_same_answer_for_a_day(api: Caller, rows: Rows) -> None:
    start = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        first = api.post("messages", TEXT, Idempotency_Key="one")
        rows.change(update(Message).values(status="delivered", state=MessageState.ACCEPTED))
        clock.shift(timedelta(hours=23, minutes=59))
        again = api.post("messages", TEXT, Idempotency_Key="one")
        assert (again.status_code, again.json) == (first.status_code, first.json)
        assert rows.count(Message) == 1
        clock.shift(timedelta(minutes=2))
        assert api.post("messages", TEXT, Idempotency_Key="one").json["id"] != first.json["id"]


def test_a_key_used_for_other_content_is_409(api: Caller, other: Caller, rows: Rows) -> None:
    assert api.post("messages", TEXT, Idempotency_Key="one").status_code == 201
    answer = api.post("messages", {**TEXT, "body": "Other"}, Idempotency_Key="one")
    assert answer.status_code == 409
    assert rows.count(Message) == 1
    theirs = {**TEXT, "from": "+13195550122"}
    assert other.post("messages", theirs, Idempotency_Key="one").status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\u00e9"])
def test_a_key_is_printable_ascii(api: Caller, key: str) -> None:
    assert api.post("messages", TEXT, Idempotency_Key=key).status_code == 422


def test_a_refused_request_does_not_use_up_its_key(api: Caller) -> None:
    assert api.post("messages", {**TEXT, "to": "1"}, Idempotency_Key="one").status_code == 422
    assert api.post("messages", TEXT, Idempotency_Key="one").status_code == 201


def test_twenty_concurrent_repeats_make_one_message(api: Caller, rows: Rows) -> None:
    def post(_: int) -> tuple[int, str]:
        answer = api.post("messages", TEXT, Idempotency_Key="one")
        return answer.status_code, answer.text

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(post, range(20)))
    assert [status for status, _ in answers] == [201]
    assert rows.count(Message) == rows.count(IdempotencyKey) == 1


def test_the_entries_of_a_list_stay_when_they_are_lifted(
    api: Caller, rows: Rows, registrar: Department
) -> None:
    entries = f"suppressionlists/{registrar.suppression.id}/entries"
    for tail in ("01", "02", "03"):
        assert api.post(entries, {"phone": f"(319) 555-01{tail}"}).status_code == 201
    assert api.post(entries, {"phone": "+13195550101"}).status_code == 201
    assert rows.count(SuppressionEntry) == 3
    assert api.delete(f"{entries}/%2B13195550102").status_code == 204
    assert api.delete(f"{entries}/%2B13195550102").status_code == 404
    first = api.get(f"{entries}?limit=2").json
    second = api.get(first["next"]).json
    assert second["next"] is None
    shown = first["items"] + second["items"]
    assert list(shown[0]) == [
        "phone", "scope", "source", "since", "liftedAt", "reason", "errorCode", "until",
    ]  # fmt: skip
    assert {(one["reason"], one["errorCode"], one["until"]) for one in shown} == {
        ("opted_out", None, None)
    }
    assert [(one["phone"], one["scope"], one["source"]) for one in shown] == [
        (f"+131955501{tail}", "all", "manual") for tail in ("01", "02", "03")
    ]
    assert [bool(one["liftedAt"]) for one in shown] == [False, True, False]
    assert api.get(f"{entries}?cursor=x").status_code == 422
    assert api.post(entries, {"phone": "x"}).status_code == 422


def test_routes_are_put_in_the_words_of_the_configuration_file(
    api: Caller, registrar: Department
) -> None:
    wanted = {
        "sms": {
            "handler": "auto_reply", "template": "away",
            "keywords": [{"match": "HOURS", "template": "away"}],
        },
        "voice": {"handler": "play_message", "say": "Closed.", "voice": "Polly.Joanna"},
    }  # fmt: skip
    put = api.put(f"numbers/{NUMBER}/routes", wanted)
    assert put.status_code == 200
    shown = api.get(f"numbers/{NUMBER}").json
    assert {name: shown[name] for name in wanted} == wanted
    assert put.json == shown

    assert api.put(f"numbers/{NUMBER}/routes", {"voice": None}).json["voice"] is None
    assert api.get(f"numbers/{NUMBER}").json["sms"] == wanted["sms"]


def test_every_mistake_of_routes_is_named_and_nothing_changes(api: Caller) -> None:
    before = api.get(f"numbers/{NUMBER}").json
    wrong = {
        "sms": {"handler": "auto_reply", "template": "nowhere"},
        "voice": {"handler": "call_forward", "to": "911"},
    }
    answer = api.put(f"numbers/{NUMBER}/routes", wrong)
    assert answer.status_code == 422
    assert {one["field"] for one in answer.json["errors"]} == {"sms.template", "voice.to"}
    assert api.get(f"numbers/{NUMBER}").json == before
    unread = {**wrong, "sms": {"handler": "sing"}, "fax": {}}
    answer = api.put(f"numbers/{NUMBER}/routes", unread)
    assert {one["field"] for one in answer.json["errors"]} == {"sms.handler", "fax", "voice.to"}


@pytest.mark.parametrize("on_trial", ["client", "Twilio account"])
def test_on_trial_only_the_allow_list_is_reached(api: Caller, rows: Rows, on_trial: str) -> None:
    model = Client if on_trial == "client" else Credential
    rows.change(update(model).values(trial=True))
    rows.change(update(Client).values(allow_list=["+13195550151"]))
    refused = api.post("messages", TEXT)
    assert refused.status_code == 422
    (error,) = refused.json["errors"]
    assert (error["field"], error["code"]) == ("to", "not_allowed")
    assert "allow-list" in error["message"]
    assert "trial" in error["message"]
    assert api.post("messages", {**TEXT, "to": "+13195550151"}).status_code == 201
