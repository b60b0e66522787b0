"""Communications: written, looked at before they start, started, watched, stopped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, select, update

from app.domain.sending import fates
from app.domain.sending.fates import Candidate
from app.extensions import db, unit_of_work
from app.models.audience import Member
from app.models.base import utcnow
from app.models.batch import Batch, BatchMember, BatchState
from app.models.breaker import Breaker
from app.models.chore import Chore
from app.models.client import Client
from app.models.communication import Callback, Communication
from app.models.link import Click, Link
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import Template
from tests.staff.conftest import OF_CLIENTS, Staff
from tests.staff.of_department import ours as ours
from tests.staff.of_department import pat as pat
from tests.support.departments import Department, department
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
NOON = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)  # noon in Chicago
HOSTILE = '<script>alert(1)</script> & "quotes" {{ 7 * 7 }}'


@pytest.fixture
def noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def batch(ours: Department, rows: Rows) -> Batch:
    made = Batch(
        client_id=ours.client.id, communication_id=ours.texts.id, state=BatchState.RUNNING,
        scheduled_at=utcnow(), started_at=utcnow(), lane_key=f"sms:{ours.number.id}",
        plan={"link_tracking": True}, total=3, prepared=3, created_by="pat@example.edu",
    )  # fmt: skip
    rows.add(made)
    return made


def message(ours: Department, batch: Batch | None, **columns: Any) -> Message:
    values: dict[str, Any] = {
        "to": "+13195550150", "body": "Hi Ann!", "member": {"toName": "Ann"},
        "batch_id": batch.id if batch else None, "position": 0 if batch else None,
    } | columns  # fmt: skip
    return Message(
        client_id=ours.client.id, destination=Destination.SMS, sender_id=ours.number.id,
        credential_id=ours.credential.id, from_=ours.number.address,
        communication_id=ours.texts.id, **values,
    )  # fmt: skip


def test_a_text_is_written_and_changed(pat: Staff, ours: Department, rows: Rows) -> None:
    path = f"{HOME}/communications/new/sms"
    answer = pat.send(
        path, name="Deadline", campaign="Autumn", template="reminder", population="students",
        sender=ours.service.id, suppression_list="opted-out", purpose="marketing",
        link_tracking="on", validity_period="30", step_template="reminder", step_after="1.5",
    )  # fmt: skip
    saved = rows.one(select(Communication).where(Communication.name == "Deadline"))
    assert answer.headers["Location"] == f"{HOME}/communications/{saved.id}"
    assert (saved.sender_id, saved.purpose, saved.validity_period) == (
        ours.service.id, "marketing", 1800,
    )  # fmt: skip
    assert (saved.link_tracking, saved.smart_encoding) == (True, False)
    assert [(s.template_id, s.after) for s in saved.steps] == [(ours.reminder.id, 90)]
    page = pat.http.get(f"{HOME}/communications/{saved.id}/edit").get_data(as_text=True)
    assert 'value="1.5"' in page
    pat.send(
        f"{HOME}/communications/{saved.id}/edit", name="Deadline", campaign="Autumn",
        template="reminder", sender=ours.number.id,
        **{"callback-complete": "url", "callback-complete-url": "https://sis.example.edu/{{ x }}",
           "callback-message_status": "endpoint:sis"},
    )  # fmt: skip
    saved = rows.one(select(Communication).where(Communication.id == saved.id))
    assert (saved.sender_id, saved.population_id, saved.steps) == (ours.number.id, None, [])
    assert {callback.event for callback in rows.all(Callback)} == {"complete", "message_status"}
    page = pat.http.get(f"{HOME}/communications/{saved.id}").get_data(as_text=True)
    assert "https://sis.example.edu/{{ x }}" in page
    assert [entry.action for entry in rows.all(OF_CLIENTS)] == ["create", "change"]


def test_a_call_says_what_happens_when_a_machine_answers(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    path = f"{HOME}/communications/new/voice"
    page = pat.http.get(path).get_data(as_text=True)
    assert "not always right" in page
    assert "short pause" in page
    pat.send(
        path, name="Closing", campaign="", template="closing", population="students",
        sender=ours.number.id, machine_detection="hang_up", retry_calls="2", retry_calls_after="5",
        timeout="20", machine_detection_speech_threshold="1800",
    )  # fmt: skip
    saved = rows.one(select(Communication).where(Communication.name == "Closing"))
    assert (saved.machine_detection, saved.retry_calls, saved.retry_calls_after) == (
        "hang_up", 2, 300,
    )  # fmt: skip
    assert saved.call_options == {"timeout": 20, "machineDetectionSpeechThreshold": 1800}
    page = pat.http.get(f"{HOME}/communications/{saved.id}").get_data(as_text=True)
    assert "20 seconds" in page
    assert "1,800 milliseconds" in page
    path = f"{HOME}/communications/{saved.id}/edit"
    assert 'value="1800"' in pat.http.get(path).get_data(as_text=True)
    pat.send(path, name="Closing", template="closing", sender=ours.number.id, timeout="30")
    saved = rows.one(select(Communication).where(Communication.id == saved.id))
    assert saved.call_options == {"timeout": 30}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("timeout", "2", "“Let it ring” must be 5 or more"), ("time_limit", "long", "whole number")],
)
def test_how_a_call_is_placed_is_checked_in_words(
    pat: Staff, ours: Department, rows: Rows, field: str, value: str, said: str
) -> None:
    answer = pat.send(
        f"{HOME}/communications/new/voice", name="New", template="closing",
        sender=ours.number.id, **{field: value},
    )  # fmt: skip
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in page
    assert said in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "Give it a name"),
        ({"sender": ""}, "Choose a number to send from"),
        ({"sender": "somebody"}, "exactly one"),
        ({"template": "closing"}, "kind"),
        ({"template": "gone"}, "There is no template “gone”"),
        ({"population": "gone"}, "There is no population “gone”"),
        ({"validity_period": "soon"}, "not a number of minutes"),
        ({"validity_period": "99999"}, "36000"),
        ({"name": "reminders", "campaign": "spring"}, "already"),
        ({"callback-complete": "url", "callback-complete-url": "ftp://x"}, "end of a batch"),
        ({"step_template": "reminder", "step_after": "-1"}, "not a number of minutes"),
    ],
    ids=["no name", "no sender", "unknown sender", "template of calls", "no template",
         "no population", "no minutes", "too long", "taken", "callback", "step"],
)  # fmt: skip
def test_what_cannot_be_saved_is_refused_in_words(
    pat: Staff, ours: Department, rows: Rows, changes: dict[str, str], said: str
) -> None:
    fields = {
        "name": "New", "campaign": "spring", "template": "reminder", "sender": ours.number.id,
    } | changes  # fmt: skip
    answer = pat.send(f"{HOME}/communications/new/sms", **fields)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "Not saved yet" in page
    assert said in page
    assert rows.count(Communication) == 2


@pytest.mark.usefixtures("noon")
def test_before_it_is_sent_one_sees_what_happens(pat: Staff, ours: Department, rows: Rows) -> None:
    rows.change(update(Communication).values(suppression_list_id=ours.suppression.id))
    rows.add(
        Member(roll=ours.population.id, attributes={"toPhone": "+13195550151"}),
        Member(roll=ours.population.id, attributes={"toName": "B", "toPhone": "12"}),
        Member(
            roll=ours.population.id,
            attributes={"toName": "Out", "toPhone": "+13195550152"},
        ),
        SuppressionEntry(
            list_id=ours.suppression.id, phone="+13195550152", scope="all",
            source=SuppressionSource.MANUAL, since=utcnow(),
        ),
    )  # fmt: skip
    page = pat.http.get(f"{HOME}/communications/{ours.texts.id}/check").get_data(as_text=True)
    for said in ("of 4 in students", "Hi Ann!", "opted out", "no valid phone", "toName",
                 "$0.01", "Text 1 person", "A2P 10DLC"):  # fmt: skip
        assert said in page
    assert rows.count(Batch) == 0


@pytest.mark.parametrize("wanted", [True, False])
def test_lines_are_looked_up_ahead_once_where_an_owner_wants_it(
    pat: Staff, ours: Department, rows: Rows, wanted: bool
) -> None:
    rows.change(update(Client).values(line_type_lookup=wanted))
    path = f"{HOME}/communications/{ours.texts.id}"

    def page() -> str:
        return pat.http.get(f"{path}/check").get_data(as_text=True)

    assert ("Look them up now" in page()) is wanted
    assert ("looked up at Twilio first, for about $0.01 beside the texts" in page()) is wanted
    for _ in range(2):
        pat.send(f"{path}/line-types")
    assert rows.count(Chore) == (1 if wanted else 0)
    assert ("are being looked up at Twilio" in page()) is wanted


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ((None, None), "It is night (after 21:00 or before 8:00) where one person is"),
        (("09:00", "20:00"), "one person is outside 09:00 to 20:00 where they are: each waits"
         " until it is that time there, the last until Nov 24, 13:00 (America/Chicago)."),
    ],
    ids=["no hours", "hours"],
)  # fmt: skip
def test_one_sees_where_it_is_no_time_to_be_reached(
    pat: Staff, ours: Department, rows: Rows, hours: tuple[str | None, str | None], said: str
) -> None:
    """Ann is in Iowa, where it is 9 o'clock; in Honolulu it is 5."""
    rows.change(update(Client).values(recipient_from=hours[0], recipient_to=hours[1]))
    rows.add(
        Member(
            roll=ours.population.id,
            attributes={"toName": "Bo", "toPhone": "+18085550151"},
        )
    )
    with time_machine.travel(datetime(2026, 11, 24, 15, 0, tzinfo=UTC), tick=False):
        pat.sign_in("pat@example.edu")
        page = pat.http.get(f"{HOME}/communications/{ours.texts.id}/check").get_data(as_text=True)
    assert said in page


