"""What came while Dispatch could not be reached is found in Twilio's log, and taken in once."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import delete, update

from app.domain import wake
from app.extensions import redis_client
from app.inbound import texts
from app.inbound.afterwards import recovery, twilio_log
from app.inbound.afterwards.twilio_log import Account, Slice
from app.inbound.number import Number
from app.inbound.parsing import Arrival
from app.maintenance import retention
from app.models.client import Client
from app.models.delivery import Delivery, DeliveryState
from app.models.endpoint import Endpoint, EndpointKind
from app.models.house import Bookmark
from app.models.incoming import Incoming, OptOut, Outcome
from app.models.media import Media
from app.models.message import Direction, JournaledReport, Message, MessageState
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList
from app.models.template import Template, TemplateKind, TemplateVersion
from tests.support.rows import Rows
from tests.support.sandbox import PERSON, Running, eventually

NUMBER = "+13195550100"
LATER = timedelta(minutes=3)


@pytest.fixture
def number(
    flask_command: FlaskCliRunner, registrar: Client, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> Sender:
    """The demo number, with a suppression list; nothing listens where it points."""
    monkeypatch.setattr(recovery, "PAUSE", 0)
    listed = SuppressionList(client_id=registrar.id, name="opted-out")
    rows.add(listed)
    result = flask_command.invoke(args=["numbers", "import", "registrar", NUMBER])
    assert result.exit_code == 0, result.output
    rows.change(update(Sender).values(suppression_list_id=listed.id))
    return rows.one(Sender)


def forwards(rows: Rows, number: Sender) -> None:
    endpoint = Endpoint(
        client_id=number.client_id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    rows.add(
        Route(
            client_id=number.client_id, sender_id=number.id, destination=Destination.SMS,
            handler=Handler.FORWARD_TO_WEBHOOK, endpoint_id=endpoint.id, updated_by="test",
        )
    )  # fmt: skip


def replies(rows: Rows, number: Sender) -> None:
    template = Template(client_id=number.client_id, name="away", kind=TemplateKind.REPLY)
    template.versions.append(TemplateVersion(number=1, body="We are away.", created_by="test"))
    rows.add(template)
    rows.add(
        Route(
            client_id=number.client_id, sender_id=number.id, destination=Destination.SMS,
            handler=Handler.AUTO_REPLY, template_id=template.id, updated_by="test",
        )
    )  # fmt: skip


def recover(app: Flask, after: timedelta = LATER, since: datetime | None = None) -> dict[str, int]:
    with time_machine.travel(datetime.now(UTC) + after), app.app_context():
        return dict(recovery.run(since))


def test_what_came_meanwhile_is_in_the_log_and_forwarded_once(
    app: Flask, number: Sender, rows: Rows, box: Running
) -> None:
    forwards(rows, number)
    sids = [box.text(f"Text {index}") for index in range(5)]
    assert rows.count(Incoming) == 0
    assert recover(app) == {"texts": 5}
    assert [one.sid for one in rows.all(Incoming)] == sids
    assert all(one.recovered and one.outcome is Outcome.FORWARDED for one in rows.all(Incoming))
    assert [one.body for one in rows.all(Incoming)] == [f"Text {index}" for index in range(5)]
    assert rows.count(Delivery) == 5
    assert recover(app) == {}
    assert recover(app, since=datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=2400)) == {}
    assert (rows.count(Incoming), rows.count(Delivery)) == (5, 5)


def test_what_retention_has_removed_does_not_come_back(
    app: Flask, number: Sender, rows: Rows, box: Running
) -> None:
    forwards(rows, number)
    rows.change(update(Client).values(retention_days=1))
    box.text("Hello")
    recover(app)
    rows.change(update(Delivery).values(state=DeliveryState.DELIVERED))
    long_ago = datetime.now(UTC) - timedelta(days=1)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=8)), app.app_context():
        retention.run()
    assert rows.count(Incoming) == 0
    assert recover(app, timedelta(days=8), since=long_ago) == {}
    assert (rows.count(Incoming), rows.count(Delivery)) == (0, 0)


def test_a_text_that_reached_us_is_not_taken_in_again(
    app: Flask, number: Sender, rows: Rows, box: Running, live: None
) -> None:
    forwards(rows, number)
    box.text("Hello")
    eventually(lambda: rows.count(Incoming) == 1)
    assert recover(app) == {}
    assert rows.count(Delivery) == 1


@pytest.mark.parametrize(
    ("after", "outcome", "messages"),
    [(timedelta(seconds=50), Outcome.REPLIED, 1), (timedelta(seconds=70), Outcome.TOO_LATE, 0)],
    ids=["within a minute", "later"],
)
def test_a_reply_more_than_a_minute_late_is_not_sent(
    app: Flask, number: Sender, rows: Rows, box: Running,
    after: timedelta, outcome: Outcome, messages: int,
) -> None:  # fmt: skip
    replies(rows, number)
    box.text("Anybody there?")
    recover(app, after)
    assert rows.one(Incoming).outcome is outcome
    assert rows.count(Message) == messages
    for reply in rows.all(Message):
        assert reply.direction is Direction.REPLY
        assert reply.state is MessageState.WAITING
        assert (reply.to, reply.body, reply.lane_key) == (
            PERSON, "We are away.", f"sms:{number.id}",
        )  # fmt: skip
        assert rows.one(Incoming).reply_id == reply.id


def test_a_text_that_was_answered_before_a_restore_is_not_answered_again(
    app: Flask, number: Sender, rows: Rows, box: Running, live: None
) -> None:
    """The database forgot, seconds later, what came in and how it was answered; Twilio did not."""
    replies(rows, number)
    sid = box.text("Anybody there?")
    eventually(lambda: rows.count(JournaledReport) > 0)  # it has sent what the TwiML says
    for model in (Incoming, JournaledReport, Message):
        rows.change(delete(model))
    assert recover(app, timedelta(seconds=50)) == {"texts": 1}
    assert (rows.one(Incoming).sid, rows.one(Incoming).outcome) == (sid, Outcome.REPLIED)
    assert rows.count(Message) == 0


def test_an_opt_out_that_we_missed_counts_from_when_it_was_sent(
    app: Flask, number: Sender, rows: Rows, box: Running
) -> None:
    box.text("STOP")
    recover(app)
    incoming, entry = rows.one(Incoming), rows.one(SuppressionEntry)
    assert incoming.opt_out is OptOut.STOP
    assert (entry.phone, entry.since, entry.lifted_at) == (PERSON, incoming.received_at, None)


def test_pictures_come_along(app: Flask, number: Sender, rows: Rows, box: Running) -> None:
    png = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(50)).decode()
    box.text("Look", media=[{"contentType": "image/png", "data": png}])
    recover(app)
    (media,) = rows.one(Incoming).media
    assert media["contentType"] == "image/png"
    assert rows.one(Media).code == media["code"]


def test_a_call_that_we_missed_is_logged_for_staff(
    app: Flask, number: Sender, rows: Rows, box: Running
) -> None:
    call = box.post("calls", {"from": PERSON, "to": NUMBER})
    eventually(lambda: box.get(f"calls/{call['sid']}")["status"] not in ("ringing", "in-progress"))
    assert recover(app) == {"calls": 1}
    missed = rows.one(Incoming)
    assert (missed.sid, missed.destination, missed.recovered) == (call["sid"], "voice", True)
    assert missed.flagged
    assert missed.ended_at is not None
    assert recover(app) == {}


def test_what_the_client_handles_itself_is_left_to_it(
    app: Flask, number: Sender, rows: Rows, box: Running
) -> None:
    rows.add(
        Route(
            client_id=number.client_id, sender_id=number.id, destination=Destination.SMS,
            handler=Handler.HANDLE_YOURSELF, url="https://own.example.edu/", updated_by="test",
        )
    )  # fmt: skip
    box.text("Hello")
    assert recover(app) == {}


def test_a_busy_hour_is_read_in_shorter_slices(
    app: Flask, number: Sender, rows: Rows, box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwards(rows, number)
    for index in range(4):
        box.text(str(index))
    monkeypatch.setattr(recovery, "MOST", 3)
    monkeypatch.setattr(recovery, "SHORTEST", timedelta(minutes=20))
    recover(app)
    assert rows.count(Incoming) == 4


def test_what_cannot_be_taken_in_keeps_nothing_else_back(
    app: Flask, number: Sender, rows: Rows, box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwards(rows, number)
    for body in ("before", "broken", "after"):
        box.text(body)
    take_in = texts.take_in

    def broken(arrival: Arrival, found: Number) -> str:
        if arrival.body == "broken":
            raise LookupError(arrival.body)
        return take_in(arrival, found)

    monkeypatch.setattr(texts, "take_in", broken)
    assert recover(app) == {"texts": 2}
    monkeypatch.undo()
    assert recover(app) == {"texts": 1}


def test_a_look_that_runs_out_of_time_goes_on_and_not_back(
    app: Flask, number: Sender, rows: Rows, box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "SLICE", timedelta(minutes=2))
    monkeypatch.setattr(recovery, "LONGEST", timedelta(minutes=2))
    begin = datetime.now(UTC)
    marks = []
    with time_machine.travel(begin + timedelta(hours=1)), app.app_context():
        recovery.run(deadline=0.0)
        assert rows.all(Bookmark) == []  # an account is not even begun when there is no time
        for _ in range(3):
            monkeypatch.setattr(recovery, "_late", lambda deadline: False)
            ((account, *_), *_) = recovery._accounts(None)
            monkeypatch.setattr(recovery, "_late", lambda deadline: True)
            recovery._look(account, None, keep_bookmark=True)
            marks.append(rows.one(Bookmark).at)
    assert marks == sorted(set(marks))


def test_a_tick_hands_over_to_a_new_job_when_its_time_is_up(
    app: Flask, number: Sender, rows: Rows, box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "DRAIN_SECONDS", -1.0)
    with app.app_context():
        recovery.tick()
        jobs = wake.queue("house", redis_client()).jobs
    assert [job.func_name for job in jobs] == ["app.inbound.afterwards.recovery.tick"]


def test_looking_far_back_asks_little(
    app: Flask, number: Sender, rows: Rows, box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    read = twilio_log.read

    def counted(account: Account, start: datetime, until: datetime, limit: int) -> Slice:
        asked.append((start, until))
        return read(account, start, until, limit)

    monkeypatch.setattr(twilio_log, "read", counted)
    recover(app, since=datetime(2011, 1, 1, tzinfo=UTC))
    assert 45 <= len(asked) <= 60  # days that the log is kept, each a slice in the end
    assert asked[0][0] >= datetime.now(UTC) - timedelta(days=45)


def test_each_look_begins_where_the_last_one_ended(
    app: Flask, number: Sender, rows: Rows, box: Running
) -> None:
    recover(app, timedelta(hours=1))
    (mark,) = rows.all(Bookmark)
    assert mark.name.startswith("recovery:AC")
    recover(app, timedelta(hours=2))
    assert timedelta(minutes=59) < rows.one(Bookmark).at - mark.at < timedelta(minutes=61)


def test_the_command_looks_farther_back(
    flask_command: FlaskCliRunner, number: Sender, rows: Rows, box: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    forwards(rows, number)
    monkeypatch.setattr(recovery, "SETTLING", timedelta(seconds=-2))
    box.text("Hello")

    def run(*more: str) -> Any:
        return flask_command.invoke(args=["recover", *more])

    since = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"
    assert "Took in 1 texts and 0 calls." in run("--since", since).output
    assert "Took in 0 texts" in run("--since", since).output
    assert "is no time" in run("--since", "yesterday").output


@pytest.mark.parametrize("few", [20, 0], ids=["number by number", "all together"])
def test_texts_to_any_number_of_the_account_are_found(
    flask_command: FlaskCliRunner, app: Flask, number: Sender, rows: Rows, box: Running,
    monkeypatch: pytest.MonkeyPatch, few: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(twilio_log, "A_FEW", few)
    flask_command.invoke(args=["numbers", "import", "registrar", "+13195550101"])
    for to in (NUMBER, "+13195550101", NUMBER):
        box.text("Hello", to)
    assert recover(app) == {"texts": 3}
    assert sorted(one.to for one in rows.all(Incoming)) == [NUMBER, NUMBER, "+13195550101"]
