"""A reply never fails in silence: what its placeholders take, and who hears when there is none."""

from __future__ import annotations

import json
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from sqlalchemy import delete, select
from time_machine import TimeMachineFixture

from app.models.audience import Member, Population
from app.models.base import utcnow
from app.models.delivery import Delivery, EventType
from app.models.incoming import Incoming, Outcome
from app.models.last_contact import LastContact
from app.models.message import Message
from app.models.sender import Sender
from tests.support.inbound import PHONE, Department
from tests.support.rows import Rows
from tests.support.twilio import Twilio

ADA = {"toName": "Ada", "toPhone": PHONE, "courses": [{"name": "Algebra"}, {"name": "Ethics"}]}


def body_of(twiml: str) -> str | None:
    return ElementTree.fromstring(twiml).findtext("Message/Body")


def listed(rows: Rows, department: Department, *members: dict[str, object]) -> Population:
    population = Population(client_id=department.client.id, name=f"list {rows.count(Population)}")
    rows.add(population)
    for member in members:
        rows.add(Member(roll=population.id, attributes=member))
    return population


def contact(rows: Rows, department: Department, number: Sender, **member: object) -> None:
    rows.add(
        LastContact(
            client_id=department.client.id,
            phone=PHONE,
            sender_id=number.id,
            member=member,
            message_id="0" * 26,
            sent_at=utcnow(),
        )
    )


def notices(rows: Rows) -> list[dict[str, str]]:
    found = rows.all(select(Delivery).where(Delivery.type == EventType.NOTICE))
    return [json.loads(one.body)["data"] for one in found]


@pytest.mark.parametrize(
    ("source", "stranger", "known"),
    [
        ('Hi {{ toName or "there" }}', "Hi there", "Hi Ada"),
        ("Hi {{ toName|default('there') }}", "Hi there", "Hi Ada"),
        ("Hi{% if toName %} {{ toName }}{% endif %}!", "Hi!", "Hi Ada!"),
        ("{% for c in courses or [] %}{{ c.name }};{% endfor %}ok", "ok", "Algebra;Ethics;ok"),
        ("{{ 'Dear ' ~ toName if toName is defined else 'Hello' }}", "Hello", "Dear Ada"),
        ("Hi {{ toName }}", None, "Hi Ada"),
        ("Hi {{ toName or nickName }}", None, "Hi Ada"),
    ],
)
def test_a_placeholder_takes_its_fallback_from_whom_nothing_is_known(
    source: str, stranger: str | None, known: str, rows: Rows, twilio: Twilio
) -> None:
    department = Department(rows)
    department.auto_reply(source)
    assert body_of(twilio.sms().text) == stranger
    listed(rows, department, ADA)
    assert body_of(twilio.sms().text) == known


@pytest.mark.parametrize(
    "phone", [PHONE, "319 555 0150", "(319) 555-0150", "1-319-555-0150", "+1 319-555-0150"]
)
def test_values_come_from_the_only_row_with_that_phone_however_it_is_written(
    phone: str, rows: Rows, twilio: Twilio
) -> None:
    department = Department(rows)
    department.auto_reply("Hi {{ toName }}")
    listed(rows, department, {"toName": "Ada", "toPhone": phone}, {"toName": "Bob"})
    assert body_of(twilio.sms().text) == "Hi Ada"


class TestWhoseValues:
    def test_of_nobody_where_several_share_a_phone(self, rows: Rows, twilio: Twilio) -> None:
        department = Department(rows)
        department.auto_reply('Hi {{ toName or "there" }}')
        listed(rows, department, ADA, {"toName": "Bob", "toPhone": PHONE})
        assert body_of(twilio.sms().text) == "Hi there"

    def test_of_nobody_where_lists_disagree(self, rows: Rows, twilio: Twilio) -> None:
        department = Department(rows)
        department.auto_reply('Hi {{ toName or "there" }}')
        listed(rows, department, ADA)
        listed(rows, department, {"toName": "Augusta", "toPhone": PHONE})
        assert body_of(twilio.sms().text) == "Hi there"

    def test_never_of_another_client(self, rows: Rows, twilio: Twilio) -> None:
        department = Department(rows)
        department.auto_reply('Hi {{ toName or "there" }}')
        listed(rows, Department(rows, "library", "AC" + "2" * 32), ADA)
        assert body_of(twilio.sms().text) == "Hi there"

    def test_of_the_last_contact_first_and_the_list_for_the_rest(
        self, rows: Rows, twilio: Twilio
    ) -> None:
        department = Department(rows)
        number = department.auto_reply("Hi {{ toName }} of {{ course }}")
        listed(rows, department, {"toName": "Ada", "toPhone": PHONE, "course": "Algebra"})
        contact(rows, department, number, toName="Countess")
        assert body_of(twilio.sms().text) == "Hi Countess of Algebra"

    def test_as_they_are_when_the_row_changes(self, rows: Rows, twilio: Twilio) -> None:
        department = Department(rows)
        department.auto_reply('Hi {{ toName or "there" }}')
        population = listed(rows, department, {"toName": "Ada", "toPhone": "+13195550199"})
        assert body_of(twilio.sms().text) == "Hi there"
        member = rows.one(Member)
        member.attributes = {**member.attributes, "toPhone": PHONE}
        rows.change(
            Member.__table__.update().values(
                attributes={**member.attributes}  # as a bulk statement writes it
            )
        )
        assert body_of(twilio.sms().text) == "Hi Ada"
        rows.change(delete(Member).where(Member.roll == population.id))
        assert body_of(twilio.sms().text) == "Hi there"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("Hi {{ toName }}", "“toName”"),
        ("{{ 1 / 0 }}", "divides by zero"),
        ("   ", "empty"),
        ("{{ Body * 1000 }}", "numbers only"),
        ("{% set x = 'a-' %}" + "{% set x = x ~ x %}" * 14 + "{{ x|title|length }}" * 60,
         "too much work"),
        ("x" * 1601, "more than 1,600"),
    ],
    ids=["no value", "a calculation", "nothing", "the engine", "over budget", "too long"],
)  # fmt: skip
def test_the_owner_is_told_once_a_day_that_a_reply_failed(
    source: str, said: str, rows: Rows, twilio: Twilio, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to("2026-11-23T15:00:00+00:00")
    Department(rows).auto_reply(source)
    for phone in (PHONE, PHONE, "+13195550151"):
        assert body_of(twilio.sms(From=phone).text) is None
    assert {one.outcome for one in rows.all(Incoming)} == {Outcome.FAILED}
    assert rows.count(Message) == 0
    (told,) = notices(rows)
    assert said in told["text"]
    assert "could not answer a text" in told["subject"]
    time_machine.shift(timedelta(days=1))
    twilio.sms()
    assert len(notices(rows)) == 2