@pytest.mark.parametrize(
    ("state", "by", "said"),
    [
        ("awaiting_approval", "bo@example.edu", "waits for approval; bo@example.edu has started"),
        ("awaiting_approval", "pat@example.edu", "waits for approval by somebody else."),
        ("scheduled", "bo@example.edu", None),
    ],
    ids=["another's", "one's own", "approved"],
)
def test_the_first_page_names_what_waits_for_approval(
    pat: Staff, batch: Batch, rows: Rows, state: str, by: str, said: str | None
) -> None:
    rows.change(update(Batch).values(state=state, created_by=by))
    page = pat.http.get(f"{HOME}/").get_data(as_text=True)
    assert ("waits for approval" in page) is (said is not None)
    assert (said or "") in page
    assert (f"{HOME}/batches/{batch.id}" in page) is (said is not None)


@pytest.mark.usefixtures("noon")
def test_one_steps_through_the_people_of_the_list(pat: Staff, ours: Department, rows: Rows) -> None:
    rows.change(update(Communication).values(suppression_list_id=ours.suppression.id))
    people = ("Bo", "+13195550152"), ("Cy", "12"), ("", "+13195550153")
    for name, phone in people:
        known = {"toPhone": phone} | ({"toName": name} if name else {})
        rows.add(Member(roll=ours.population.id, attributes=known))
    rows.add(
        SuppressionEntry(
            list_id=ours.suppression.id, phone="+13195550152", scope="all",
            source=SuppressionSource.MANUAL, since=utcnow(),
        )
    )  # fmt: skip
    path = f"{HOME}/communications/{ours.texts.id}/check"
    first = pat.http.get(path).get_data(as_text=True)
    for said in ("Ann gets", "Hi Ann!", "1 of 4", f"{path}/2"):
        assert said in first
    expected = {1: "Hi Ann!", 2: "opted out", 3: "12", 4: "toName", 5: "Nobody is there"}
    for position, said in expected.items():
        page = pat.http.get(f"{path}/{position}").get_data(as_text=True)
        assert said in page
        assert "Person by person" in page
        part = pat.http.get(f"{path}/{position}", headers={"HX-Request": "true"})
        assert said in part.get_data(as_text=True)
        assert "<html" not in part.get_data(as_text=True)
    assert "Previous person" not in pat.http.get(f"{path}/1").get_data(as_text=True)
    assert "Next person" not in pat.http.get(f"{path}/4").get_data(as_text=True)
    assert pat.http.get(f"{HOME}/communications/{ours.calls.id}/check/1").status_code == 200


