"""Limits: nobody sends more in an hour or a day than support lets them (DESIGN 4.7, Limits)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import select, update
from time_machine import TimeMachineFixture

from app.domain.sending import communications
from app.extensions import db, unit_of_work
from app.maintenance import usage
from app.models.batch import Batch
from app.models.client import DEFAULT_LIMITS, Client
from app.models.communication import Communication
from app.models.endpoint import Endpoint
from app.models.house import IdempotencyKey, Usage
from app.models.incoming import Incoming, Outcome
from app.models.message import Lane, Message, MessageState
from app.models.route import Destination, Handler
from app.models.sender import Sender
from app.models.spending import Spending
from app.outbound import batches
from app.outbound.send import agenda, claims
from app.outbound.send.claims import LaneView
from tests.support import house as furniture
from tests.support import inbound
from tests.support.departments import Caller, Department, department
from tests.support.rows import Rows
from tests.support.twilio import Twilio

NOON = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
TWIML = "<Response><Say>Hello</Say></Response>"


@pytest.fixture
def clock(time_machine: TimeMachineFixture) -> Callable[..., None]:
    """Put the time at noon; called, it goes on by so much."""
    now = [NOON]
    time_machine.move_to(NOON, tick=False)

    def go_on(**delta: float) -> None:
        now[0] += timedelta(**delta)
        time_machine.move_to(now[0], tick=False)

    return go_on


@pytest.fixture
def registrar(rows: Rows, clock: Callable[..., None]) -> Department:
    return department(rows, "registrar", "11")


@pytest.fixture
def api(client: FlaskClient, registrar: Department) -> Caller:
    return Caller.by_header(client, registrar)


def limit(rows: Rows, **limits: int | None) -> None:
    rows.change(update(Client).values(**{**dict.fromkeys(DEFAULT_LIMITS), **limits}))


def text(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"to": f"+1319555{1000 + number}", "from": "+13195550111", "body": "Hello", **more}


class TestSingleMessages:
    @pytest.mark.parametrize(
        ("limits", "more", "words", "passes"),
        [
            ({"limit_segments_hour": 3}, {}, "3 segments of texts may go out within an hour",
             {"minutes": 61}),
            ({"limit_segments_day": 3}, {}, "3 segments of texts may go out within a day",
             {"hours": 24, "minutes": 1}),
            ({"limit_minutes_hour": 3}, {"body": "", "twiml": TWIML},
             "3 minutes of calls may go out within an hour", {"minutes": 61}),
            ({"limit_minutes_day": 3}, {"body": "", "twiml": TWIML},
             "3 minutes of calls may go out within a day", {"hours": 24, "minutes": 1}),
            ({"limit_phone_hour": 3}, {"to": "+13195550150"}, "within an hour", {"minutes": 61}),
        ],
        ids=["segments an hour", "segments a day", "minutes an hour", "minutes a day", "a phone"],
    )  # fmt: skip
    def test_one_too_many_is_429_until_there_is_room(
        self, api: Caller, rows: Rows, clock: Callable[..., None],
        limits: dict[str, int], more: dict[str, Any], words: str, passes: dict[str, int],
    ) -> None:  # fmt: skip
        limit(rows, **limits)
        for number in range(3):
            assert api.post("messages", text(number, **more)).status_code == 201
            clock(seconds=10)
        refused = api.post("messages", text(3, **more), Idempotency_Key="k")
        assert refused.status_code == 429
        assert refused.mimetype == "application/problem+json"
        assert words in refused.json["detail"]
        assert (rows.count(Message), rows.count(IdempotencyKey)) == (3, 0)
        seconds = int(refused.headers["Retry-After"])
        assert 0 < seconds <= timedelta(**passes).total_seconds()
        clock(seconds=seconds - 61)
        assert api.post("messages", text(4, **more)).status_code == 429
        clock(seconds=61)
        assert api.post("messages", text(5, **more), Idempotency_Key="k").status_code == 201

    def test_without_a_limit_everything_goes(self, api: Caller, rows: Rows) -> None:
        limit(rows)
        assert {api.post("messages", text()).status_code for _ in range(40)} == {201}

    def test_the_defaults(self, api: Caller, rows: Rows, registrar: Department) -> None:
        assert {name: getattr(rows.one(Client), name) for name in DEFAULT_LIMITS} == DEFAULT_LIMITS
        assert api.get("client").json["limits"] == {
            "segmentsPerHour": 10000, "segmentsPerDay": 50000, "callMinutesPerHour": 600,
            "callMinutesPerDay": 3000, "messagesPerPhonePerHour": 30,
        }  # fmt: skip
        answers = [api.post("messages", text()).status_code for _ in range(31)]
        assert answers == [201] * 30 + [429]

    def test_segments_count_and_not_texts(self, api: Caller, rows: Rows) -> None:
        limit(rows, limit_segments_hour=5)
        assert api.post("messages", text(1, body="x" * 161)).status_code == 201  # 2
        assert api.post("messages", text(2, body="x" * 400)).status_code == 201  # 3
        assert api.post("messages", text(3)).status_code == 429

    def test_one_that_is_larger_than_the_limit_goes_alone(self, api: Caller, rows: Rows) -> None:
        limit(rows, limit_segments_hour=2)
        assert api.post("messages", text(1, body="x" * 400)).status_code == 201
        assert api.post("messages", text(2)).status_code == 429

    def test_what_goes_nowhere_does_not_count(self, api: Caller, rows: Rows) -> None:
        limit(rows, limit_segments_hour=1)
        assert api.post("messages", text(to="911")).status_code == 422
        assert api.post("messages", text()).status_code == 201

    def test_texts_and_calls_have_limits_of_their_own(self, api: Caller, rows: Rows) -> None:
        limit(rows, limit_segments_hour=1, limit_minutes_hour=1)
        assert api.post("messages", text()).status_code == 201
        assert api.post("messages", text(body="", twiml=TWIML)).status_code == 201
        assert api.post("messages", text()).status_code == 429
        assert api.post("messages", text(body="", twiml=TWIML)).status_code == 429

    def test_a_repeat_of_what_was_taken_is_no_second_message(self, api: Caller, rows: Rows) -> None:
        limit(rows, limit_segments_hour=1)
        first = api.post("messages", text(), Idempotency_Key="k")
        again = api.post("messages", text(), Idempotency_Key="k")
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json["id"] == again.json["id"]

    def test_at_the_same_moment_no_more_go_than_may(
        self, app: Flask, registrar: Department, rows: Rows
    ) -> None:
        limit(rows, limit_segments_hour=10)
        answers: list[int] = []
        barrier = threading.Barrier(8)

        def send(first: int) -> None:
            api = Caller.by_header(app.test_client(), registrar)
            barrier.wait()
            answers.extend(api.post("messages", text(first + n)).status_code for n in range(4))

        threads = [threading.Thread(target=send, args=(100 * n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (answers.count(201), answers.count(429)) == (10, 22)
        assert rows.count(Message) == 10


class Lines:
    """The lane of a house, claimed from as time goes on."""

    def __init__(self, app: Flask, rows: Rows, house: furniture.House) -> None:
        self.app, self.rows, self.key = app, rows, f"sms:{house.sender.id}"

    def claim(self) -> list[str]:
        """Claim what is due now; return the phones."""
        now = datetime.now(UTC)
        with self.app.app_context():
            ready = agenda.runnable_batches(db.session(), now)
            view = LaneView(self.key, 1000, 0, batches=[batch for batch, _ in ready])
            with unit_of_work() as session:
                session.execute(
                    update(Lane).where(Lane.key == self.key)
                    .values(lease_token="T" * 26, next_slot_us=0, rate=1000)
                )  # fmt: skip
                us = int(now.timestamp() * 1e6)
                return [one.to for one in claims.claim(session, [(view, 99)], us, "T" * 26)]

    def ready(self) -> int:
        with self.app.app_context():
            return len(agenda.runnable_batches(db.session(), datetime.now(UTC)))


@pytest.fixture
def house(rows: Rows, clock: Callable[..., None]) -> furniture.House:
    return furniture.furnish(rows, rate=1000)


@pytest.fixture
def lane(app: Flask, rows: Rows, house: furniture.House) -> Lines:
    return Lines(app, rows, house)


def run(app: Flask, made: Communication) -> str:
    with app.app_context(), unit_of_work() as session:
        batch = communications.start_batch(
            session, session.get_one(Communication, made.id), actor="pat"
        )
        batch_id = batch.id
    with app.app_context():
        while batches.turn():
            continue
    return batch_id


class TestBatches:
    def test_what_is_over_the_limit_waits_and_then_goes_on(
        self, app: Flask, rows: Rows, house: furniture.House, lane: Lines,
        clock: Callable[..., None],
    ) -> None:  # fmt: skip
        made = furniture.communication(rows, house, "Hello")
        furniture.join(rows, made, *({"toPhone": f"+1319555{1000 + n}"} for n in range(12)))
        limit(rows, limit_segments_hour=5)
        run(app, made)
        assert len(lane.claim()) == 5
        assert lane.claim() == []
        assert lane.ready() == 0, "a batch that has to wait is not looked at again and again"
        assert rows.one(Batch).state == "running"
        held = rows.one(Client).texts_held_until
        assert held is not None
        assert NOON + timedelta(minutes=59) < held <= NOON + timedelta(minutes=61)
        clock(minutes=61)
        assert len(lane.claim()) == 5
        assert lane.claim() == []
        clock(minutes=61)
        assert len(lane.claim()) == 2
        assert rows.all(select(Message).where(Message.state == MessageState.WAITING)) == []

    def test_a_try_again_is_no_second_message(
        self, app: Flask, rows: Rows, house: furniture.House, lane: Lines
    ) -> None:
        made = furniture.communication(rows, house, "Hello")
        furniture.join(rows, made, {"toPhone": "+13195551000"})
        limit(rows, limit_segments_hour=1)
        run(app, made)
        assert len(lane.claim()) == 1
        rows.change(update(Message).values(state=MessageState.WAITING))  # as after a 429
        assert len(lane.claim()) == 1
        assert sum(row.segments for row in rows.all(Spending) if row.seconds == 60) == 1

    def test_a_phone_that_has_had_enough_waits_alone(
        self, app: Flask, rows: Rows, house: furniture.House, lane: Lines,
        clock: Callable[..., None],
    ) -> None:  # fmt: skip
        limit(rows, limit_phone_hour=2)
        for words in ("One", "Two", "Three"):
            made = furniture.communication(rows, house, words)
            furniture.join(rows, made, {"toPhone": "+13195551000"}, {"toPhone": "+13195551001"})
            if words == "Three":
                furniture.join(rows, made, {"toPhone": "+13195551002"})
            run(app, made)
            sent = lane.claim()
            rows.change(
                update(Message).where(Message.state == MessageState.CLAIMED)
                .values(state=MessageState.ACCEPTED, accepted_at=datetime.now(UTC))
            )  # fmt: skip
            clock(minutes=1)
        assert sent == ["+13195551002"]
        assert lane.ready() == 0
        clock(minutes=60)
        assert sorted(lane.claim()) == ["+13195551000", "+13195551001"]

    def test_another_client_does_not_wait(
        self, app: Flask, rows: Rows, house: furniture.House, lane: Lines
    ) -> None:
        other = furniture.furnish(
            rows, address="+13195550102", rate=1000, account_sid="AC" + "2" * 32
        )
        for one in (house, other):
            made = furniture.communication(rows, one, "Hello")
            furniture.join(rows, made, {"toPhone": "+13195551000"}, {"toPhone": "+13195551001"})
            run(app, made)
        rows.change(
            update(Client).where(Client.id == house.client.id).values(limit_segments_hour=1)
        )
        assert len(lane.claim()) == 1
        assert len(Lines(app, rows, other).claim()) == 2

    def test_support_raises_the_limit_and_it_goes_on_at_once(
        self, app: Flask, rows: Rows, house: furniture.House, lane: Lines,
        flask_command: FlaskCliRunner, tmp_path: Any,
    ) -> None:  # fmt: skip
        made = furniture.communication(rows, house, "Hello")
        furniture.join(rows, made, *({"toPhone": f"+1319555{1000 + n}"} for n in range(4)))
        limit(rows, limit_segments_hour=1)
        run(app, made)
        assert (len(lane.claim()), len(lane.claim()), lane.ready()) == (1, 0, 0)
        apply(flask_command, tmp_path, house.client.name, limits={"segments_per_hour": None})
        assert len(lane.claim()) == 3

    def test_no_limit_is_none_for_a_new_client_too(
        self, rows: Rows, flask_command: FlaskCliRunner, tmp_path: Any
    ) -> None:
        limits = {"segments_per_hour": None, "segments_per_day": 7}
        apply(flask_command, tmp_path, "new", owner_email="o@example.edu", limits=limits)
        made = rows.one(select(Client).where(Client.name == "new"))
        assert (made.limit_segments_hour, made.limit_segments_day) == (None, 7)
        assert made.limit_phone_hour == 30

    @pytest.mark.parametrize("change", [{"trial": True}, {"allow_list": []}])
    def test_a_rule_that_came_after_the_start_holds(
        self, app: Flask, rows: Rows, house: furniture.House, lane: Lines, change: dict[str, Any]
    ) -> None:
        made = furniture.communication(rows, house, "Hello")
        furniture.join(rows, made, {"toPhone": "+442079460018"}, {"toPhone": "+13195551000"})
        rows.change(update(Client).values(international=True))
        run(app, made)
        rows.change(update(Client).values(international=False, **change))
        assert lane.claim() == ([] if "trial" in change else ["+13195551000"])
        refused = rows.all(select(Message).where(Message.state == MessageState.REFUSED))
        assert {one.reason for one in refused} == {"not_allowed"}
        assert "+442079460018" in {one.to for one in refused}


def apply(command: FlaskCliRunner, folder: Any, name: str, **settings: Any) -> str:
    path = folder / "clients.yaml"
    path.write_text(yaml.safe_dump({"clients": [{"name": name, **settings}]}))
    done = command.invoke(args=["apply", str(path)])
    assert done.exit_code == 0, done.output
    return done.output


class TestAnswers:
    @pytest.fixture
    def office(self, rows: Rows, clock: Callable[..., None]) -> inbound.Department:
        return inbound.Department(rows)

    def test_replies_count_and_go_all_the_same(
        self, office: inbound.Department, rows: Rows, twilio: Twilio
    ) -> None:
        office.auto_reply()
        limit(rows, limit_segments_hour=1)
        for number in range(3):
            assert "<Message" in twilio.sms(From=f"+1319555{1000 + number}").text
        assert sum(row.segments for row in rows.all(Spending) if row.seconds == 60) == 3

    def test_a_phone_that_has_had_enough_gets_no_reply(
        self, office: inbound.Department, rows: Rows, twilio: Twilio, clock: Callable[..., None]
    ) -> None:
        office.auto_reply()
        limit(rows, limit_phone_hour=2)
        assert ["<Message" in twilio.sms().text for _ in range(3)] == [True, True, False]
        (last,) = rows.all(select(Incoming).where(Incoming.outcome == Outcome.NOT_REPLIED))
        assert "2 messages within an hour" in (last.error or "")
        clock(minutes=61)
        assert "<Message" in twilio.sms().text

    def _forward(self, office: inbound.Department) -> Sender:
        number = office.number()
        options = {"to": "+13195550175", "timeout": 30, "no_answer_say": "Nobody is there."}
        office.route(number, Handler.CALL_FORWARD, Destination.VOICE, options=options)
        return number

    def test_over_a_limit_of_calls_a_caller_hears_that_nobody_is_there(
        self, office: inbound.Department, rows: Rows, twilio: Twilio, clock: Callable[..., None]
    ) -> None:
        self._forward(office)
        limit(rows, limit_minutes_hour=2)
        answers = [twilio.call(From=f"+1319555{1000 + n}").text for n in range(3)]
        assert ["<Dial" in one for one in answers] == [True, True, False]
        assert "Nobody is there." in answers[2]
        clock(minutes=61)
        assert "<Dial" in twilio.call().text

    def test_what_was_spoken_counts(
        self, office: inbound.Department, rows: Rows, twilio: Twilio
    ) -> None:
        self._forward(office)
        limit(rows, limit_minutes_hour=5)
        parameters = {"CallSid": "CA" + "a" * 32}
        assert "<Dial" in twilio.call(**parameters).text
        call = rows.one(Incoming)
        ended = {
            "CallSid": call.sid, "AccountSid": office.credential.account_sid, "From": call.from_,
            "To": call.to, "DialCallStatus": "completed", "DialCallDuration": "241",
        }  # fmt: skip
        for _ in range(2):  # Twilio may say it twice
            assert twilio.post(f"/inbound/voice/dialed/{call.id}", ended).status_code == 200
        assert sum(row.call_minutes for row in rows.all(Spending) if row.seconds == 60) == 5
        assert "Nobody is there." in twilio.call(From="+13195551001").text

    @pytest.mark.parametrize(
        "changes",
        [
            {"ForwardedFrom": "+13195550175"},
            {"ForwardedFrom": "3195550175"},
            {"ForwardedFrom": "13195550175"},
            {"From": "+13195550175"},
            {"From": "+13195550101"},
            {"ForwardedFrom": "+13195550101"},
            {"ForwardedFrom": "+13195550100"},
        ],
    )
    def test_a_call_that_comes_back_is_not_forwarded_again(
        self, office: inbound.Department, rows: Rows, twilio: Twilio, changes: dict[str, str]
    ) -> None:
        self._forward(office)
        office.number("+13195550101")
        answer = twilio.call(**changes)
        assert "<Dial" not in answer.text
        assert "Nobody is there." in answer.text
        call = rows.one(Incoming)
        assert (call.outcome, call.flagged) == (Outcome.LOOP_STOPPED, True)
        assert rows.one(Endpoint).url == "registrar@example.edu" or rows.count(Endpoint) == 1

    def test_whoever_is_forwarded_by_a_colleague_is_let_through(
        self, office: inbound.Department, rows: Rows, twilio: Twilio
    ) -> None:
        self._forward(office)
        assert "<Dial" in twilio.call(ForwardedFrom="+13195550176").text

    def test_thirty_calls_in_a_circle_end(
        self, office: inbound.Department, rows: Rows, twilio: Twilio, clock: Callable[..., None]
    ) -> None:
        self._forward(office)
        answers = []
        for _ in range(30):
            answers.append("<Dial" in twilio.call().text)
            clock(seconds=4)
        assert answers == [True] * 10 + [False] * 20


class TestUsage:
    @pytest.mark.parametrize(("used", "halts", "halted"), [
        (99, True, False), (100, True, True), (100, False, False),
    ])  # fmt: skip
    def test_a_threshold_may_halt(
        self, app: Flask, rows: Rows, registrar: Department, api: Caller,
        used: int, halts: bool, halted: bool,
    ) -> None:  # fmt: skip
        rows.change(update(Client).values(alert_segments=100, alert_halts=halts))
        rows.add(Usage(client_id=registrar.client.id, month="2026-11", segments_out=used))
        with app.app_context():
            usage.alert()
        assert (rows.one(Client).halted_at is not None) is halted
        assert api.post("messages", text()).status_code == (403 if halted else 201)
        rows.change(update(Client).values(halted_at=None))  # support lets it go on
        with app.app_context():
            usage.alert()
        assert rows.one(Client).halted_at is None


class TestSettings:
    def test_apply_sets_what_it_gives(
        self, rows: Rows, flask_command: FlaskCliRunner, tmp_path: Any
    ) -> None:
        apply(flask_command, tmp_path, "registrar", limits={"segments_per_hour": 7})
        made = rows.one(Client)
        assert (made.limit_segments_hour, made.limit_segments_day) == (7, 50_000)
        apply(
            flask_command, tmp_path, "registrar",
            limits={"call_minutes_per_day": None}, usage_alert={"halt": True},
        )  # fmt: skip
        made = rows.one(Client)
        assert (made.limit_segments_hour, made.limit_minutes_day) == (7, None)
        assert made.alert_halts

    @pytest.mark.parametrize("wrong", [0, -1, 10**10, 1.5, "many", True])
    def test_a_limit_is_a_whole_number(
        self, rows: Rows, flask_command: FlaskCliRunner, tmp_path: Any, wrong: object
    ) -> None:
        path = tmp_path / "clients.yaml"
        data = {"clients": [{"name": "registrar", "limits": {"segments_per_day": wrong}}]}
        path.write_text(yaml.safe_dump(data))
        done = flask_command.invoke(args=["apply", str(path)])
        assert done.exit_code != 0
        assert "segments_per_day" in done.output
        assert rows.count(Client) == 0
