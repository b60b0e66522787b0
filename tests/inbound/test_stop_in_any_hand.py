"""“Stop.” is STOP: Twilio neither hears nor blocks it, so our entry alone protects the person."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from flask import Flask
from sqlalchemy import update

from app.domain.audience import in_force, members, names
from app.domain.mistakes import Refused
from app.domain.sending.messages import check_recipient
from app.extensions import db, unit_of_work
from app.models.audience import Member, Population
from app.models.client import Client
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind
from app.models.incoming import Incoming, OptOut, Outcome
from app.models.message import Direction, Message, MessageState
from app.models.route import Destination, Handler
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from tests.support.inbound import AWAY, NUMBER, PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, Twilio, sid


def reply_of(answer: object) -> str | None:
    return ElementTree.fromstring(answer.text).findtext("Message/Body")  # type: ignore[attr-defined]


def written_to(department: Department, number: Sender, body: str) -> Message:
    """A text of ours that Twilio has taken."""
    made = Message(
        client_id=department.client.id, destination=Destination.SMS, direction=Direction.API,
        sender_id=number.id, credential_id=department.credential.id, to=PHONE, from_=NUMBER,
        body=body, state=MessageState.ACCEPTED, sid=sid("SM"),
    )  # fmt: skip
    department.rows.add(made)
    return made


@pytest.fixture
def department(rows: Rows) -> Department:
    return Department(rows)


@pytest.fixture
def number(department: Department) -> Sender:
    return department.auto_reply(suppression_list_id=department.suppression_list().id)


@pytest.mark.parametrize("written", ["Stop.", "“STOP”", "opt out", "stop 🙏", "ＳＴＯＰ"])
def test_it_is_confirmed_once_and_kept(
    written: str, number: Sender, rows: Rows, twilio: Twilio
) -> None:
    said = reply_of(twilio.sms(Body=written))
    assert said is not None
    assert "unsubscribed" in said
    assert reply_of(twilio.sms(Body=written)) is None
    entry = rows.one(SuppressionEntry)
    assert (entry.phone, entry.scope, entry.source, entry.binding, entry.lifted_at) == (
        PHONE, number.id, SuppressionSource.KEYWORD, True, None,
    )  # fmt: skip
    texts = rows.all(Incoming)
    assert {(one.opt_out, one.outcome, one.flagged) for one in texts} == {
        (OptOut.STOP, Outcome.KEYWORD, False)
    }


def test_it_binds_whatever_list_is_asked_and_where_there_is_none(
    number: Sender, department: Department, rows: Rows, twilio: Twilio, app: Flask
) -> None:
    other = department.suppression_list("another")
    twilio.sms(Body="Stop.")
    with app.app_context():
        session = db.session()
        for list_id in (number.suppression_list_id, other.id, None):
            assert in_force.why_suppressed(session, list_id, PHONE, number)
            assert not in_force.why_suppressed(session, list_id, "+13195550151", number)


def test_twilios_own_stop_is_no_business_of_other_lists(
    number: Sender, department: Department, twilio: Twilio, app: Flask
) -> None:
    """The requirements: with no list chosen nothing is filtered, and Twilio refuses by itself."""
    other = department.suppression_list("another")
    twilio.sms(Body="Stop.")
    twilio.sms(Body="STOP")
    with app.app_context():
        assert in_force.why_suppressed(db.session(), number.suppression_list_id, PHONE, number)
        assert not in_force.why_suppressed(db.session(), other.id, PHONE, number)
        assert not in_force.why_suppressed(db.session(), None, PHONE, number)


def test_a_number_without_a_list_gets_one_for_it(
    department: Department, rows: Rows, twilio: Twilio, app: Flask
) -> None:
    number = department.auto_reply()
    twilio.sms(Body="Stop.")
    assert rows.one(SuppressionList).name == "opted-out"
    with app.app_context():
        assert in_force.why_suppressed(db.session(), None, PHONE, number)
    assert reply_of(twilio.sms(Body="hello?")) is None
    assert "subscribed again" in (reply_of(twilio.sms(Body="Start!")) or "")
    assert reply_of(twilio.sms(Body="hello?")) == AWAY


class TestComingBack:
    @pytest.mark.parametrize("written", ["START", "start", "Start.", "“YES”", "Unstop!"])
    def test_any_start_lifts_what_twilio_does_not_block(
        self, written: str, number: Sender, rows: Rows, twilio: Twilio
    ) -> None:
        twilio.sms(Body="Stop.")
        twilio.sms(Body=written)
        assert rows.one(SuppressionEntry).lifted_at is not None
        assert reply_of(twilio.sms(Body="hello")) == AWAY

    def test_an_inexact_start_lifts_nothing_that_twilio_blocks(
        self, number: Sender, rows: Rows, twilio: Twilio
    ) -> None:
        twilio.sms(Body="STOP")
        said = reply_of(twilio.sms(Body="Start."))
        assert said is not None
        assert "only the word START" in said
        assert rows.one(SuppressionEntry).lifted_at is None

    def test_nor_where_both_were_said(self, number: Sender, rows: Rows, twilio: Twilio) -> None:
        twilio.sms(Body="Stop.")
        twilio.sms(Body="STOP")
        assert "only the word START" in (reply_of(twilio.sms(Body="start!")) or "")
        assert rows.one(SuppressionEntry).lifted_at is None

    def test_whoever_stops_again_is_told_again(self, number: Sender, twilio: Twilio) -> None:
        twilio.sms(Body="Stop.")
        twilio.sms(Body="Start.")
        assert "unsubscribed" in (reply_of(twilio.sms(Body="Stop.")) or "")

    def test_a_yes_with_an_exclamation_mark_is_an_ordinary_message(
        self, number: Sender, rows: Rows, twilio: Twilio
    ) -> None:
        assert reply_of(twilio.sms(Body="Yes!")) == AWAY
        assert rows.one(Incoming).opt_out is None


def test_help_in_any_hand_is_answered_by_us(number: Sender, twilio: Twilio) -> None:
    assert "For help" in (reply_of(twilio.sms(Body="Help?")) or "")


def test_the_languages_of_the_client_count(rows: Rows, twilio: Twilio) -> None:
    department = Department(rows, languages=["en", "es"], opt_words={"stop": ["aufhören"]})
    department.auto_reply()
    for word in ("Parar", "AUFHÖREN"):
        twilio.sms(Body=word)
    assert [one.opt_out for one in rows.all(Incoming)] == [OptOut.STOP, OptOut.STOP]


def test_a_forward_is_marked_and_the_person_has_the_confirmation(
    department: Department, rows: Rows, twilio: Twilio
) -> None:
    endpoint = Endpoint(
        client_id=department.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    department.route(department.number(), Handler.FORWARD_TO_WEBHOOK, endpoint_id=endpoint.id)
    assert "unsubscribed" in (reply_of(twilio.sms(Body="Stop.")) or "")
    assert json.loads(rows.one(Delivery).body)["data"]["optOut"] == "STOP"
    assert rows.one(Incoming).outcome is Outcome.FORWARDED


def test_a_keyword_of_the_number_in_any_hand(department: Department, twilio: Twilio) -> None:
    route = department.route(
        department.number(), Handler.AUTO_REPLY, template_id=department.template().id
    )
    department.keyword(route, "HOURS", department.template("8 to 5.", "hours"))
    for written in ("Hours?", "“hours”", "HOURS 🙂", "hours"):
        assert reply_of(twilio.sms(Body=written)) == "8 to 5."
    assert reply_of(twilio.sms(Body="what hours")) == AWAY


class TestReactions:
    SENT = "Registrar: your class starts Monday. Reply STOP to opt out."

    @pytest.fixture
    def sent(self, number: Sender, department: Department) -> Message:
        return written_to(department, number, self.SENT)

    def test_it_is_stored_and_answered_by_nobody(
        self, sent: Message, rows: Rows, twilio: Twilio
    ) -> None:
        assert reply_of(twilio.sms(Body=f"Liked “{self.SENT}”")) is None
        text = rows.one(Incoming)
        assert text.reaction == {"kind": "like", "removed": False, "messageId": sent.id}
        assert (text.outcome, text.flagged, text.opt_out) == (Outcome.REACTION, False, None)
        assert rows.count(SuppressionEntry) == 0

    @pytest.mark.parametrize(
        ("body", "quoted"),
        [
            ("Loved “Registrar: your class starts…”", True),
            ("Loved “Another text”", False),
            ("Loved an image", False),
        ],
    )
    def test_the_message_is_named_where_it_is_known(
        self, body: str, quoted: bool, sent: Message, rows: Rows, twilio: Twilio
    ) -> None:
        twilio.sms(Body=body)
        assert rows.one(Incoming).reaction == {
            "kind": "love", "removed": False, "messageId": sent.id if quoted else None,
        }  # fmt: skip

    def test_it_is_told_as_a_reaction(
        self, department: Department, rows: Rows, twilio: Twilio
    ) -> None:
        endpoint = Endpoint(
            client_id=department.client.id, kind=EndpointKind.WEBHOOK, name="sis",
            url="https://sis.example.edu/hooks",
        )  # fmt: skip
        rows.add(endpoint)
        department.route(department.number(), Handler.FORWARD_TO_WEBHOOK, endpoint_id=endpoint.id)
        twilio.sms(Body="👍 to “hello”")
        data = json.loads(rows.one(Delivery).body)["data"]
        assert data["reaction"] == {"kind": "like", "removed": False, "messageId": None}
        assert rows.one(Incoming).outcome is Outcome.REACTION

    def test_a_text_that_somebody_wrote_is_answered(
        self, number: Sender, rows: Rows, twilio: Twilio
    ) -> None:
        assert reply_of(twilio.sms(Body="I liked “Hamlet”")) == AWAY
        assert rows.one(Incoming).reaction is None


class TestChannels:
    """``rcs:+1…`` is the person +1… (DESIGN 4.7, Events)."""

    @pytest.mark.parametrize(
        ("sender", "media", "channel"),
        [
            (PHONE, "0", "sms"), (PHONE, "1", "mms"), (f"rcs:{PHONE}", "1", "rcs"),
            (f"RCS:{PHONE}", "0", "rcs"), (f"whatsapp:{PHONE}", "0", "whatsapp"),
        ],
    )  # fmt: skip
    def test_the_person_is_the_phone(
        self, sender: str, media: str, channel: str, number: Sender, rows: Rows, twilio: Twilio
    ) -> None:
        more = {"MediaUrl0": "https://api.twilio.com/x", "MediaContentType0": "image/png"}
        twilio.sms(From=sender, Body="STOP", NumMedia=media, **(more if media == "1" else {}))
        text = rows.one(Incoming)
        assert (text.from_, text.channel) == (PHONE, channel)
        assert rows.one(SuppressionEntry).phone == PHONE

    def test_an_agent_is_found_by_its_messaging_service(
        self, department: Department, rows: Rows, twilio: Twilio
    ) -> None:
        service = department.service("MG" + "0" * 32)
        department.route(service, Handler.AUTO_REPLY, template_id=department.template().id)
        answer = twilio.sms(
            From=f"rcs:{PHONE}", To="rcs:registrar_agent", MessagingServiceSid=service.address
        )
        assert reply_of(answer) == AWAY
        assert rows.one(Incoming).to == "rcs:registrar_agent"

    @pytest.mark.parametrize(
        ("written", "one"),
        [
            ("+5215512345678", "+525512345678"),
            ("whatsapp:+551187654321", "+5511987654321"),
            ("+541123456789", "+5491123456789"),
            ("whatsapp:+5491123456789", "+5491123456789"),
            ("+972599123456", "+970599123456"),
        ],
    )
    def test_two_spellings_are_one_person(
        self, written: str, one: str, number: Sender, rows: Rows, twilio: Twilio
    ) -> None:
        twilio.sms(From=written, Body="STOP")
        assert rows.one(SuppressionEntry).phone == one

    @pytest.mark.parametrize("listed", ["+541123456789", "+54 9 11 2345 6789", "+5491123456789"])
    @pytest.mark.parametrize("sender", ["+541123456789", "+5491123456789"])
    def test_argentinas_nine_changes_nobody(
        self, listed: str, sender: str, app: Flask, department: Department, rows: Rows,
        twilio: Twilio,
    ) -> None:  # fmt: skip
        rows.change(update(Client).values(international=True))
        department.auto_reply("Hi {{ toName }}")
        population = Population(client_id=department.client.id, name="abroad")
        rows.add(population)
        member = {"toName": "Ada", "toPhone": listed}
        rows.add(Member(roll=population.id, attributes=member))
        assert reply_of(twilio.sms(From=sender)) == "Hi Ada"
        with app.app_context(), unit_of_work() as session:
            client = session.get_one(Client, department.client.id)
            to = check_recipient(client, None, listed, Destination.SMS)
            assert names.of(session, client.id, [to, sender]) == {to: "Ada", sender: "Ada"}
            again, abroad = {"toPhone": sender}, session.get_one(Population, population.id)
            with pytest.raises(Refused, match="already"):
                members.save(session, abroad, again, None, "x")
        assert to == rows.one(Incoming).from_

    def test_reports_by_another_channel_are_taken(
        self, department: Department, rows: Rows, twilio: Twilio
    ) -> None:
        sent = written_to(department, department.number(), "hello")
        parameters = {
            "MessageSid": str(sent.sid), "MessageStatus": "delivered", "To": f"rcs:{PHONE}",
            "AccountSid": ACCOUNT_SID,
        }  # fmt: skip
        answer = twilio.post(
            f"/inbound/sms/status/{sent.id}", {**parameters, "From": "rcs:registrar_agent"}
        )
        assert answer.status_code == 204
        answer = twilio.post(
            f"/inbound/sms/status/{sent.id}", {**parameters, "To": "rcs:+13195550151"}
        )
        assert answer.status_code == 403
