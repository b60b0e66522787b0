"""Texts come in and are answered, as Twilio's documents and the requirements describe it."""

from __future__ import annotations

from xml.etree import ElementTree

from app.models.incoming import Incoming, Outcome
from app.models.message import Direction, Message, MessageState
from app.models.route import Handler
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.inbound import AWAY, NUMBER, PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio, sid


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
