"""Opting out and in, as Twilio's opt-out documents and the requirements have it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from flask import Flask
from sqlalchemy import select, update
from time_machine import TimeMachineFixture

from app.domain.audience import in_force, suppression
from app.domain.keywords import TWILIO_WORDS
from app.extensions import db, unit_of_work
from app.inbound import lookup, texts
from app.inbound.parsing import Arrival
from app.models.endpoint import Endpoint, EndpointKind
from app.models.incoming import Incoming, OptOut, Outcome
from app.models.message import Message
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderType
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import TemplateKind
from tests.support.inbound import AWAY, NUMBER, PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, Twilio, sid

STOPS = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"]
STARTS = ["START", "YES", "UNSTOP"]
HELPS = ["HELP", "INFO"]
START_OF_TEST = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def reply_of(answer: object) -> str | None:
    return ElementTree.fromstring(answer.text).findtext("Message/Body")  # type: ignore[attr-defined]


@pytest.fixture
def number(rows: Rows) -> Sender:
    department = Department(rows)
    return department.auto_reply(suppression_list_id=department.suppression_list().id)


def is_listed(app: Flask, number: Sender, phone: str = PHONE) -> bool:
    with app.app_context():
        listed = number.suppression_list_id
        assert listed is not None
        return in_force.why_suppressed(db.session(), listed, phone, number) is not None


@pytest.mark.parametrize("written", [*STOPS, "stop", " Stop\n", "\tsToP  "])
def test_stop_suppresses_and_leaves_the_answer_to_twilio(
    written: str, number: Sender, rows: Rows, twilio: Twilio, app: Flask
) -> None:
    assert reply_of(twilio.sms(Body=written)) is None
    entry = rows.one(SuppressionEntry)
    assert (entry.phone, entry.scope, entry.source) == (
        PHONE,
        number.id,
        SuppressionSource.KEYWORD,
    )
    text = rows.one(Incoming)
    assert (text.opt_out, text.outcome, text.flagged) == (OptOut.STOP, Outcome.KEYWORD, False)
    assert is_listed(app, number)
    assert not is_listed(app, number, "+13195550151")


@pytest.mark.parametrize("written", [*STARTS, "yes", " Start "])
def test_start_lifts(written: str, number: Sender, rows: Rows, twilio: Twilio, app: Flask) -> None:
    twilio.sms(Body="STOP")
    assert reply_of(twilio.sms(Body=written)) is None
    assert not is_listed(app, number)
    assert rows.one(SuppressionEntry).lifted_at is not None
    assert reply_of(twilio.sms(Body="hello")) == AWAY


@pytest.mark.parametrize("written", HELPS)
def test_help_is_recorded(written: str, number: Sender, rows: Rows, twilio: Twilio) -> None:
    assert reply_of(twilio.sms(Body=written)) is None
    assert rows.one(Incoming).opt_out is OptOut.HELP
    assert rows.count(SuppressionEntry) == 0


def test_a_yes_that_lifts_nothing_is_an_ordinary_message(
    number: Sender, rows: Rows, twilio: Twilio
) -> None:
    assert reply_of(twilio.sms(Body="Yes")) == AWAY
    text = rows.one(Incoming)
    assert (text.opt_out, text.outcome) == (None, Outcome.REPLIED)


def test_such_a_yes_may_be_a_keyword_of_the_number(rows: Rows, twilio: Twilio) -> None:
    department = Department(rows)
    listed = department.suppression_list()
    number = department.number(suppression_list_id=listed.id)
    route = department.route(number, Handler.AUTO_REPLY, template_id=department.template().id)
    department.keyword(route, "YES", department.template("See you there.", "yes"))
    assert reply_of(twilio.sms(Body="yes")) == "See you there."
    twilio.sms(Body="STOP")
    assert reply_of(twilio.sms(Body="yes")) is None


def test_a_start_that_lifts_nothing_is_still_a_keyword(
    number: Sender, rows: Rows, twilio: Twilio
) -> None:
    assert reply_of(twilio.sms(Body="START")) is None
    assert rows.one(Incoming).opt_out is OptOut.START


def test_keywords_come_before_a_numbers_own_rules(rows: Rows, twilio: Twilio) -> None:
    department = Department(rows)
    number = department.number()
    route = department.route(number, Handler.AUTO_REPLY, template_id=department.template().id)
    department.keyword(route, "INFO", department.template("We are open.", "info"))
    assert reply_of(twilio.sms(Body="info")) is None


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [("STOP", "aufhören", True), ("START", "anfangen", False), ("HELP", "STOP", False)],
)
def test_twilios_word_on_it_wins(
    kind: str,
    body: str,
    expected: bool,
    number: Sender,
    rows: Rows,
    twilio: Twilio,
    app: Flask,
) -> None:
    """Advanced Opt-Out has words of its own; OptOutType says what they were taken for."""
    assert reply_of(twilio.sms(Body=body, OptOutType=kind)) is None
    assert rows.one(Incoming).opt_out is OptOut(kind)
    assert is_listed(app, number) is expected


@pytest.mark.parametrize(
    "source", [SuppressionSource.MANUAL, SuppressionSource.IMPORT], ids=lambda source: source.value
)
def test_start_never_lifts_what_staff_entered(
    source: SuppressionSource, number: Sender, rows: Rows, twilio: Twilio, app: Flask
) -> None:
    rows.add(
        SuppressionEntry(
            list_id=number.suppression_list_id,
            phone=PHONE,
            source=source,
            since=START_OF_TEST,
        )
    )
    twilio.sms(Body="STOP")
    twilio.sms(Body="START")
    assert is_listed(app, number)
    lifted = {entry.source: entry.lifted_at is not None for entry in rows.all(SuppressionEntry)}
    assert lifted == {source: False, SuppressionSource.KEYWORD: True}


def test_start_lifts_what_twilio_told_us(
    number: Sender, rows: Rows, twilio: Twilio, app: Flask
) -> None:
    rows.add(
        SuppressionEntry(
            list_id=number.suppression_list_id,
            phone=PHONE,
            scope=number.id,
            source=SuppressionSource.TWILIO,
            since=START_OF_TEST - timedelta(days=365),
        )
    )
    twilio.sms(Body="UNSTOP")
    assert not is_listed(app, number)


def test_an_opt_out_is_of_one_number(rows: Rows, twilio: Twilio, app: Flask) -> None:
    department = Department(rows)
    listed = department.suppression_list()
    first = department.auto_reply(suppression_list_id=listed.id)
    second = department.auto_reply(address="+13195550101", suppression_list_id=listed.id)
    twilio.sms(Body="STOP")
    assert is_listed(app, first)
    assert not is_listed(app, second)
    assert reply_of(twilio.sms(To="+13195550101")) == AWAY


def test_a_suppressed_phone_gets_no_automatic_reply(
    number: Sender, rows: Rows, twilio: Twilio
) -> None:
    twilio.sms(Body="STOP")
    assert reply_of(twilio.sms(Body="What are your hours?")) is None
    outcomes = {text.body: text.outcome for text in rows.all(Incoming)}
    assert outcomes["What are your hours?"] is Outcome.NOT_REPLIED


def test_a_client_without_twilio_keeps_opt_outs_all_the_same(
    rows: Rows, twilio: Twilio, app: Flask
) -> None:
    department = Department(rows, twilio_enabled=False)
    number = department.auto_reply(suppression_list_id=department.suppression_list().id)
    twilio.sms(Body="STOP")
    assert is_listed(app, number)


@pytest.mark.parametrize(
    "body",
    [
        "please stop",
        "Stop texting me!",
        "unsubscribe me",
        "i want to opt out",
        "Opt-out please",
        "remove me from this list",
        "take me off your list",
        "Do not text me again",
        "dont contact me",
        "don’t message this number",
        "no more texts",
        "leave me alone",
        "quit texting",
        "Stop. Thank you",
        "no más mensajes",
        "ya no me manden mensajes",
        "plus de messages svp",
        "不要再发了",
        "can you stop sending these",
    ],
)
def test_words_that_nobody_acts_on_are_shown_to_staff(
    body: str, number: Sender, rows: Rows, twilio: Twilio
) -> None:
    assert reply_of(twilio.sms(Body=body)) == AWAY
    text = rows.one(Incoming)
    assert (text.flagged, text.opt_out) == (True, None)
    assert rows.count(SuppressionEntry) == 0


@pytest.mark.parametrize(
    "body",
    [
        "hello",
        "",
        "Where is the bus stop on Main Street?",
        "I will be there at the end of the day",
        "Can you help me cancel my room?",
        "My info is wrong",
        "Yes please",
        "unstoppable",
        "STOPPING",
        "Stop by the office at 5",
        "no quiero cancelar la cita",
    ],
)
def test_ordinary_words_are_not(body: str, number: Sender, rows: Rows, twilio: Twilio) -> None:
    twilio.sms(Body=body)
    assert not rows.one(Incoming).flagged


class TestShortCodes:
    """Twilio does nothing by itself about keywords to a short code."""

    CODE = "72345"

    @pytest.fixture
    def code(self, rows: Rows) -> Department:
        department = Department(rows)
        department.auto_reply(
            address=self.CODE,
            type=SenderType.SHORT_CODE,
            suppression_list_id=department.suppression_list().id,
        )
        return department

    @pytest.mark.parametrize(
        ("word", "said"),
        [("STOP", "unsubscribed"), ("START", "subscribed again"), ("HELP", "STOP to unsubscribe")],
    )
    def test_it_answers_by_itself(
        self, word: str, said: str, code: Department, rows: Rows, twilio: Twilio
    ) -> None:
        reply = reply_of(twilio.sms(To=self.CODE, Body=word))
        assert reply is not None
        assert said in reply
        assert "registrar" in reply
        text, message = rows.one(Incoming), rows.one(Message)
        assert (text.outcome, text.reply_id) == (Outcome.KEYWORD, message.id)
        assert rows.count(SuppressionEntry) == (1 if word == "STOP" else 0)

    def test_whoever_comes_back_is_told_so(self, code: Department, twilio: Twilio) -> None:
        twilio.sms(To=self.CODE, Body="STOP")
        reply = reply_of(twilio.sms(To=self.CODE, Body="START"))
        assert reply is not None
        assert "subscribed again" in reply

    def test_unless_staff_keep_that_phone_on_the_list(
        self, code: Department, rows: Rows, twilio: Twilio
    ) -> None:
        self.keep_out(rows)
        assert reply_of(twilio.sms(To=self.CODE, Body="START")) is None

    @pytest.mark.parametrize("word", ["HELP", "STOP"])
    def test_help_and_a_second_stop_are_answered_whoever_asks(
        self, word: str, code: Department, rows: Rows, twilio: Twilio
    ) -> None:
        self.keep_out(rows)
        twilio.sms(To=self.CODE, Body="STOP")
        assert reply_of(twilio.sms(To=self.CODE, Body=word)) is not None

    def keep_out(self, rows: Rows) -> None:
        """Have staff put the phone on the number's list."""
        list_id = rows.one(SuppressionList).id
        rows.add(
            SuppressionEntry(
                list_id=list_id, phone=PHONE, source=SuppressionSource.MANUAL, since=START_OF_TEST
            )
        )

    def test_in_the_clients_own_words(self, code: Department, rows: Rows, twilio: Twilio) -> None:
        code.template("Bye, {{ From }}.", "stop", TemplateKind.REPLY)
        assert reply_of(twilio.sms(To=self.CODE, Body="Quit")) == f"Bye, {PHONE}."
        assert rows.one(Message).template_version_id is not None

    def test_words_that_fail_are_shown_to_staff_beside_a_forward(
        self, code: Department, rows: Rows, twilio: Twilio
    ) -> None:
        code.template("Bye, {{ nickname }}.", "stop", TemplateKind.REPLY)
        endpoint = Endpoint(
            client_id=code.client.id, kind=EndpointKind.WEBHOOK, name="sis",
            url="https://sis.example.edu/hooks",
        )  # fmt: skip
        rows.add(endpoint)
        rows.change(
            update(Route).values(handler=Handler.FORWARD_TO_WEBHOOK, endpoint_id=endpoint.id)
        )
        assert reply_of(twilio.sms(To=self.CODE, Body="STOP")) is None
        text = rows.one(Incoming)
        assert (text.outcome, text.flagged) == (Outcome.FORWARDED, True)
        assert "nickname" in (text.error or "")

    def test_unless_twilio_has_answered(self, code: Department, twilio: Twilio) -> None:
        """With Advanced Opt-Out Twilio acts for short codes too, and says so."""
        assert reply_of(twilio.sms(To=self.CODE, Body="STOP", OptOutType="STOP")) is None

    def test_a_stop_that_cannot_be_kept_is_shown_to_staff(self, rows: Rows, twilio: Twilio) -> None:
        Department(rows).auto_reply(address=self.CODE, type=SenderType.SHORT_CODE)
        twilio.sms(To=self.CODE, Body="STOP")
        text = rows.one(Incoming)
        assert text.flagged
        assert "suppression list" in (text.error or "")