@pytest.mark.usefixtures("noon")
def test_a_better_sender_is_taken_with_one_click(pat: Staff, ours: Department, rows: Rows) -> None:
    path = f"{HOME}/communications/{ours.texts.id}"
    page = pat.http.get(f"{path}/check").get_data(as_text=True)
    assert "Send from outreach" in page
    answer = pat.send(f"{path}/sender", seen_at=f"{path}/check", sender=ours.service.id)
    assert answer.headers["Location"] == f"{path}/check"
    assert rows.one(select(Communication).where(Communication.id == ours.texts.id)).sender_id == (
        ours.service.id
    )
    assert "Send from" not in pat.http.get(f"{path}/check").get_data(as_text=True)
    entry = rows.all(OF_CLIENTS)[-1]
    assert (entry.actor, entry.action, entry.target) == (
        "pat@example.edu", "change", "communication reminders",
    )  # fmt: skip


@pytest.mark.parametrize("whose", ["nobody's", "another client's", "stopped", "own"])
@pytest.mark.usefixtures("noon")
def test_a_sender_that_was_not_offered_is_not_taken(
    pat: Staff, ours: Department, rows: Rows, whose: str
) -> None:
    theirs = department(rows, "library", "12")
    if whose == "stopped":
        rows.change(update(Sender).values(stopped_at=utcnow()))
    chosen = {
        "nobody's": "x", "another client's": theirs.service.id, "stopped": ours.service.id,
        "own": ours.number.id,
    }[whose]  # fmt: skip
    path = f"{HOME}/communications/{ours.texts.id}"
    pat.send(f"{path}/sender", seen_at=f"{path}/check", sender=chosen)
    found = rows.one(select(Communication).where(Communication.id == ours.texts.id))
    assert found.sender_id == ours.number.id


