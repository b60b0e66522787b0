"""What a client's systems are told of their messages: which events, with which fields, and whom."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.domain.relaying import announcements
from app.domain.sending import statuses
from app.domain.sending.reports import Report
from app.domain.sending.texts import queue_text
from app.extensions import unit_of_work
from app.models.base import new_id
from app.models.batch import Batch
from app.models.client import Client
from app.models.communication import Callback, CallbackEvent, Campaign, Communication
from app.models.delivery import Delivery, DeliveryState
from app.models.endpoint import Endpoint, EndpointKind
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import Template, TemplateKind
from tests.support.house import House, furnish, text
from tests.support.relay import AS_RECORDED
from tests.support.rows import Rows

SMS_SID = "SM" + "0" * 32
CALL_SID = "CA" + "0" * 32
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MEMBER = {"toName": "Ann", "toPhone": "+13195550150", "course": "Art"}


@pytest.fixture
def house(rows: Rows) -> House:
    return furnish(rows)


def endpoint(rows: Rows, house: House, name: str) -> Endpoint:
    made = Endpoint(
        client_id=house.client.id, kind=EndpointKind.WEBHOOK, name=name,
        url=f"https://sis.example.edu/{name}",
    )  # fmt: skip
    rows.add(made)
    return made


def listen(rows: Rows, house: House, name: str, *events: CallbackEvent, **owner: str) -> Endpoint:
    """Let a new endpoint be told of ``events``; ``owner`` is a communication, a message or none."""
    made = endpoint(rows, house, name)
    rows.add(
        *(
            Callback(client_id=house.client.id, event=event, endpoint_id=made.id, **owner)
            for event in events or CallbackEvent
        )
    )
    return made


def communication(
    rows: Rows, house: House, destination: Destination = Destination.SMS
) -> Communication:
    campaign = Campaign(id=new_id(), client_id=house.client.id, name=f"spring {new_id()}")
    kind = TemplateKind.SMS if destination is Destination.SMS else TemplateKind.VOICE
    template = Template(id=new_id(), client_id=house.client.id, name=new_id(), kind=kind)
    rows.add(campaign, template)
    made = Communication(
        id=new_id(), client_id=house.client.id, campaign_id=campaign.id, name="reminders",
        destination=destination, template_id=template.id, sender_id=house.sender.id,
    )  # fmt: skip
    rows.add(made)
    return made


def batch(rows: Rows, house: House, of: Communication) -> Batch:
    made = Batch(
        id=new_id(), client_id=house.client.id, communication_id=of.id, scheduled_at=NOW,
        lane_key=f"sms:{house.sender.id}", created_by="test", total=3,
    )  # fmt: skip
    rows.add(made)
    return made


def report(app: Flask, message: Message, *reports: Report) -> None:
    for one in reports:
        with app.app_context(), unit_of_work() as session:
            statuses.record_report(session, message.id, one)


def told(rows: Rows, to: Endpoint | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Return what was recorded, in order: type and data."""
    chosen = select(Delivery).order_by(*AS_RECORDED)
    if to is not None:
        chosen = chosen.where(Delivery.endpoint_id == to.id)
    bodies = [json.loads(delivery.body) for delivery in rows.all(chosen)]
    return [(body["type"], body["data"]) for body in bodies]


def words(rows: Rows) -> list[str]:
    return [data["status"] for type_, data in told(rows) if type_ == "message.status"]


def test_a_text_is_told_from_queued_to_delivered(app: Flask, rows: Rows, house: House) -> None:
    listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS)
    message = text(house, state=MessageState.CLAIMED, member=MEMBER)
    rows.add(message)
    report(
        app, message,
        Report("queued", "response", sid=SMS_SID),
        Report("sent", "callback", sid=SMS_SID),
        Report("delivered", "callback", sid=SMS_SID),
    )  # fmt: skip
    expected = {
        "id": message.id,
        "sid": SMS_SID,
        "destination": "sms",
        "to": "+13195550150",
        "from": "+13195550100",
        "communication": None,
        "batch": None,
        "member": MEMBER,
        "errorCode": None,
        "errorMessage": None,
        "explanation": None,
    }
    assert told(rows) == [
        ("message.status", {**expected, "status": word}) for word in ("queued", "sent", "delivered")
    ]
    assert all(one.message_id == message.id for one in rows.all(Delivery))


