"""What a number may do with texts and calls, and the sentence for each thing it may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.content import catalog, recordings
from app.domain.mistakes import Refused
from app.domain.routing import routes
from app.extensions import unit_of_work
from app.models.audience import Member, Population
from app.models.client import Client
from app.models.credential import Credential
from app.models.endpoint import Endpoint, EndpointKind
from app.models.route import Destination, KeywordRule, Route
from app.models.sender import Sender, SenderKind, SenderType
from app.models.suppression import SuppressionList
from app.models.template import TemplateKind

PAT = "pat@example.edu"


class House:
    """A client with one of each thing that routes refer to."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.client = Client(name="registrar", owner_email=PAT)
        session.add(self.client)
        session.flush()
        self.credential = Credential(
            client_id=self.client.id, name="main", account_sid="AC" + "0" * 32, auth_token="t"
        )
        self.opted_out = SuppressionList(client_id=self.client.id, name="opted-out")
        session.add_all([self.credential, self.opted_out])
        session.flush()
        self.number = self.sender("+13195550100")
        for name in ("away", "hours"):
            catalog.save_template(session, self.client, name, TemplateKind.REPLY, name, [], PAT)
        catalog.save_template(session, self.client, "news", TemplateKind.SMS, "News", [], PAT)
        session.add(
            Endpoint(
                client_id=self.client.id,
                kind=EndpointKind.WEBHOOK,
                name="sis",
                url="https://sis.example.edu/hooks",
            )
        )
        recordings.save(session, self.client, "closed", "closed.mp3", b"ID3" + bytes(60), PAT)
        self.population("helpdesk", {"toName": "Help Desk", "toAddress": "help@example.edu"})
        self.population("phones", {"toPhone": "+13195550111"})

    def population(self, name: str, member: dict[str, str]) -> None:
        found = Population(client_id=self.client.id, name=name)
        self.session.add(found)
        self.session.flush()
        self.session.add(Member(roll=found.id, attributes=member))
        self.session.flush()

    def sender(self, address: str, **columns: Any) -> Sender:
        columns = {"kind": SenderKind.TWILIO, "type": SenderType.LONG_CODE, "rate": 1} | columns
        sender = Sender(
            client_id=self.client.id, credential_id=self.credential.id, address=address, **columns
        )
        self.session.add(sender)
        self.session.flush()
        return sender

    def save(self, data: dict[str, Any], destination: str, sender: Sender | None = None) -> Route:
        spec = routes.parse(Destination(destination), data)
        return routes.save_route(
            self.session, sender or self.number, Destination(destination), spec, PAT
        )


@pytest.fixture
def house(app: Flask) -> Iterator[House]:
    with app.app_context(), unit_of_work() as session:
        yield House(session)