@pytest.mark.parametrize(
    ("source", "lifted", "told"),
    [("keyword", False, True), ("twilio", False, True), ("manual", False, False),
     ("keyword", True, False)],
)  # fmt: skip
@pytest.mark.usefixtures("noon")
def test_one_sees_who_has_opted_out_of_another_number(
    pat: Staff, ours: Department, rows: Rows, source: str, lifted: bool, told: bool
) -> None:
    other = SuppressionList(client_id=ours.client.id, name="athletics")
    theirs = department(rows, "library", "12")
    rows.add(other)
    for list_id in (other.id, theirs.suppression.id):
        rows.add(
            SuppressionEntry(
                list_id=list_id, phone="+13195550150", scope=ours.service.id, source=source,
                since=utcnow(), lifted_at=utcnow() if lifted else None,
            )
        )  # fmt: skip
    page = pat.http.get(f"{HOME}/communications/{ours.texts.id}/check").get_data(as_text=True)
    said = "One person has written STOP to another of your numbers (list “athletics”)"
    assert (said in page) is told
    assert "list “opted-out”" not in page


@pytest.mark.usefixtures("noon")
def test_it_starts_now_and_only_once(pat: Staff, ours: Department, rows: Rows) -> None:
    path = f"{HOME}/communications/{ours.texts.id}"
    answer = pat.send(f"{path}/start", seen_at=f"{path}/check", when="now", runs="0")
    batch = rows.one(Batch)
    assert answer.headers["Location"] == f"{HOME}/batches/{batch.id}"
    assert (batch.state, batch.total, batch.created_by) == ("preparing", 1, "pat@example.edu")
    assert rows.count(BatchMember) == 1
    again = pat.send(f"{path}/start", seen_at=f"{path}/check", when="now", runs="0")
    assert again.status_code == 422
    assert "started since you opened the page" in again.get_data(as_text=True)
    assert rows.count(Batch) == 1
    assert "Everybody gets it again" in pat.http.get(f"{path}/check").get_data(as_text=True)