def test_queued_is_told_once_even_where_twilio_says_accepted_first(
    app: Flask, rows: Rows, house: House
) -> None:
    listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS)
    message = text(house, state=MessageState.CLAIMED)
    rows.add(message)
    report(
        app, message,
        Report("accepted", "response", sid=SMS_SID),
        Report("queued", "callback", sid=SMS_SID),
        Report("sending", "callback", sid=SMS_SID),
        Report("sending", "callback", sid=SMS_SID),
    )  # fmt: skip
    assert words(rows) == ["queued", "sending"]


def test_a_word_that_comes_after_a_later_one_is_not_told(
    app: Flask, rows: Rows, house: House
) -> None:
    listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS)
    message = text(house, state=MessageState.CLAIMED)
    rows.add(message)
    report(
        app, message,
        Report("delivered", "callback", sid=SMS_SID),
        Report("sent", "callback", sid=SMS_SID),
        Report("queued", "response", sid=SMS_SID),
    )  # fmt: skip
    assert words(rows) == ["queued", "delivered"]


def test_sent_is_told_once_when_twilio_has_it(app: Flask, rows: Rows, house: House) -> None:
    listen(rows, house, "sis", CallbackEvent.MESSAGE_SENT)
    message = text(house, state=MessageState.CLAIMED)
    rows.add(message)
    report(
        app, message,
        Report("queued", "response", sid=SMS_SID),
        Report("sent", "callback", sid=SMS_SID),
        Report("sent", "callback", sid=SMS_SID),
    )  # fmt: skip
    assert [(type_, data["status"]) for type_, data in told(rows)] == [("message.sent", "queued")]


def test_an_undelivered_text_carries_its_error_and_is_a_problem(
    app: Flask, rows: Rows, house: House
) -> None:
    listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS, CallbackEvent.MESSAGE_PROBLEM)
    message = text(house, state=MessageState.ACCEPTED, sid=SMS_SID, status="sent")
    rows.add(message)
    report(
        app, message,
        Report(
            "undelivered", "callback", sid=SMS_SID, error_code=30003, error_message="Unreachable"
        ),
    )  # fmt: skip
    status, problem = told(rows)
    assert status[0] == "message.status"
    assert status[1]["status"] == "undelivered"
    assert (status[1]["errorCode"], status[1]["errorMessage"]) == (30003, "Unreachable")
    assert "." in status[1]["explanation"]
    assert problem == ("message.problem", {**status[1], "reason": "failed"})


def test_a_late_opt_out_is_told_as_suppressed_only(app: Flask, rows: Rows, house: House) -> None:
    listen(rows, house, "sis", CallbackEvent.MESSAGE_PROBLEM)
    message = text(house, state=MessageState.ACCEPTED, sid=SMS_SID, status="queued")
    rows.add(message)
    report(app, message, Report("failed", "callback", sid=SMS_SID, error_code=21610))
    assert [(type_, data["reason"]) for type_, data in told(rows)] == [
        ("message.problem", "suppressed")
    ]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (MessageState.REFUSED, "invalid_phone"),
        (MessageState.REFUSED, "not_allowed"),
        (MessageState.REFUSED, "template_error"),
        (MessageState.REFUSED, "refused"),
        (MessageState.SUPPRESSED, "suppressed"),
        (MessageState.FAILED, "failed"),
        (MessageState.UNKNOWN, "unknown"),
        (MessageState.CANCELED, "canceled"),
    ],
    ids=str,
)
def test_a_problem_has_its_reason_and_no_word_of_twilios(
    state: MessageState, reason: str, app: Flask, rows: Rows, house: House
) -> None:
    listen(rows, house, "sis")
    message = text(house, state=MessageState.CLAIMED)
    rows.add(message)
    with app.app_context(), unit_of_work() as session:
        statuses.end(
            session, message.id, state, before=(MessageState.CLAIMED,), reason=reason,
            error_message="It went wrong.",
        )  # fmt: skip
    [(type_, data)] = told(rows)
    assert type_ == "message.problem"
    assert data["reason"] == reason
    assert data["explanation"] == "It went wrong."
    assert "status" not in data


def test_a_suppressed_text_tells_the_receiver_that_came_with_it(
    app: Flask, rows: Rows, house: House
) -> None:
    from app.domain.relaying.callbacks import CallbacksSpec

    own = endpoint(rows, house, "own")
    opted_out = SuppressionList(id=new_id(), client_id=house.client.id, name="opted-out")
    rows.add(opted_out)
    rows.add(
        SuppressionEntry(
            list_id=opted_out.id, phone="+13195550150", source=SuppressionSource.MANUAL, since=NOW
        )
    )
    rows.change(update(Sender).values(suppression_list_id=opted_out.id))
    spec = CallbacksSpec.model_validate({"message_problem": {"endpoint": "own"}})
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        sender = session.get_one(Sender, house.sender.id)
        queue_text(session, client, sender, "+13195550150", body="Hello", callbacks=spec)
    assert [data["reason"] for _, data in told(rows, own)] == ["suppressed"]