class TestOrder:
    """Twilio's time decides, not ours."""

    @pytest.fixture(autouse=True)
    def at(self, time_machine: TimeMachineFixture) -> None:
        time_machine.move_to(START_OF_TEST, tick=False)

    def take_in(self, app: Flask, body: str, minutes: int, recovered: bool = True) -> None:
        with app.app_context():
            found = lookup.for_text(db.session.connection(), NUMBER, PHONE, None, body)
            assert found is not None
            text = Arrival(
                destination=Destination.SMS,
                sid=sid("SM"),
                account_sid=ACCOUNT_SID,
                from_=PHONE,
                to=NUMBER,
                received_at=START_OF_TEST + timedelta(minutes=minutes),
                parameters={},
                body=body,
                recovered=recovered,
            )
            texts.take_in(text, found)

    @pytest.mark.parametrize("word", STARTS)
    def test_an_old_stop_heard_late_does_not_undo_a_newer_start(
        self, word: str, number: Sender, app: Flask
    ) -> None:
        self.take_in(app, word, 10, recovered=False)
        self.take_in(app, "STOP", 5)
        assert not is_listed(app, number)

    def test_nor_one_that_lifted_an_earlier_stop(self, number: Sender, app: Flask) -> None:
        self.take_in(app, "STOP", 0, recovered=False)
        self.take_in(app, "START", 10, recovered=False)
        self.take_in(app, "STOP", 5)
        assert not is_listed(app, number)

    def test_an_old_start_does_not_undo_a_newer_stop(self, number: Sender, app: Flask) -> None:
        self.take_in(app, "STOP", 10, recovered=False)
        self.take_in(app, "START", 5)
        assert is_listed(app, number)

    def test_nor_a_newer_stop_of_somebody_who_was_listed_already(
        self, number: Sender, app: Flask
    ) -> None:
        self.take_in(app, "STOP", 0, recovered=False)
        self.take_in(app, "STOP", 10, recovered=False)
        self.take_in(app, "START", 5)
        assert is_listed(app, number)

    def test_whoever_stops_again_is_listed_again(
        self, number: Sender, rows: Rows, app: Flask
    ) -> None:
        for minute, word in enumerate(("STOP", "START", "STOP")):
            self.take_in(app, word, minute, recovered=False)
        assert is_listed(app, number)
        entry = rows.one(SuppressionEntry)
        assert entry.since == START_OF_TEST + timedelta(minutes=2)

    def test_a_stop_heard_late_counts_when_nothing_came_after_it(
        self, number: Sender, app: Flask
    ) -> None:
        self.take_in(app, "hello", 10, recovered=False)
        self.take_in(app, "STOP", 5)
        assert is_listed(app, number)


def test_an_entry_counts_for_its_sender_its_service_or_all(
    number: Sender, rows: Rows, app: Flask
) -> None:
    listed = number.suppression_list_id
    assert listed is not None
    with app.app_context(), unit_of_work() as session:
        for phone, scope in (("+13195550001", "all"), ("+13195550002", "0" * 26)):
            assert suppression.suppress(
                session,
                listed,
                phone,
                scope=scope,
                source=SuppressionSource.MANUAL,
                at=START_OF_TEST,
            )
        assert in_force.why_suppressed(session, listed, "+13195550001", number)
        assert not in_force.why_suppressed(session, listed, "+13195550002", number)
        number.service_id = "0" * 26
        assert in_force.why_suppressed(session, listed, "+13195550002", number)
    assert len(rows.all(select(SuppressionEntry))) == 2


def test_every_word_is_one_that_twilio_names() -> None:
    by_kind = {kind: {w for w, k in TWILIO_WORDS.items() if k is kind} for kind in OptOut}
    assert by_kind == {
        OptOut.STOP: set(STOPS),
        OptOut.START: set(STARTS),
        OptOut.HELP: set(HELPS),
    }