@pytest.mark.usefixtures("noon")
def test_it_is_scheduled_in_the_clients_zone_and_quiet_hours_hold_it(
    pat: Staff, ours: Department, rows: Rows
) -> None:
    rows.change(update(Client).values(quiet_from="21:00", quiet_to="08:00"))
    path = f"{HOME}/communications/{ours.texts.id}"
    answer = pat.send(
        f"{path}/start", seen_at=f"{path}/check", when="later", at="2026-11-24T22:30", runs="0"
    )
    batch = rows.one(Batch)
    assert batch.state == "scheduled"
    assert batch.scheduled_at == datetime(2026, 11, 25, 4, 30, tzinfo=UTC)
    page = pat.http.get(answer.headers["Location"]).get_data(as_text=True)
    assert "Begins Nov 25, 8:00 am" in page
    assert "quiet hours" in page


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"at": ""}, "Choose the day"), ({"at": "2026-11-23T11:59"}, "has passed"),
     ({"at": "2028-11-23T11:59"}, "a year ahead")],
    ids=["empty", "past", "far"],
)  # fmt: skip
@pytest.mark.usefixtures("noon")
def test_an_impossible_time_is_refused_in_words(
    pat: Staff, ours: Department, rows: Rows, fields: dict[str, str], said: str
) -> None:
    path = f"{HOME}/communications/{ours.texts.id}"
    answer = pat.send(f"{path}/start", seen_at=f"{path}/check", when="later", runs="0", **fields)
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)
    assert rows.count(Batch) == 0


def test_a_client_without_twilio_cannot_start(pat: Staff, ours: Department, rows: Rows) -> None:
    rows.change(update(Client).values(twilio_enabled=False))
    path = f"{HOME}/communications/{ours.texts.id}"
    page = pat.http.get(f"{path}/check").get_data(as_text=True)
    assert "ask support to enable it" in page
    assert f"{path}/start" not in page
    answer = pat.send(f"{path}/start", seen_at="/staff/account", runs="0")
    assert answer.status_code == 422
    assert rows.count(Batch) == 0


def test_a_batch_is_paused_resumed_and_canceled(pat: Staff, batch: Batch, rows: Rows) -> None:
    path = f"{HOME}/batches/{batch.id}"
    for action, state in (("pause", "paused"), ("resume", "running"), ("cancel", "canceled")):
        pat.send(f"{path}/{action}", seen_at="/staff/account")
        assert rows.one(Batch).state == state
    answer = pat.send(f"{path}/resume", seen_at="/staff/account")
    assert "past that already" in pat.http.get(answer.headers["Location"]).text
    assert rows.one(Batch).state == "canceled"


def test_progress_moves_by_itself_until_the_end(
    pat: Staff, ours: Department, batch: Batch, rows: Rows
) -> None:
    rows.add(message(ours, batch, state=MessageState.WAITING))
    path = f"{HOME}/batches/{batch.id}/progress"
    moving = pat.http.get(path).get_data(as_text=True)
    assert 'hx-trigger="every 2s"' in moving
    assert "Waiting to go out" in moving
    assert "<html" not in moving
    rows.change(update(Message).values(state=MessageState.ACCEPTED, status="delivered"))
    rows.change(update(Batch).values(state=BatchState.COMPLETE))
    ended = pat.http.get(path).get_data(as_text=True)
    assert "hx-trigger" not in ended
    assert "Delivered" in ended


def test_what_holds_a_batch_is_said_where_it_is_watched(
    pat: Staff, ours: Department, batch: Batch, rows: Rows
) -> None:
    rows.add(
        message(ours, batch, state=MessageState.WAITING),
        Breaker(
            key=batch.lane_key, sender_id=ours.number.id, code=99999, tripped_at=utcnow(),
            reason="Twilio refused the same for 5 people in a row (error 99999).",
        ),
    )  # fmt: skip
    path = f"{HOME}/batches/{batch.id}"
    shown = pat.http.get(f"{path}/progress").text
    assert "for 5 people in a row (error 99999)." in shown
    assert "last one goes out about" not in shown
    pat.send(f"{path}/try-one", seen_at="/staff/account")
    assert rows.one(Breaker).trial_at is not None