@pytest.mark.parametrize(
    ("chosen", "listener"),
    [
        (("client",), "client"),
        (("client", "communication"), "communication"),
        (("client", "communication", "message"), "message"),
        (("communication",), "communication"),
        ((), None),
    ],
    ids=str,
)
def test_the_most_particular_choice_is_told(
    chosen: tuple[str, ...], listener: str | None, app: Flask, rows: Rows, house: House
) -> None:
    of = communication(rows, house)
    message = text(house, state=MessageState.CLAIMED, communication_id=of.id)
    rows.add(message)
    owners: dict[str, dict[str, str]] = {
        "client": {},
        "communication": {"communication_id": of.id},
        "message": {"message_id": message.id},
    }
    made = {
        name: listen(rows, house, name, CallbackEvent.MESSAGE_SENT, **owners[name])
        for name in chosen
    }
    report(app, message, Report("queued", "response", sid=SMS_SID))
    heard = [name for name, one in made.items() if told(rows, one)]
    assert heard == ([listener] if listener else [])


def test_each_event_is_chosen_by_itself(app: Flask, rows: Rows, house: House) -> None:
    of = communication(rows, house)
    default = listen(rows, house, "default", CallbackEvent.MESSAGE_SENT)
    own = listen(rows, house, "own", CallbackEvent.MESSAGE_STATUS, communication_id=of.id)
    message = text(house, state=MessageState.CLAIMED, communication_id=of.id)
    rows.add(message)
    report(app, message, Report("queued", "response", sid=SMS_SID))
    assert [type_ for type_, _ in told(rows, default)] == ["message.sent"]
    assert [type_ for type_, _ in told(rows, own)] == ["message.status"]
    assert told(rows, own)[0][1]["communication"] == of.id


def test_another_clients_choice_is_never_told(app: Flask, rows: Rows, house: House) -> None:
    other = furnish(rows, address="+13195550199", account_sid="AC" + "9" * 32)
    listen(rows, other, "sis")
    message = text(house, state=MessageState.CLAIMED)
    rows.add(message)
    report(app, message, Report("queued", "response", sid=SMS_SID))
    assert told(rows) == []


def test_a_complete_batch_is_told_once_with_its_counts(
    app: Flask, rows: Rows, house: House
) -> None:
    of = communication(rows, house)
    listen(rows, house, "sis", CallbackEvent.COMPLETE, communication_id=of.id)
    run = batch(rows, house, of)
    for _ in range(2):
        with app.app_context(), unit_of_work() as session:
            counts = {"delivered": 2, "suppressed": 1}
            announcements.batch_complete(session, session.get_one(Batch, run.id), counts)
    assert told(rows) == [
        (
            "communication.complete",
            {
                "communication": of.id,
                "batch": run.id,
                "batchId": run.id,
                "counts": {"delivered": 2, "suppressed": 1},
            },
        )
    ]


def test_what_is_rolled_back_is_not_told(app: Flask, rows: Rows, house: House) -> None:
    listen(rows, house, "sis")
    message = text(house, state=MessageState.CLAIMED)
    rows.add(message)

    def fail() -> None:
        with unit_of_work() as session:
            statuses.record_report(session, message.id, Report("queued", "response", sid=SMS_SID))
            raise ZeroDivisionError

    with app.app_context():
        with pytest.raises(ZeroDivisionError):
            fail()
        with unit_of_work() as session:
            statuses.record_report(session, message.id, Report("sent", "callback"))
    assert words(rows) == ["sent"]


def test_the_largest_member_is_told_whole(app: Flask, rows: Rows, house: House) -> None:
    listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS)
    member = {"courses": [{"name": "Algebra", "room": 4}], "essay": "ü" * 16_000}
    message = text(house, state=MessageState.CLAIMED, member=member)
    rows.add(message)
    report(app, message, Report("queued", "response", sid=SMS_SID))
    assert told(rows)[0][1]["member"] == member


def call(house: House, **changes: Any) -> Message:
    return text(
        house, destination=Destination.VOICE, body="<Response><Record/></Response>", segments=0,
        lane_key=f"voice:{house.credential.account_sid}",
        **{"state": MessageState.ACCEPTED, "sid": CALL_SID, "status": "in-progress", **changes},
    )  # fmt: skip


