"""Texts that go on to a client's webhook or to a help desk's mailbox."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from standardwebhooks import Webhook

from app.domain.audience import contacts
from app.domain.relaying import receivers
from app.extensions import unit_of_work
from app.models.audience import Member, Population
from app.models.base import new_id
from app.models.delivery import Delivery, DeliveryState, EventType
from app.models.endpoint import Endpoint, EndpointState
from app.models.incoming import Incoming, Outcome
from app.models.media import Media, MediaSource
from app.models.route import Destination, Handler, Route
from tests.support.clients import SECRET, Department, department
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.relay import receiving, run
from tests.support.rows import Rows
from tests.support.twilio import Twilio, sid, sms_parameters

pytestmark = pytest.mark.settings(WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8")
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
EMPTY_FORMS = {EMPTY, EMPTY.replace("<Response></Response>", "<Response />"),
               EMPTY.replace("<Response></Response>", "<Response/>")}  # fmt: skip
PHONE = "+13195550150"


@pytest.fixture
def registrar(rows: Rows) -> Department:
    return department(rows)


def route(registrar: Department, handler: Handler, **columns: Any) -> None:
    registrar.rows.add(
        Route(
            client_id=registrar.client.id, sender_id=registrar.number.id,
            destination=Destination.SMS, handler=handler, updated_by="test", **columns,
        )
    )  # fmt: skip


def to_webhook(
    registrar: Department, url: str = "https://sis.example.edu/", **more: Any
) -> Endpoint:
    endpoint = registrar.endpoint(url, **more)
    route(registrar, Handler.FORWARD_TO_WEBHOOK, endpoint_id=endpoint.id)
    return endpoint


def to_email(registrar: Department, *addresses: str | None) -> None:
    population = Population(id=new_id(), client_id=registrar.client.id, name="helpdesk")
    registrar.rows.add(population)
    registrar.rows.add(
        *(
            Member(roll=population.id, attributes={"toName": "Desk", "toAddress": one})
            for one in addresses
        )
    )
    route(registrar, Handler.FORWARD_TO_EMAIL, population_id=population.id)


def data_of(delivery: Delivery) -> Any:
    return json.loads(delivery.body)["data"]


class TestWebhook:
    @pytest.mark.parametrize(
        ("declared", "told"),
        [
            ("image/jpg", "image/jpeg"),
            ("text/x-vCard; charset=utf-8", "text/vcard"),
            ("audio/amr", "audio/amr"),
            ("video/3gpp", "video/3gpp"),
            ("image/heic", "image/heic"),
            ("text/calendar", "text/calendar"),
            ("", "application/octet-stream"),
            ("multipart/mixed", "application/octet-stream"),
        ],
    )
    def test_files_are_told_by_the_usual_name_of_their_type(
        self, declared: str, told: str, registrar: Department, rows: Rows, twilio: Twilio
    ) -> None:
        to_webhook(registrar)
        url = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1"
        twilio.sms(NumMedia="1", MediaUrl0=url, MediaContentType0=declared)
        assert [item["contentType"] for item in data_of(rows.one(Delivery))["media"]] == [told]

    def test_the_payload_holds_everything_about_the_text_and_the_person(
        self, app: Flask, registrar: Department, rows: Rows, twilio: Twilio
    ) -> None:
        to_webhook(registrar)
        sent = registrar.text(PHONE, sid=sid("SM"), member={"toName": "Ada", "netid": "alovelace"})
        at = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
        with app.app_context(), unit_of_work() as session:
            contacts.remember(session, sent, at)
        parameters = sms_parameters(
            From=PHONE, Body="I can't come 🎓", NumMedia="1", NumSegments="2",
            MediaUrl0="https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1",
            MediaContentType0="image/jpeg",
        )  # fmt: skip
        answer = twilio.post("/inbound/sms", parameters)
        assert answer.status_code == 200
        incoming, delivery = rows.one(Incoming), rows.one(Delivery)
        assert incoming.outcome is Outcome.FORWARDED
        media = rows.one(Media)
        assert json.loads(delivery.body) == {
            "type": "sms.received",
            "timestamp": data_of(delivery)["receivedAt"],
            "data": {
                "id": incoming.id,
                "client": "registrar",
                "messageSid": parameters["MessageSid"],
                "from": PHONE,
                "to": registrar.number.address,
                "body": "I can't come 🎓",
                "channel": "mms",
                "reaction": None,
                "media": [
                    {"url": f"{PUBLIC_BASE_URL}/media/{media.code}", "contentType": "image/jpeg"}
                ],
                "numSegments": 2,
                "receivedAt": incoming.received_at.isoformat(timespec="milliseconds").replace(
                    "+00:00", "Z"
                ),
                "optOut": None,
                "member": {"toName": "Ada", "netid": "alovelace"},
                "lastMessage": {
                    "id": sent.id,
                    "sid": sent.sid,
                    "communication": None,
                    "batch": None,
                    "sentAt": "2026-11-20T09:00:00.000Z",
                },
            },
        }
        assert (media.source, media.incoming_id) == (MediaSource.TWILIO, incoming.id)
        assert media.expires_at is not None
        assert (delivery.incoming_id, delivery.client_id) == (incoming.id, registrar.client.id)

    def test_somebody_never_written_to_is_nobody(
        self, registrar: Department, rows: Rows, twilio: Twilio
    ) -> None:
        to_webhook(registrar)
        twilio.sms()
        data = data_of(rows.one(Delivery))
        assert (data["member"], data["lastMessage"], data["media"]) == (None, None, [])

    def test_it_arrives_signed(self, app: Flask, registrar: Department, twilio: Twilio) -> None:
        with receiving() as receiver:
            to_webhook(registrar, receiver.url())
            answer = twilio.sms(Body="Hello")
            run(app)
            (received,) = receiver.received
        assert answer.text in EMPTY_FORMS
        event = Webhook(SECRET).verify(received.body, received.headers)
        assert event["data"]["body"] == "Hello"

    def test_a_repeat_by_twilio_makes_no_second_event(
        self, registrar: Department, rows: Rows, twilio: Twilio
    ) -> None:
        to_webhook(registrar)
        for _ in range(3):
            assert twilio.sms(MessageSid="SM" + "1" * 32).status_code == 200
        assert rows.count(Delivery) == 1

    @pytest.mark.parametrize(
        ("body", "opt_out"),
        [("STOP", "STOP"), (" start ", "START"), ("help", "HELP"), ("please stop", None)],
    )
    def test_keywords_are_forwarded_with_their_mark(
        self, registrar: Department, rows: Rows, twilio: Twilio, body: str, opt_out: str | None
    ) -> None:
        to_webhook(registrar)
        assert twilio.sms(Body=body).text in EMPTY_FORMS
        assert data_of(rows.one(Delivery))["optOut"] == opt_out

    def test_a_disabled_endpoint_holds_it_and_twilio_notices_nothing(
        self, registrar: Department, rows: Rows, twilio: Twilio
    ) -> None:
        to_webhook(registrar, state=EndpointState.DISABLED)
        assert twilio.sms().status_code == 200
        assert rows.one(Delivery).state is DeliveryState.HELD

    def test_too_much_about_a_person_does_not_cost_the_text(
        self, app: Flask, registrar: Department, rows: Rows, twilio: Twilio
    ) -> None:
        to_webhook(registrar)
        big = registrar.text(PHONE, member={"toName": "Ada", "essay": "x" * 140_000})
        with app.app_context(), unit_of_work() as session:
            contacts.remember(session, big, datetime.now(UTC))
        assert twilio.sms(From=PHONE, Body="Hello").status_code == 200
        data = data_of(rows.one(Delivery))
        assert (data["body"], data["member"]) == ("Hello", {"toName": "Ada"})


class TestEmail:
    def test_each_member_with_an_address_gets_a_mail_of_its_own(
        self, registrar: Department, rows: Rows, twilio: Twilio
    ) -> None:
        to_email(registrar, "one@example.edu", None, "two@example.edu", "ONE@example.edu", "")
        assert twilio.sms(Body="Hello").text in EMPTY_FORMS
        deliveries = rows.all(Delivery)
        to = rows.all(select(Endpoint.url))
        assert sorted(address.lower() for address in to) == ["one@example.edu", "two@example.edu"]
        assert len({delivery.event_id for delivery in deliveries}) == 2
        assert {delivery.type for delivery in deliveries} == {EventType.SMS_RECEIVED}
        assert {delivery.context["client"] for delivery in deliveries} == {"registrar"}
        assert rows.one(Incoming).outcome is Outcome.FORWARDED

    def test_new_addresses_are_written_in_one_order_so_that_two_texts_never_deadlock(
        self, registrar: Department, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        real = receivers.email

        def email(session: Session, client_id: str | None, address: str) -> Endpoint:
            asked.append(address)
            return real(session, client_id, address)

        monkeypatch.setattr(receivers, "email", email)
        to_email(registrar, "two@example.edu", "Three@example.edu", "one@example.edu")
        twilio.sms()
        assert asked == ["one@example.edu", "Three@example.edu", "two@example.edu"]

    def test_a_repeat_makes_no_second_mail(
        self, registrar: Department, rows: Rows, twilio: Twilio
    ) -> None:
        to_email(registrar, "one@example.edu", "two@example.edu")
        for _ in range(2):
            twilio.sms(MessageSid="SM" + "2" * 32)
        assert rows.count(Delivery) == 2

    def test_a_population_without_addresses_is_a_mistake_that_staff_see(
        self, registrar: Department, rows: Rows, twilio: Twilio
    ) -> None:
        to_email(registrar, None)
        assert twilio.sms().status_code == 200
        incoming = rows.one(Incoming)
        assert (incoming.outcome, incoming.flagged) == (Outcome.FAILED, True)
        assert "no member with an e-mail address" in (incoming.error or "")

    def test_more_than_a_hundred_receivers_are_cut_off_aloud(
        self, registrar: Department, rows: Rows, twilio: Twilio
    ) -> None:
        to_email(registrar, *(f"n{number}@example.edu" for number in range(102)))
        assert twilio.sms().status_code == 200
        assert rows.count(Delivery) == 100
        assert "2 or more members got no mail" in (rows.one(Incoming).error or "")