def test_each_message_says_what_became_of_it(
    pat: Staff, ours: Department, batch: Batch, rows: Rows
) -> None:
    rows.add(
        message(
            ours, batch, state=MessageState.ACCEPTED, status="undelivered", error_code=30003,
            sid="SM" + "1" * 32,
        ),
        message(
            ours, batch, position=1, state=MessageState.REFUSED, to="12",
            member={"toName": HOSTILE}, error_message="“12” is not a phone number.",
        ),
        message(ours, batch, position=2, state=MessageState.ACCEPTED, status="delivered"),
    )  # fmt: skip
    opened = next(one for one in rows.all(Message) if one.status == "delivered")
    rows.add(
        Link(code="aB3dE5fG7h", client_id=ours.client.id, message_id=opened.id, url="https://x.edu")
    )
    rows.add(
        *[
            Click(code="aB3dE5fG7h", batch_id=batch.id, is_preview=is_preview)
            for is_preview in (False, True)
        ]
    )
    page = pat.http.get(f"{HOME}/batches/{batch.id}").get_data(as_text=True)
    for said in ("Not delivered", "(30003)", "“12” is not a phone number.", "Delivered",
                 "Links opened 1 time by people, 1 by previews"):  # fmt: skip
        assert said in page
    assert "<script>alert" not in page
    only = pat.http.get(f"{HOME}/batches/{batch.id}?status=undelivered").get_data(as_text=True)
    assert only.count('data-label="Person"') == 1
    one = pat.http.get(f"{HOME}/messages/{opened.id}").get_data(as_text=True)
    assert "https://x.edu" in one
    assert "opened 1 time by people" in one


def test_what_never_reached_twilio_is_sent_again_once(
    pat: Staff, ours: Department, batch: Batch, rows: Rows
) -> None:
    rows.add(message(ours, batch, state=MessageState.FAILED))
    first = rows.one(Message)
    path = f"{HOME}/messages/{first.id}"
    assert "Send it again" in pat.http.get(path).get_data(as_text=True)
    pat.send(f"{path}/again", seen_at=path)
    second = next(one for one in rows.all(Message) if one.id != first.id)
    assert (second.state, second.body, second.to, second.batch_id) == (
        "waiting", first.body, first.to, None,
    )  # fmt: skip
    assert "It was sent again" in pat.http.get(path).get_data(as_text=True)
    answer = pat.send(f"{path}/again", seen_at="/staff/account")
    assert "sent again already" in pat.http.get(answer.headers["Location"]).text
    assert rows.count(Message) == 2


@pytest.fixture
def in_doubt(app: Flask, rows: Rows, ours: Department, batch: Batch) -> Message:
    """A message of which Twilio's log has two that it could be."""
    rows.add(message(ours, batch, state=MessageState.UNKNOWN, error_message="It has two."))
    found = rows.one(Message)
    with app.app_context(), unit_of_work() as session:
        known = [Candidate("SM" + digit * 32, "delivered", utcnow()) for digit in "12"]
        fates.keep_candidates(session, found.id, known)
    return found


def test_somebody_says_which_of_twilios_a_message_is(
    pat: Staff, rows: Rows, in_doubt: Message
) -> None:
    path = f"{HOME}/messages/{in_doubt.id}"
    page = pat.http.get(path).get_data(as_text=True)
    for said in ("somebody has to look", "It has two.", "SM" + "1" * 32, "SM" + "2" * 32):
        assert said in page
    pat.send(f"{path}/fate", seen_at=path, arrived="yes", sid="SM" + "2" * 32)
    found = rows.one(Message)
    assert (found.state, found.sid, found.status) == ("accepted", "SM" + "2" * 32, "delivered")
    assert "Did it arrive?" not in pat.http.get(path).get_data(as_text=True)