def completed(**more: Any) -> Report:
    return Report("completed", "callback", sid=CALL_SID, sequence=3, call_duration=12, **more)


def test_a_call_carries_twilios_names_where_they_apply(
    app: Flask, rows: Rows, house: House
) -> None:
    listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS)
    message = call(house, status="ringing")
    rows.add(message)
    report(
        app, message,
        Report("in-progress", "callback", sid=CALL_SID, sequence=2, answered_by="machine_start"),
        completed(recording_url="https://api.twilio.com/RE1"),
    )  # fmt: skip
    (_, answered), (_, ended) = told(rows)
    assert {name: answered.get(name) for name in NAMES} == {
        "status": "in-progress", "AnsweredBy": "machine_start",
        "CallDuration": None, "RecordingUrl": None,
    }  # fmt: skip
    assert {name: ended.get(name) for name in NAMES} == {
        "status": "completed", "AnsweredBy": "machine_start",
        "CallDuration": 12, "RecordingUrl": "https://api.twilio.com/RE1",
    }  # fmt: skip
    assert not {"CallDuration", "RecordingUrl"} & set(answered)


NAMES = ("status", "AnsweredBy", "CallDuration", "RecordingUrl")


@pytest.fixture
def recorded(rows: Rows, house: House) -> Message:
    """A call whose TwiML lets Twilio report the recording to us."""
    listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS)
    message = call(house)
    url = f"https://dispatch.example.edu/inbound/voice/recorded/{message.id}"
    message.answer_twiml = f'<Response><Record action="{url}"/></Response>'
    rows.add(message)
    return message


def test_completed_waits_a_minute_for_the_recording(
    app: Flask, rows: Rows, recorded: Message, time_machine: Any
) -> None:
    time_machine.move_to(NOW, tick=False)
    report(app, recorded, completed())
    assert rows.one(Delivery).next_attempt_at == NOW + timedelta(seconds=60)


def test_completed_goes_out_with_the_recording_when_it_comes(
    app: Flask, rows: Rows, recorded: Message, time_machine: Any
) -> None:
    time_machine.move_to(NOW, tick=False)
    report(app, recorded, completed())
    time_machine.move_to(NOW + timedelta(seconds=5), tick=False)
    with app.app_context(), unit_of_work() as session:
        message = session.get_one(Message, recorded.id)
        message.recording_url = "https://api.twilio.com/RE1"
        session.flush()
        announcements.more_came(session, message)
    delivery = rows.one(Delivery)
    assert delivery.next_attempt_at == NOW + timedelta(seconds=5)
    data = json.loads(delivery.body)["data"]
    assert (data["RecordingUrl"], data["CallDuration"]) == ("https://api.twilio.com/RE1", 12)


def test_a_recording_that_comes_after_the_first_try_changes_nothing(
    app: Flask, rows: Rows, recorded: Message
) -> None:
    report(app, recorded, completed())
    rows.change(update(Delivery).values(attempts=1, state=DeliveryState.DELIVERED))
    before = rows.one(Delivery).body
    with app.app_context(), unit_of_work() as session:
        message = session.get_one(Message, recorded.id)
        message.recording_url = "https://api.twilio.com/RE1"
        session.flush()
        announcements.more_came(session, message)
    assert rows.one(Delivery).body == before


def test_a_call_that_records_nothing_does_not_wait(
    app: Flask, rows: Rows, house: House, time_machine: Any
) -> None:
    time_machine.move_to(NOW, tick=False)
    listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS)
    message = call(house, answer_twiml="<Response><Hangup/></Response>")
    rows.add(message)
    report(app, message, completed())
    assert rows.one(Delivery).next_attempt_at == NOW


@pytest.mark.parametrize(
    ("keys", "waits"), [(None, 3), ("1", 0)], ids=["no keys yet", "they are there"]
)
def test_completed_waits_a_moment_for_keys(
    keys: str | None, waits: int, app: Flask, rows: Rows, house: House, time_machine: Any
) -> None:
    time_machine.move_to(NOW, tick=False)
    listen(rows, house, "sis", CallbackEvent.MESSAGE_STATUS)
    message = call(house, digits=keys)
    url = f"https://dispatch.example.edu/inbound/voice/gathered/{message.id}"
    message.answer_twiml = f'<Response><Gather action="{url}"/></Response>'
    rows.add(message)
    report(app, message, completed())
    assert rows.one(Delivery).next_attempt_at == NOW + timedelta(seconds=waits)
