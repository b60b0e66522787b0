"""Texts come in and are answered, as Twilio's documents and the requirements describe it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from flask import Flask, request
from redis import Redis
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from time_machine import TimeMachineFixture

from app.inbound import incoming_log, lookup
from app.models.base import utcnow
from app.models.delivery import Delivery, EventType
from app.models.incoming import Incoming, Outcome
from app.models.last_contact import LastContact
from app.models.media import Media
from app.models.message import Direction, Message, MessageState
from app.models.route import Handler
from app.models.suppression import SuppressionEntry
from app.models.template import Template, TemplateVersion
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.inbound import AWAY, NUMBER, PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio, sid, sms_parameters


def test_a_text_is_answered_with_what_staff_chose(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    answer = twilio.sms()
    assert answer.status_code == 200
    assert answer.content_type == "text/xml; charset=utf-8"
    message = ElementTree.fromstring(answer.text).find("Message")
    assert message is not None
    assert message.findtext("Body") == AWAY


def test_the_text_and_its_reply_are_in_the_log(rows: Rows, twilio: Twilio) -> None:
    number = Department(rows).auto_reply()
    message_sid = sid("SM")
    answer = twilio.sms(MessageSid=message_sid, Body="Are you open?", FromCity="IOWA CITY")
    text, reply = rows.one(Incoming), rows.one(Message)
    assert (text.sid, text.from_, text.to, text.body) == (
        message_sid,
        PHONE,
        NUMBER,
        "Are you open?",
    )
    assert (text.handler, text.outcome) == (Handler.AUTO_REPLY, Outcome.REPLIED)
    assert text.answer == answer.text
    assert text.reply_id == reply.id
    assert text.parameters["FromCity"] == "IOWA CITY"
    assert (reply.direction, reply.state) == (Direction.REPLY, MessageState.ACCEPTED)
    assert (reply.from_, reply.to, reply.body) == (NUMBER, PHONE, AWAY)
    assert (reply.sid, reply.status, reply.sender_id) == (None, None, number.id)


def test_reports_about_the_reply_come_to_its_own_url(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    message = ElementTree.fromstring(twilio.sms().text).find("Message")
    assert message is not None
    assert message.get("statusCallback") == (
        f"{PUBLIC_BASE_URL}/inbound/sms/status/{rows.one(Message).id}"
    )


def body_of(twiml: str) -> str | None:
    """What the person gets, or None for an empty answer."""
    root = ElementTree.fromstring(twiml)
    assert root.tag == "Response"
    return root.findtext("Message/Body")


def test_a_repeat_gets_the_same_answer_and_causes_nothing(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    form = sms_parameters()
    first, second = twilio.post("/inbound/sms", form), twilio.post("/inbound/sms", form)
    assert second.text == first.text
    assert rows.count(Incoming) == rows.count(Message) == 1


def test_the_fallback_url_gets_the_same_answer(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    form = sms_parameters()
    first = twilio.post("/inbound/sms", form)
    again = {**form, "ErrorCode": "11200", "ErrorUrl": f"{PUBLIC_BASE_URL}/inbound/sms"}
    assert twilio.post("/inbound/sms", again).text == first.text
    assert rows.count(Incoming) == 1


def test_nobody_can_fetch_anothers_answer_by_its_sid(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    other = Department(rows, "library", "AC" + "f" * 32, "another-token-another-token-anot")
    other.auto_reply("Library", address="+13195550101")
    form = sms_parameters()
    assert twilio.post("/inbound/sms", form).status_code == 200
    stolen = {**form, "AccountSid": "AC" + "f" * 32, "To": "+13195550101"}
    answer = twilio.post("/inbound/sms", stolen, token="another-token-another-token-anot")
    assert answer.status_code == 403
    assert rows.count(Incoming) == 1


def test_reply_templates_know_twilios_parameters(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply("{{ From }} > {{ To }}: {{ Body|upper }} ({{ FromCity }})")
    answer = twilio.sms(Body="hi <b>&", FromCity="IOWA CITY")
    assert body_of(answer.text) == f"{PHONE} > {NUMBER}: HI <B>& (IOWA CITY)"


def test_reply_templates_know_whom_that_phone_belongs_to(rows: Rows, twilio: Twilio) -> None:
    department = Department(rows)
    number = department.auto_reply("Hello {{ toName }}, you wrote {{ Body }}.")
    rows.add(
        LastContact(
            client_id=department.client.id,
            phone=PHONE,
            sender_id=number.id,
            member={"toName": "Ada", "Body": "not this"},
            message_id="0" * 26,
            sent_at=utcnow(),
        )
    )
    assert body_of(twilio.sms(Body="thanks").text) == "Hello Ada, you wrote thanks."


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("Hello {{ toName }}", "toName"),
        ("{{ 1 / 0 }}", "could not be rendered"),
        ("{{ ''.__class__ }}", "could not be rendered"),
        ("   ", "empty"),
        ("{{ 'x' * 2000 }}", ""),
    ],
    ids=["unknown attribute", "faulty", "hostile", "empty", "too long"],
)
def test_a_template_that_fails_is_shown_to_staff_and_answers_nothing(
    template: str, reason: str, rows: Rows, twilio: Twilio
) -> None:
    Department(rows).auto_reply(template)
    answer = twilio.sms()
    assert answer.status_code == 200
    assert body_of(answer.text) is None
    text = rows.one(Incoming)
    assert (text.outcome, text.flagged) == (Outcome.FAILED, True)
    assert reason in (text.error or "")
    assert rows.count(Message) == 0


def test_the_current_version_answers(rows: Rows, twilio: Twilio) -> None:
    department = Department(rows)
    number = department.number()
    template = department.template("old")
    department.route(number, Handler.AUTO_REPLY, template_id=template.id)
    version = TemplateVersion(template_id=template.id, number=2, body="new", created_by="test")
    rows.add(version)
    assert body_of(twilio.sms().text) == "old"
    rows.change(update(Template).values(current_version=2))
    assert body_of(twilio.sms().text) == "new"
    assert {one.template_version_id for one in rows.all(Message)} >= {version.id}


@pytest.mark.parametrize("written", ["HOURS", "hours", " Hours\n"])
def test_a_keyword_has_its_own_template_and_media(written: str, rows: Rows, twilio: Twilio) -> None:
    department = Department(rows)
    number, away = department.number(), department.template()
    route = department.route(number, Handler.AUTO_REPLY, template_id=away.id)
    picture = "https://example.edu/map.png"
    department.keyword(route, "HOURS", department.template("8 to 5", "hours", media=(picture,)))
    root = ElementTree.fromstring(twilio.sms(Body=written).text)
    assert root.findtext("Message/Body") == "8 to 5"
    assert root.findtext("Message/Media") == picture
    assert rows.one(Message).media == [picture]
    assert body_of(twilio.sms(Body="hours please").text) == AWAY


def test_a_number_can_have_a_template_of_media_only(rows: Rows, twilio: Twilio) -> None:
    department = Department(rows)
    number = department.number()
    template = department.template("", media=("https://example.edu/map.png",))
    department.route(number, Handler.AUTO_REPLY, template_id=template.id)
    root = ElementTree.fromstring(twilio.sms().text)
    assert root.findtext("Message/Media") == "https://example.edu/map.png"
    assert root.find("Message/Body") is None


def test_handle_yourself_sends_twilio_on(rows: Rows, twilio: Twilio) -> None:
    department = Department(rows)
    url = "https://bot.example.edu/sms?a=1&b=2"
    department.route(department.number(), Handler.HANDLE_YOURSELF, url=url)
    redirect = ElementTree.fromstring(twilio.sms(Body="STOP").text).find("Redirect")
    assert redirect is not None
    assert (redirect.text, redirect.get("method")) == (url, "POST")
    assert rows.one(Incoming).outcome is Outcome.REDIRECTED


@pytest.mark.parametrize(
    ("enabled", "routed", "outcome"),
    [(False, True, Outcome.NOT_ENABLED), (True, False, Outcome.NO_ROUTE)],
    ids=["client without Twilio", "no route"],
)
def test_what_is_not_set_up_is_logged_and_answered_neutrally(
    enabled: bool, routed: bool, outcome: Outcome, rows: Rows, twilio: Twilio
) -> None:
    department = Department(rows, twilio_enabled=enabled)
    if routed:
        department.auto_reply()
    else:
        department.number()
    answer = twilio.sms()
    assert (answer.status_code, body_of(answer.text)) == (200, None)
    assert rows.one(Incoming).outcome is outcome
    assert rows.count(Message) == 0


def test_media_and_everything_twilio_says_are_kept(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    urls = [f"https://api.twilio.com/2010-04-01/Accounts/AC/Messages/MM/Media/ME{n}" for n in "12"]
    twilio.sms(
        MessageSid=sid("MM"),
        Body="",
        NumMedia="2",
        NumSegments="3",
        MediaUrl0=urls[0],
        MediaContentType0="image/jpeg",
        MediaUrl1=urls[1],
        MediaContentType1="text/x-vcard",
        SomethingNew="yes",
    )
    text, media = rows.one(Incoming), {one.code: one for one in rows.all(Media)}
    assert text.segments == 3
    assert [(item["url"], item["contentType"]) for item in text.media] == [
        (urls[0], "image/jpeg"),
        (urls[1], "text/x-vcard"),
    ]
    for item in text.media:
        kept = media[item["code"]]
        assert (kept.twilio_url, kept.content_type) == (item["url"], item["contentType"])
        assert kept.incoming_id == text.id
        assert kept.expires_at is not None
        assert kept.expires_at - text.received_at == timedelta(days=45)
    assert text.parameters["SomethingNew"] == "yes"
    assert text.parameters["SmsStatus"] == "received"
    assert not {"Body", "From", "MediaUrl0", "AccountSid"} & text.parameters.keys()


def test_fewer_media_than_announced_is_no_mistake(rows: Rows, twilio: Twilio) -> None:
    Department(rows).auto_reply()
    assert twilio.sms(NumMedia="2", MediaUrl0="https://api.twilio.com/x").status_code == 200
    assert len(rows.one(Incoming).media) == 1


class TestServices:
    """A number inside a messaging service (Twilio, messaging services)."""

    SERVICE = "MG" + "0123456789abcdef" * 2

    def test_the_services_route_applies_when_twilio_names_it(
        self, rows: Rows, twilio: Twilio
    ) -> None:
        department = Department(rows)
        service = department.service(self.SERVICE)
        number = department.number(service_id=service.id)
        for sender, words in ((service, "service"), (number, "number")):
            template = department.template(words, name=words)
            department.route(sender, Handler.AUTO_REPLY, template_id=template.id)
        assert body_of(twilio.sms(MessagingServiceSid=self.SERVICE).text) == "service"
        assert body_of(twilio.sms().text) == "number"

    def test_the_numbers_route_applies_when_the_service_has_none(
        self, rows: Rows, twilio: Twilio
    ) -> None:
        department = Department(rows)
        service = department.service(self.SERVICE)
        department.auto_reply("number", service_id=service.id)
        assert body_of(twilio.sms(MessagingServiceSid=self.SERVICE).text) == "number"

    def test_a_number_that_only_twilio_knows_in_it_answers_as_the_service(
        self, rows: Rows, twilio: Twilio
    ) -> None:
        department = Department(rows)
        template = department.template("service")
        department.route(
            department.service(self.SERVICE), Handler.AUTO_REPLY, template_id=template.id
        )
        answer = twilio.sms(To="+13195550188", MessagingServiceSid=self.SERVICE)
        assert body_of(answer.text) == "service"
        assert rows.one(Message).from_ == "+13195550188"

    def test_anothers_service_has_no_say(self, rows: Rows, twilio: Twilio) -> None:
        department = Department(rows)
        department.auto_reply("ours")
        other = Department(rows, "library", "AC" + "f" * 32, "t" * 32)
        template = other.template("theirs")
        other.route(other.service(self.SERVICE), Handler.AUTO_REPLY, template_id=template.id)
        assert body_of(twilio.sms(MessagingServiceSid=self.SERVICE).text) == "ours"

    def test_opt_outs_are_kept_on_the_services_list(self, rows: Rows, twilio: Twilio) -> None:
        department = Department(rows)
        listed = department.suppression_list()
        service = department.service(self.SERVICE, suppression_list_id=listed.id)
        own = department.suppression_list("own")
        department.number(service_id=service.id, suppression_list_id=own.id)
        twilio.sms(Body="STOP")
        entry = rows.one(SuppressionEntry)
        assert (entry.list_id, entry.scope) == (listed.id, service.id)


class TestWhoIsNotAnswered:
    """What keeps two machines from answering each other, and texts from where they cannot go."""

    @pytest.mark.parametrize(
        "sender",
        [
            "72345",
            "123456",
            "BANK",
            "My Bank",
            "+13195550101",
            "+442079460018",
            "+19005550100",
            "+18765550100",
            "rcs:some_agent",
            "+266696687",
        ],
    )
    def test_nobody_to_answer(self, sender: str, rows: Rows, twilio: Twilio) -> None:
        department = Department(rows)
        department.auto_reply()
        department.number("+13195550101")
        answer = twilio.sms(From=sender)
        assert (answer.status_code, body_of(answer.text)) == (200, None)
        text = rows.one(Incoming)
        assert (text.outcome, text.from_) == (Outcome.NOT_REPLIED, sender)
        assert text.error
        assert rows.count(Message) == 0

    def test_a_client_may_answer_abroad(self, rows: Rows, twilio: Twilio) -> None:
        Department(rows, international=True).auto_reply()
        assert body_of(twilio.sms(From="+442079460018").text) == AWAY

    def test_a_trial_answers_its_allow_list_only(self, rows: Rows, twilio: Twilio) -> None:
        Department(rows, trial=True, allow_list=[PHONE]).auto_reply()
        assert body_of(twilio.sms().text) == AWAY
        assert body_of(twilio.sms(From="+13195550151").text) is None

    def test_a_halted_client_answers_nobody(self, rows: Rows, twilio: Twilio) -> None:
        Department(rows, halted_at=utcnow()).auto_reply()
        assert body_of(twilio.sms().text) is None
        assert "halted" in (rows.one(Incoming).error or "")

    def test_five_replies_in_any_hour_then_an_alert(
        self, rows: Rows, twilio: Twilio, time_machine: TimeMachineFixture
    ) -> None:
        department = Department(rows)
        department.auto_reply()
        department.auto_reply(address="+13195550101")
        start = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
        for minute in range(5):
            time_machine.move_to(start + timedelta(minutes=minute), tick=False)
            assert body_of(twilio.sms().text) == AWAY
        time_machine.move_to(start + timedelta(minutes=59), tick=False)
        for _ in range(2):
            assert body_of(twilio.sms().text) is None
        stopped = rows.all(select(Incoming).where(Incoming.outcome == Outcome.LOOP_STOPPED))
        assert len(stopped) == 2
        assert all(text.flagged for text in stopped)
        notice = rows.one(Delivery)  # one alert, though two texts were stopped
        assert notice.type is EventType.NOTICE
        assert PHONE in notice.body
        # Others are answered, and so is that phone by another number.
        assert body_of(twilio.sms(From="+13195550151").text) == AWAY
        assert body_of(twilio.sms(To="+13195550101").text) == AWAY
        # The first of the five was an hour ago.
        time_machine.move_to(start + timedelta(minutes=60, seconds=1), tick=False)
        assert body_of(twilio.sms().text) == AWAY
        assert body_of(twilio.sms().text) is None


def test_the_answer_does_not_need_redis(
    rows: Rows, twilio: Twilio, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Redis(host="127.0.0.1", port=9, socket_connect_timeout=0.1)
    monkeypatch.setitem(app.extensions, "redis", gone)
    Department(rows).auto_reply()
    for _ in range(6):  # the sixth wakes the relay to send the alert
        assert twilio.sms().status_code == 200
    assert rows.one(select(Incoming).where(Incoming.outcome == Outcome.LOOP_STOPPED))


class TestFailures:
    """Whatever fails: TwiML, no traceback, nothing that Twilio would text to people."""

    @pytest.mark.parametrize("what", ["lookup", "storing"])
    def test_without_the_database_twilio_is_asked_to_come_again(
        self, what: str, rows: Rows, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Department(rows).auto_reply()

        def fail(*_: object, **__: object) -> None:
            raise OperationalError("SELECT", {}, Exception("the server closed the connection"))

        target = (lookup, "for_text") if what == "lookup" else (incoming_log, "store")
        monkeypatch.setattr(*target, fail)
        answer = twilio.sms()
        assert (answer.status_code, answer.mimetype) == (503, "text/xml")
        assert body_of(answer.text) is None

    def test_a_fault_of_ours_shows_nothing(
        self, rows: Rows, twilio: Twilio, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Department(rows).auto_reply()

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr(incoming_log, "store", fail)
        answer = twilio.sms()
        assert (answer.status_code, answer.mimetype) == (500, "text/xml")
        assert "secret" not in answer.text
        assert body_of(answer.text) is None
        assert rows.count(Incoming) == rows.count(Message) == 0


def test_a_webhook_passes_nothing_that_is_there_for_the_pages(app: Flask) -> None:
    around = [app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs]
    everybody = {hook.__module__ for hooks in around for hook in hooks.get(None, ())}
    assert everybody == {"app.domain.content.budget", "app.answer_times"}
    with app.test_request_context("/inbound/sms", method="POST"):
        own = {name for hooks in around for name in request.blueprints if hooks.get(name)}
    assert own == set()