def test_somebody_says_that_it_did_not_arrive_and_sends_it_again(
    pat: Staff, rows: Rows, in_doubt: Message
) -> None:
    path = f"{HOME}/messages/{in_doubt.id}"
    pat.send(f"{path}/fate", seen_at=path, arrived="no")
    page = pat.http.get(path).get_data(as_text=True)
    assert "Somebody looked, and said that it did not arrive." in page
    pat.send(f"{path}/again", seen_at=path)
    assert rows.count(Message) == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [({}, "Say whether it arrived"), ({"arrived": "yes"}, "begins with SM or MM"),
     ({"arrived": "yes", "sid": "nonsense"}, "begins with SM or MM")],
    ids=["nothing", "no id", "no such id"],
)  # fmt: skip
def test_a_word_on_it_that_is_none_changes_nothing(
    pat: Staff, rows: Rows, in_doubt: Message, typed: dict[str, str], said: str
) -> None:
    path = f"{HOME}/messages/{in_doubt.id}"
    answer = pat.send(f"{path}/fate", seen_at=path, **typed)
    assert rows.one(Message).state is MessageState.UNKNOWN
    assert said in pat.http.get(answer.headers["Location"]).get_data(as_text=True)


@pytest.mark.parametrize(
    "columns",
    [{"state": MessageState.FAILED, "sid": "SM" + "1" * 32}, {"state": MessageState.UNKNOWN},
     {"state": MessageState.WAITING}],
    ids=["Twilio has it", "unknown", "waiting"],
)  # fmt: skip
def test_what_twilio_may_have_is_not_sent_again(
    pat: Staff, ours: Department, rows: Rows, columns: dict[str, Any]
) -> None:
    rows.add(message(ours, None, **columns))
    path = f"{HOME}/messages/{rows.one(Message).id}"
    assert "Send it again" not in pat.http.get(path).get_data(as_text=True)
    pat.send(f"{path}/again", seen_at="/staff/account")
    assert rows.count(Message) == 1
    assert rows.count(MessageReport) == 0


def test_only_what_was_never_sent_is_deleted(
    pat: Staff, ours: Department, batch: Batch, rows: Rows
) -> None:
    for one in (ours.texts, ours.calls):
        pat.send(f"{HOME}/communications/{one.id}/delete", seen_at="/staff/account")
    assert [one.name for one in rows.all(Communication)] == ["reminders"]


def test_a_long_batch_is_shown_with_few_queries(
    app: Flask, pat: Staff, ours: Department, batch: Batch, rows: Rows
) -> None:
    rows.add(*[message(ours, batch, position=n, state=MessageState.ACCEPTED) for n in range(60)])
    counted: list[str] = []
    with app.app_context():
        engine = db.engine
    event.listen(
        engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: counted.append(statement),
    )
    page = pat.http.get(f"{HOME}/batches/{batch.id}").get_data(as_text=True)
    assert page.count('data-label="Person"') == 25
    assert sum(not one.startswith(("BEGIN", "ROLLBACK")) for one in counted) <= 15, counted
    following = re.search(r"after=(\d+\.\d+)", page)
    assert following
    assert following[1] == "24.0"
    page = pat.http.get(f"{HOME}/batches/{batch.id}?after=24.0").get_data(as_text=True)
    assert page.count('data-label="Person"') == 25


def test_another_clients_things_do_not_exist(pat: Staff, rows: Rows, ours: Department) -> None:
    theirs = department(rows, "bursar", "77")
    for path in ("", "/edit", "/check"):
        url = f"{HOME}/communications/{theirs.texts.id}{path}"
        assert pat.http.get(url).status_code == 404
    answer = pat.send(
        f"{HOME}/communications/new/sms", name="x", campaign="x", template="reminder",
        sender=theirs.number.id,
    )  # fmt: skip
    assert answer.status_code == 422
    assert rows.count(Template) == 6
    assert rows.count(Communication) == 4
