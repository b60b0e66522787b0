"""A text to a number tried out as somebody else: what they would get, and nothing is left of it."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.content import catalog
from app.domain.content.catalog import TemplateSpec
from app.domain.routing import routes
from app.domain.routing.handlers import parse
from app.extensions import unit_of_work
from app.models.audience import Member, Population, phone_key
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import Conversation
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint
from app.models.incoming import Incoming
from app.models.message import Message
from app.models.route import Destination
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import TemplateKind
from tests.staff.conftest import Staff
from tests.support.rows import Rows

ANA, BEN = "+13195550110", "+13195550111"
KEPT = (Incoming, Message, Delivery, Conversation, Endpoint)


@pytest.fixture
def students(rows: Rows, registrar: Client) -> Population:
    """A list whose first person has no phone."""
    students = Population(client_id=registrar.id, name="students")
    rows.add(students)
    for known in (
        {"toName": "Zoe", "toAddress": "zoe@example.edu"},
        {"toName": "Ana", "toPhone": "(319) 555-0110"},
    ):
        key = phone_key(ANA) if "toPhone" in known else None
        rows.add(Member(roll=students.roll, attributes=known, phone_key=key))
    return students


@pytest.fixture
def left(rows: Rows, registrar: Client, number: Sender) -> SuppressionList:
    """Ben has opted out of what the number sends."""
    stopped = SuppressionList(client_id=registrar.id, name="news")
    rows.add(stopped)
    number.suppression_list_id = stopped.id
    rows.add(number)
    rows.add(
        SuppressionEntry(
            list_id=stopped.id, phone=BEN, source=SuppressionSource.MANUAL, since=utcnow()
        )
    )
    return stopped


def answers(rows: Rows, number: Sender, route: dict[str, Any]) -> None:
    """Have the number do something with texts."""
    with rows.app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, number.client_id)
        spec = TemplateSpec(
            name="hello", kind=TemplateKind.REPLY, body="Hello {{ toName or 'there' }}! {{ Body }}?"
        )
        catalog.save(session, client, spec, None, "test", lambda _: [])
        sender = session.get_one(Sender, number.id)
        routes.save_route(session, sender, Destination.SMS, parse(Destination.SMS, route), "test")


def tried(pat: Staff, number: Sender, body: str, status: int = 200, **who: str) -> str:
    here = f"/staff/clients/registrar/numbers/{number.id}/sms/try"
    answer = pat.send(here, body=body, **who)
    assert answer.status_code == status, answer.text
    return answer.text.partition("<h2>What happens</h2>")[2] if status == 200 else answer.text


REPLY = {"handler": "auto_reply", "template": "hello"}


def test_everybody_gets_what_they_would_get(
    pat: Staff, number: Sender, rows: Rows, students: Population, left: SuppressionList
) -> None:
    answers(rows, number, REPLY)
    assert "Hello there! Hours?" in tried(pat, number, "Hours", **{"as": "stranger"})
    of_list = tried(pat, number, "Hours", **{"as": f"list:{students.id}"})
    assert "Hello Ana! Hours?" in of_list
    assert "(319) 555-0110" in of_list
    assert "Hello Ana!" in tried(pat, number, "x", **{"as": "phone", "as_phone": "319-555-0110"})
    gone = tried(pat, number, "Hours", **{"as": "opted_out"})
    assert "This phone has opted out: it is on news." in gone
    assert "Hello" not in gone
    for kept in KEPT:
        assert rows.all(kept) == [], kept


def test_a_word_that_asks_to_be_left_alone_is_answered_and_nobody_is_listed(
    pat: Staff, number: Sender, rows: Rows
) -> None:
    answers(rows, number, REPLY)
    shown = tried(pat, number, "Stop.", **{"as": "stranger"})
    assert "You are unsubscribed" in shown
    assert rows.all(SuppressionEntry) == []
    assert rows.all(SuppressionList) == []


def test_who_would_be_told_is_named_and_told_nothing(
    pat: Staff, number: Sender, rows: Rows, students: Population
) -> None:
    answers(rows, number, {"handler": "forward_to_email", "population": "students"})
    shown = tried(pat, number, "Is anybody there?", **{"as": "stranger"})
    assert "zoe@example.edu" in shown.partition("Who is told")[2]
    for kept in KEPT:
        assert rows.all(kept) == [], kept


@pytest.mark.parametrize(
    ("who", "says"),
    [
        pytest.param({"as": "phone", "as_phone": "call me"}, "phone", id="no phone"),
        pytest.param({"as": "phone"}, "phone", id="none typed"),
        pytest.param({"as": "opted_out"}, "Nobody has opted out so far.", id="nobody left"),
        pytest.param({"as": "list:nothing"}, "Nobody of that list", id="no such list"),
    ],
)
def test_a_part_that_nobody_can_take_is_told(
    pat: Staff, number: Sender, who: dict[str, str], says: str
) -> None:
    assert says in tried(pat, number, "Hours", 422, **who)


def test_a_text_that_twilio_does_not_pass_on_is_told(pat: Staff, number: Sender) -> None:
    assert "at most 1,600 characters" in tried(pat, number, "x" * 1601, 422, **{"as": "stranger"})
    tried(pat, number, "x" * 1600, **{"as": "stranger"})


def test_a_number_that_does_nothing_with_texts_says_so(pat: Staff, number: Sender) -> None:
    assert "As TwiML" in tried(pat, number, "Hours", **{"as": "stranger"})