GOOD = {
    "a reply": ("sms", {"handler": "auto_reply", "template": "away"}, "“away”"),
    "keywords": (
        "sms",
        {
            "handler": "auto_reply",
            "template": "away",
            "keywords": [
                {"match": "HOURS", "template": "hours"},
                {"match": "YES", "template": "away"},
            ],
        },
        "HOURS with “hours”",
    ),
    "e-mail": ("sms", {"handler": "forward_to_email", "population": "helpdesk"}, "“helpdesk”"),
    "webhook": ("sms", {"handler": "forward_to_webhook", "endpoint": "sis"}, "“sis”"),
    "own TwiML for texts": (
        "sms",
        {"handler": "handle_yourself", "url": "https://twiml.example.edu/sms?a=1"},
        "https://twiml.example.edu/sms?a=1",
    ),
    "speech": (
        "voice",
        {
            "handler": "play_message",
            "say": "We are closed.",
            "voice": "Polly.Joanna",
            "language": "en-US",
        },
        "We are closed.",
    ),
    "a neural voice": (
        "voice",
        {"handler": "play_message", "say": "Hello.", "voice": "Google.en-US-Neural2-A", "loop": 0},
        "again and again",
    ),
    "a recording": (
        "voice",
        {"handler": "play_message", "recording": "closed", "loop": 2},
        "2 times",
    ),
    "audio elsewhere": (
        "voice",
        {"handler": "play_message", "audio_url": "https://cdn.example.edu/closed.mp3"},
        "https://cdn.example.edu/closed.mp3",
    ),
    "a forward": ("voice", {"handler": "call_forward", "to": "+13195550123"}, "30 seconds"),
    "a forward with all": (
        "voice",
        {
            "handler": "call_forward",
            "to": "+13195550123",
            "timeout": 20,
            "caller_id": "number",
            "no_answer_say": "Nobody is here.",
        },
        "Nobody is here.",
    ),
    "a greeting of ours": ("voice", {"handler": "voicemail"}, "after the tone"),
    "messages for all": (
        "voice",
        {
            "handler": "voicemail", "say": "Hola.", "language": "es-MX", "voice": "Polly.Mia",
            "max_seconds": 60, "transcribe": True, "delete_at_twilio": True,
            "population": "helpdesk", "endpoint": "sis",
        },
        "up to 60 seconds, writes down what is said; mails it to the members of “helpdesk” and"
        " tells the endpoint “sis”.",
    ),
    "a recorded greeting": (
        "voice",
        {"handler": "voicemail", "recording": "closed"},
        "Plays the recording “closed” and takes a message of up to 120 seconds.",
    ),
    "own TwiML for calls": (
        "voice",
        {"handler": "handle_yourself", "url": "https://twiml.example.edu/voice"},
        "https://twiml.example.edu/voice",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("destination", "data", "words"), GOOD.values(), ids=GOOD)
def test_a_route_is_read_back_as_it_was_written(
    house: House, destination: str, data: dict[str, Any], words: str
) -> None:
    route = house.save(data, destination)
    assert routes.describe(route) == data
    assert words in routes.sentence(route)
    assert route.updated_by == PAT


def test_a_phone_is_kept_in_one_form_and_a_keyword_in_upper_case(house: House) -> None:
    forward = house.save({"handler": "call_forward", "to": "(319) 555-0123"}, "voice")
    assert routes.describe(forward)["to"] == "+13195550123"
    rules = [{"match": " hours ", "template": "hours"}]
    reply = house.save({"handler": "auto_reply", "template": "away", "keywords": rules}, "sms")
    assert routes.describe(reply)["keywords"] == [{"match": "HOURS", "template": "hours"}]


def test_saving_the_same_again_leaves_who_changed_it(house: House) -> None:
    data = {
        "handler": "auto_reply",
        "template": "away",
        "keywords": GOOD["keywords"][1]["keywords"],
    }
    first = house.save(data, "sms")
    spec = routes.parse(Destination.SMS, data)
    again = routes.save_route(house.session, house.number, Destination.SMS, spec, "lee@example.edu")
    assert (again.id, again.updated_by) == (first.id, PAT)


def test_another_handler_takes_the_place_of_the_first_with_nothing_left_over(house: House) -> None:
    house.save(GOOD["keywords"][1], "sms")
    route = house.save(GOOD["webhook"][1], "sms")
    assert routes.describe(route) == GOOD["webhook"][1]
    assert house.session.scalars(select(KeywordRule)).all() == []
    assert len(house.session.scalars(select(Route)).all()) == 1


BAD = {
    "no handler": ("sms", {"template": "away"}, "handler", "required"),
    "a handler for calls": (
        "sms", {"handler": "play_message", "say": "x"}, "handler", "auto_reply"),
    "a handler for texts": ("voice", {"handler": "auto_reply"}, "handler", "call_forward"),
    "no template": ("sms", {"handler": "auto_reply"}, "template", "required"),
    "an unknown template": ("sms", {"handler": "auto_reply", "template": "x"}, "template", "“x”"),
    "a template of texts": (
        "sms", {"handler": "auto_reply", "template": "news"}, "template", "kind sms"),
    "an unknown key": (
        "sms", {"handler": "auto_reply", "templat": "a", "template": "away"}, "templat",
        "did you mean “template”"),
    "a keyword rule's template": (
        "sms",
        {"handler": "auto_reply", "template": "away",
         "keywords": [{"match": "A", "template": "x"}]},
        "keywords[0].template", "“x”"),
    "two words": (
        "sms",
        {"handler": "auto_reply", "template": "away",
         "keywords": [{"match": "office hours", "template": "hours"}]},
        "keywords[0].match", "one word"),
    "an opt-out word": (
        "sms",
        {"handler": "auto_reply", "template": "away",
         "keywords": [{"match": "stop", "template": "hours"}]},
        "keywords[0].match", "opt out"),
    "a keyword twice": (
        "sms",
        {"handler": "auto_reply", "template": "away",
         "keywords": [{"match": "a", "template": "hours"}, {"match": "A", "template": "away"}]},
        "", "more than one rule"),
    "an unknown population": (
        "sms", {"handler": "forward_to_email", "population": "x"}, "population", "“x”"),
    "nobody with an address": (
        "sms", {"handler": "forward_to_email", "population": "phones"}, "population", "toAddress"),
    "an unknown endpoint": (
        "sms", {"handler": "forward_to_webhook", "endpoint": "x"}, "endpoint", "“x”"),
    "an insecure URL": (
        "sms", {"handler": "handle_yourself", "url": "http://sis.example.edu/"}, "url", "https://"),
    "no URL at all": ("sms", {"handler": "handle_yourself", "url": "sis"}, "url", "https://"),
    "a URL with a log-in": (
        "sms", {"handler": "handle_yourself", "url": "https://a:b@example.edu/"}, "url",
        "saved credential"),
    "nothing to play": ("voice", {"handler": "play_message"}, "", "exactly one"),
    "two things to play": (
        "voice", {"handler": "play_message", "say": "x", "recording": "closed"}, "", "exactly one"),
    "a voice for a recording": (
        "voice", {"handler": "play_message", "recording": "closed", "voice": "man"}, "", "belong"),
    "an unknown recording": (
        "voice", {"handler": "play_message", "recording": "x"}, "recording", "“x”"),
    "an unknown voice": (
        "voice", {"handler": "play_message", "say": "x", "voice": "Joanna"}, "voice", "Polly"),
    "no language": (
        "voice", {"handler": "play_message", "say": "x", "language": "English"}, "language",
        "en-US"),
    "too many loops": (
        "voice", {"handler": "play_message", "say": "x", "loop": 1001}, "loop", "1000 or less"),
    "two greetings": (
        "voice", {"handler": "voicemail", "say": "x", "recording": "closed"}, "", "neither"),
    "a voice without words": ("voice", {"handler": "voicemail", "voice": "man"}, "", "belong"),
    "an endless message": (
        "voice", {"handler": "voicemail", "max_seconds": 601}, "max_seconds", "600"),
    "longer than Twilio writes down": (
        "voice", {"handler": "voicemail", "max_seconds": 121, "transcribe": True}, "max_seconds",
        "at most 120"),
    "nobody to mail to": (
        "voice", {"handler": "voicemail", "population": "phones"}, "population", "e-mail address"),
    "no such system": ("voice", {"handler": "voicemail", "endpoint": "x"}, "endpoint", "“x”"),
    "no phone": ("voice", {"handler": "call_forward", "to": "nobody"}, "to", "letters"),
    "an emergency number": ("voice", {"handler": "call_forward", "to": "911"}, "to", "emergency"),
    "a premium number": (
        "voice", {"handler": "call_forward", "to": "+19005550123"}, "to", "premium"),
    "a foreign number": (
        "voice", {"handler": "call_forward", "to": "+442079460000"}, "to", "International"),
    "a Caribbean number": (
        "voice", {"handler": "call_forward", "to": "+18765550123"}, "to", "Caribbean"),
    "an own number": ("voice", {"handler": "call_forward", "to": "+13195550100"}, "to", "circles"),
    "too short a time": (
        "voice", {"handler": "call_forward", "to": "+13195550123", "timeout": 4}, "timeout",
        "5 or"),
    "too long a time": (
        "voice", {"handler": "call_forward", "to": "+13195550123", "timeout": 601}, "timeout",
        "600"),
    "another caller ID": (
        "voice", {"handler": "call_forward", "to": "+13195550123", "caller_id": "x"}, "caller_id",
        "caller, number"),
}  # fmt: skip


@pytest.mark.parametrize(("destination", "data", "field", "words"), BAD.values(), ids=BAD)
@pytest.mark.database("sqlite")
def test_a_wrong_route_is_refused_with_its_place_and_a_sentence(
    house: House, destination: str, data: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(Refused) as refused:
        house.save(data, destination)
    assert [mistake.field for mistake in refused.value.mistakes] == [field]
    assert words in refused.value.mistakes[0].message
    assert house.session.scalars(select(Route)).all() == []


def test_all_mistakes_are_told_at_once(house: House) -> None:
    rules = [{"match": "A", "template": "x"}, {"match": "B", "template": "news"}]
    with pytest.raises(Refused) as refused:
        house.save({"handler": "auto_reply", "template": "y", "keywords": rules}, "sms")
    assert [mistake.field for mistake in refused.value.mistakes] == [
        "template", "keywords[0].template", "keywords[1].template",
    ]  # fmt: skip


def test_a_client_that_may_reach_other_countries_forwards_there(house: House) -> None:
    house.client.international = True
    route = house.save({"handler": "call_forward", "to": "+442079460000"}, "voice")
    assert routes.describe(route)["to"] == "+442079460000"


SENDERS = {
    "texts of a verified number": (
        "+13195550101", {"kind": SenderKind.VERIFIED}, "sms", GOOD["a reply"][1], "institution"),
    "calls of a verified number": (
        "+13195550101", {"kind": SenderKind.VERIFIED}, "voice", GOOD["a forward"][1],
        "institution"),
    "calls of a short code": (
        "55555", {"type": SenderType.SHORT_CODE}, "voice", GOOD["a forward"][1], "short code"),
    "calls of a messaging service": (
        "MG" + "0" * 32, {"kind": SenderKind.MESSAGING_SERVICE, "name": "outreach"}, "voice",
        GOOD["a forward"][1], "messaging service"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("address", "columns", "destination", "data", "words"), SENDERS.values(), ids=SENDERS
)
@pytest.mark.database("sqlite")
def test_what_a_sender_cannot_do_is_refused(
    house: House, address: str, columns: dict[str, Any], destination: str, data: dict[str, Any],
    words: str,
) -> None:  # fmt: skip
    sender = house.sender(address, **columns)
    with pytest.raises(Refused, match=words):
        house.save(data, destination, sender)


class TestHandleYourselfAndSuppressionLists:
    """We would not see the STOP (requirements: a list needs a forward option)."""

    DATA = GOOD["own TwiML for texts"][1]

    def test_a_number_with_a_list_cannot_hand_its_texts_over(self, house: House) -> None:
        house.number.suppression_list_id = house.opted_out.id
        house.session.flush()
        with pytest.raises(Refused, match="STOP"):
            house.save(self.DATA, "sms")

    def test_nor_can_a_list_be_chosen_afterwards(self, house: House) -> None:
        house.save(self.DATA, "sms")
        assert routes.conflict(house.session, house.number) is None
        house.number.suppression_list_id = house.opted_out.id
        assert "STOP" in (routes.conflict(house.session, house.number) or "")

    @pytest.mark.parametrize("on_service", [True, False], ids=["service", "number"])
    def test_a_number_and_its_service_count_as_one(self, house: House, on_service: bool) -> None:
        kind = SenderKind.MESSAGING_SERVICE
        service = house.sender("MG" + "0" * 32, kind=kind, name="outreach")
        house.number.service_id = service.id
        owner, other = (service, house.number) if on_service else (house.number, service)
        owner.suppression_list_id = house.opted_out.id
        house.session.flush()
        with pytest.raises(Refused, match="STOP"):
            house.save(self.DATA, "sms", other)

    def test_calls_know_no_suppression_lists(self, house: House) -> None:
        house.number.suppression_list_id = house.opted_out.id
        house.session.flush()
        assert house.save(GOOD["own TwiML for calls"][1], "voice").url
