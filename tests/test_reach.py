"""Who may be reached: every rule, in one wording, at every door.

The rules are DESIGN's (5.1.5, 5.2, 5.3, “Halted” in 4.7). A door is any way by which a text or a
call can leave; each says why it stays shut, and the sentence of one rule is the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.domain import clocks, reach, urls
from app.domain.mistakes import Refused
from app.domain.reach import Refusal
from app.domain.routing import routes
from app.domain.sending import communications, composing, preflight, texts
from app.domain.sending.twiml_rules import TwimlRules
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.communication import Communication
from app.models.credential import Credential
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointKind
from app.models.incoming import Incoming
from app.models.message import Lane, Message, MessageState
from app.models.route import Destination, Handler
from app.models.sender import Sender, SenderType
from app.models.suppression import SuppressionEntry, SuppressionSource
from app.outbound.send import claims
from app.outbound.send.claims import LaneView
from app.staff.numbers import route_preview
from tests.support import house as furniture
from tests.support.inbound import NUMBER, PHONE, Department
from tests.support.our_calls import queued
from tests.support.rows import Rows
from tests.support.twilio import Twilio

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
OURS = "+13195550101"
SAY = "<Response><Say>Hello</Say></Response>"


@dataclass(frozen=True)
class Rule:
    """What is set up, the phone that is tried, and what everybody is told."""

    words: str
    phone: str = PHONE
    client: dict[str, Any] = field(default_factory=dict)
    credential: dict[str, Any] = field(default_factory=dict)
    sender: dict[str, Any] = field(default_factory=dict)
    texts_only: bool = False
    silences: bool = False
    """Nothing goes out, whoever it is for; a route may be saved all the same."""


RULES = {
    "not enabled": Rule("Twilio is not enabled for registrar", client={"twilio_enabled": False},
                        silences=True),
    "halted": Rule("registrar is halted", client={"halted_at": SINCE}, silences=True),
    "stopped number": Rule("+13195550100 has been stopped: no such number", silences=True,
                           sender={"stopped_at": SINCE, "stopped_reason": "no such number"}),
    "stopped account": Rule("+13195550100 has been stopped: suspended", silences=True,
                            credential={"stopped_at": SINCE, "stopped_reason": "suspended"}),
    "trial client": Rule("is not on the allow-list, and registrar is on trial",
                         client={"trial": True}),
    "trial account": Rule("is not on the allow-list, and the Twilio account of the credential"
                          " “main” is a trial account", credential={"trial": True}),
    "international": Rule("outside the +1 calling code", "+442079460018"),
    "Caribbean": Rule("belongs to a Caribbean or Atlantic country", "+18765550100"),
    "premium": Rule("is a premium-rate, satellite or special-service number", "+19005550100",
                    {"international": True}),
    "satellite": Rule("is a premium-rate, satellite or special-service number", "+881612345678",
                      {"international": True}),
    "personal number": Rule("is a premium-rate, satellite or special-service number",
                            "+447012345678", {"international": True}),
    "Canada's services": Rule("is a premium-rate, satellite or special-service number",
                              "+16225550100"),
    "nobody's area": Rule("nobody has", "+15555555555"),
    "emergency": Rule("is an emergency or service number", "911"),
    "hidden caller": Rule("stands for a hidden caller", "+86282452253", {"international": True}),
    "our own number": Rule("is one of our own numbers", OURS),
    "the number itself": Rule("is the sender itself", NUMBER),
    "suppressed": Rule("This phone has opted out of texts from this sender.", "+13195550188",
                       texts_only=True),
}  # fmt: skip


@dataclass
class Set:
    """A department with everything that a door needs, in the state of a rule."""

    app: Flask
    rows: Rows
    twilio: Twilio
    rule: Rule
    department: Department
    number: Sender
    list_id: str

    def objects(self) -> tuple[Client, Sender]:
        session = db.session()
        return (
            session.get_one(Client, self.department.client.id),
            session.get_one(Sender, self.number.id),
        )

    def communication(self, destination: Destination) -> Communication:
        house = furniture.House(self.department.client, self.department.credential, self.number)
        list_id = self.list_id if destination is Destination.SMS else None
        body = "Hello" if destination is Destination.SMS else SAY
        made = furniture.communication(
            self.rows, house, body, destination=destination, suppression_list_id=list_id
        )
        furniture.join(self.rows, made, {"toPhone": self.rule.phone})
        return made


Door = Callable[[Set], str | None]


def _tried(what: Callable[[], object]) -> str | None:
    try:
        what()
    except Refusal as refusal:
        return refusal.sentence
    return None


def single_text(a: Set) -> str | None:
    with a.app.app_context(), unit_of_work() as session:
        client, sender = a.objects()
        sent: list[Message] = []

        def queue() -> None:
            sent.append(texts.queue_text(session, client, sender, a.rule.phone, body="Hello"))

        return _tried(queue) or sent[0].error_message


def single_call(a: Set) -> str | None:
    with a.app.app_context(), unit_of_work() as session:
        client, sender = a.objects()
        return _tried(lambda: queued(session, client, sender, a.rule.phone, source=SAY))


def _batch(a: Set, destination: Destination) -> str | None:
    made = a.communication(destination)
    with a.app.app_context(), unit_of_work() as session:
        client, sender = a.objects()
        fresh = session.get_one(Communication, made.id)
        if silent := _tried(lambda: communications.start_batch(session, fresh, actor="pat")):
            return silent
        plan = communications.pin(session, fresh)
        found: list[composing.Composed] = []

        def compose() -> None:
            rules = TwimlRules(session, client, sender)
            found.append(composing.compose(plan, client, sender, {"toPhone": a.rule.phone}, rules))

        if refused := _tried(compose):
            return refused
        left = composing.unreachable(
            session, plan.destination, plan.suppression_list_id, client, sender, {found[0].to}
        )
        return left[found[0].to].sentence if left else None


def batch_of_texts(a: Set) -> str | None:
    return _batch(a, Destination.SMS)


def batch_of_calls(a: Set) -> str | None:
    return _batch(a, Destination.VOICE)


def _before(a: Set, destination: Destination) -> str | None:
    made = a.communication(destination)
    with a.app.app_context():
        found = preflight.preflight(db.session(), db.session.get_one(Communication, made.id))
        said = [*found.problems, *(sentence for _, sentence in found.examples)]
        if found.suppressed:
            said.append("This phone has opted out of texts from this sender.")
        return " ".join(said) or None


def pre_flight_of_texts(a: Set) -> str | None:
    return _before(a, Destination.SMS)


def pre_flight_of_calls(a: Set) -> str | None:
    return _before(a, Destination.VOICE)


def reply(a: Set) -> str | None:
    answer = a.twilio.sms(From=a.rule.phone)
    assert answer.status_code == 200
    if "<Message" in answer.text:
        return None
    incoming = a.rows.one(Incoming)
    return incoming.error or _neutral(incoming.outcome)


def claim(a: Set) -> str | None:
    """What waits already is asked again when its turn comes."""
    house = furniture.House(a.department.client, a.department.credential, a.number)
    key = f"sms:{a.number.id}"
    waiting = furniture.text(
        house, to=a.rule.phone, suppression_list_id=a.list_id, lane_key=key, due_at=SINCE
    )
    a.rows.add(waiting, Lane(key=key, rate=1, lease_token="T" * 26))
    with a.app.app_context(), unit_of_work() as session:
        view = LaneView(key, 1, 0)
        if claims.claim(session, [(view, 9)], clocks.db_now_us(session), "T" * 26):
            return None
    message = a.rows.one(Message)
    if message.state is MessageState.WAITING:  # until it may go: it is not lost
        with a.app.app_context():
            client, sender = a.objects()
            credential = db.session.get_one(Credential, sender.credential_id)
            silence = reach.silence(reach.standing(client, sender, credential))
            return silence.sentence if silence else None
    return message.error_message


def _neutral(outcome: str) -> str:
    return "Twilio is not enabled for registrar" if outcome == "not_enabled" else ""


def _forwards(a: Set) -> None:
    a.department.route(
        a.number,
        Handler.CALL_FORWARD,
        Destination.VOICE,
        options={"to": a.rule.phone, "timeout": 30},
    )


def forwarded_call(a: Set) -> str | None:
    _forwards(a)
    answer = a.twilio.call(From="+13195550177")
    assert answer.status_code == 200
    if "<Dial" in answer.text:
        assert "timeLimit=" in answer.text
        return None
    incoming = a.rows.one(Incoming)
    return incoming.error or _neutral(incoming.outcome)


def rung_phones(a: Set) -> str | None:
    people = [{"to": a.rule.phone, "seconds": 20}]
    a.department.route(a.number, Handler.RING, Destination.VOICE, options={"people": people})
    answer = a.twilio.call(From="+13195550177")
    assert answer.status_code == 200
    if "<Dial" in answer.text:
        assert "timeLimit=" in answer.text
        return None
    incoming = a.rows.one(Incoming)
    return incoming.error or _neutral(incoming.outcome)


def rung_phones_when_saved(a: Set) -> str | None:
    return _saved(a, {"handler": "ring", "people": [{"to": a.rule.phone}]})


def route_when_saved(a: Set) -> str | None:
    return _saved(a, {"handler": "call_forward", "to": a.rule.phone})


def _saved(a: Set, written: dict[str, Any]) -> str | None:
    with a.app.app_context(), unit_of_work() as session:
        _, sender = a.objects()
        try:
            spec = routes.parse(Destination.VOICE, written)
            routes.check(session, sender, Destination.VOICE, spec)
        except Refused as refused:
            return str(refused)
    return None


def preview_of_a_forward(a: Set) -> str | None:
    _forwards(a)
    with a.app.app_context():
        found = route_preview.now(db.session(), a.objects()[1], Destination.VOICE)
        assert found is not None
        return None if "<Dial" in found.twiml else found.why


def preview_of_a_reply(a: Set) -> str | None:
    with a.app.app_context():
        found = route_preview.now(db.session(), a.objects()[1], Destination.SMS)
        assert found is not None
        return None if "<Message" in found.twiml else found.why


def twiml_that_dials(a: Set) -> str | None:
    with a.app.app_context(), unit_of_work() as session:
        client, sender = a.objects()
        source = f"<Response><Dial><Number>{a.rule.phone}</Number></Dial></Response>"
        return _tried(lambda: queued(session, client, sender, "+13195550177", source=source))


TO_ANYBODY: dict[str, Door] = {
    door.__name__: door
    for door in (
        single_text, single_call, batch_of_texts, batch_of_calls, pre_flight_of_texts,
        pre_flight_of_calls, claim, reply, forwarded_call, route_when_saved, preview_of_a_forward,
        rung_phones, rung_phones_when_saved,
    )
}  # fmt: skip
CALLS = {"single_call", "batch_of_calls", "pre_flight_of_calls", "forwarded_call",
         "route_when_saved", "preview_of_a_forward", "rung_phones",
         "rung_phones_when_saved"}  # fmt: skip
SAVED = {"route_when_saved", "rung_phones_when_saved"}
INVALID = {"nobody's area", "emergency", "hidden caller"}
"""As members and routes write them, these are no phones at all, which is said in its own words."""


@pytest.fixture
def scene(app: Flask, rows: Rows, twilio: Twilio) -> Callable[[Rule], Set]:
    def build(rule: Rule) -> Set:
        department = Department(rows, **rule.client)
        suppressed = department.suppression_list()
        number = department.auto_reply(suppression_list_id=suppressed.id, **rule.sender)
        department.number(OURS)
        if rule.credential:
            rows.change(update(Credential).values(**rule.credential))
        rows.add(
            SuppressionEntry(
                list_id=suppressed.id, phone="+13195550188", source=SuppressionSource.MANUAL,
                scope="all", since=SINCE,
            )
        )  # fmt: skip
        return Set(app, rows, twilio, rule, department, number, suppressed.id)

    return build


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("door", TO_ANYBODY)
@pytest.mark.parametrize("name", RULES)
def test_each_rule_at_each_door(scene: Callable[[Rule], Set], name: str, door: str) -> None:
    rule = RULES[name]
    said = TO_ANYBODY[door](scene(rule))
    if (rule.texts_only and door in CALLS) or (rule.silences and door in SAVED):
        assert said is None
        return
    assert said, f"{door} lets {name} through"
    assert rule.words in said or (name in INVALID and rule.phone in said)


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("door", TO_ANYBODY)
def test_nothing_forbids_what_is_right(scene: Callable[[Rule], Set], door: str) -> None:
    on_trial = Rule("", PHONE, {"trial": True, "allow_list": [PHONE, "+13195550177"]})
    assert TO_ANYBODY[door](scene(on_trial)) is None


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.silences])
def test_a_preview_shows_no_reply_that_nobody_gets(scene: Callable[[Rule], Set], name: str) -> None:
    said = preview_of_a_reply(scene(RULES[name]))
    assert said is not None
    assert RULES[name].words in said


NOT_BY_TWIML = {"not enabled", "halted", "stopped number", "stopped account", "suppressed",
                "the number itself", "trial account"}  # fmt: skip
"""Of the call as a whole, of its sender, or of texts."""


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("name", [name for name in RULES if name not in NOT_BY_TWIML])
def test_what_twiml_may_dial(scene: Callable[[Rule], Set], name: str) -> None:
    allowed = {"allow_list": ["+13195550177"]} if "trial" in name else {}
    rule = RULES[name]
    given = Rule(rule.words, rule.phone, {**rule.client, **allowed}, rule.credential, rule.sender)
    said = twiml_that_dials(scene(given))
    assert said
    assert re.match("In the TwiML: ", said)
    assert rule.words in said or name in INVALID


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("name", "handler", "goes_on"),
    [
        ("halted", Handler.FORWARD_TO_WEBHOOK, True),
        ("stopped number", Handler.FORWARD_TO_WEBHOOK, True),
        ("halted", Handler.HANDLE_YOURSELF, False),
        ("stopped account", Handler.HANDLE_YOURSELF, False),
        *((name, Handler.HANDLE_YOURSELF, False) for name in RULES if "trial" in name),
    ],
)
def test_forwards_go_on_and_nothing_else(
    app: Flask, rows: Rows, twilio: Twilio, name: str, handler: Handler, goes_on: bool
) -> None:
    rule = RULES[name]
    department = Department(rows, **rule.client)
    number = department.number(**rule.sender)
    if rule.credential:
        rows.change(update(Credential).values(**rule.credential))
    endpoint = Endpoint(
        client_id=department.client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url="https://sis.example.edu/hooks",
    )  # fmt: skip
    rows.add(endpoint)
    where = {"endpoint_id": endpoint.id} if goes_on else {"url": "https://sis.example.edu/twiml"}
    department.route(number, handler, **where)
    answer = twilio.sms()
    assert "<Message" not in answer.text
    assert "<Redirect" not in answer.text
    assert rows.count(Delivery) == int(goes_on)


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("name", [name for name in RULES if "trial" in name])
@pytest.mark.parametrize("destination", list(Destination))
def test_on_trial_no_other_system_answers(
    app: Flask, rows: Rows, twilio: Twilio, name: str, destination: Destination
) -> None:
    rule = RULES[name]
    department = Department(rows)
    number = department.number()
    own = {"handler": "handle_yourself", "url": "https://sis.example.edu/twiml"}
    route = department.route(number, Handler.HANDLE_YOURSELF, destination, url=own["url"])
    rows.change(update(Client).values(trial=rule.client.get("trial", False)))
    rows.change(update(Credential).values(trial=rule.credential.get("trial", False)))
    answer = twilio.sms() if destination is Destination.SMS else twilio.call()
    assert answer.status_code == 200
    assert "<Redirect" not in answer.text
    found = rows.one(Incoming)
    assert found.outcome == "not_replied"
    assert "trial" in (found.error or "")
    with app.app_context(), unit_of_work() as session:
        sender = session.get_one(Sender, number.id)
        with pytest.raises(Refused, match="another system may not answer"):
            routes.check(session, sender, destination, routes.parse(destination, own))
    assert route is None or route.url == own["url"]


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("body", ["STOP", "HELP"])
def test_a_stop_is_confirmed_even_while_nothing_goes_out(
    rows: Rows, twilio: Twilio, body: str
) -> None:
    department = Department(rows, halted_at=SINCE)
    listed = department.suppression_list()
    department.auto_reply(
        address="12345", type=SenderType.SHORT_CODE, suppression_list_id=listed.id
    )  # Twilio leaves the answer of short codes to us
    answer = twilio.sms(To="12345", Body=body)
    assert ("<Message" in answer.text) is (body == "STOP")
    assert rows.count(SuppressionEntry) == int(body == "STOP")


OURS_WRITTEN = [
    "https://dispatch.example.edu/inbound/sms",
    "https://dispatch.example.edu",
    "https://DISPATCH.Example.EDU/x",
    "https://dispatch.example.edu./x",
    "https://dispatch.example.edu:8443/x",
    "https://dispatch.example.edu:443/x?y=1",
    "https://ｄｉｓｐａｔｃｈ.example.edu/x",
    "https://dispatch。example。edu/x",
]


@pytest.mark.database("sqlite")
@pytest.mark.settings(PUBLIC_BASE_URL="https://dispatch.example.edu")
@pytest.mark.parametrize("url", OURS_WRITTEN)
@pytest.mark.parametrize("destination", list(Destination))
def test_nobody_is_sent_round_in_circles(
    app: Flask, rows: Rows, client: FlaskClient, url: str, destination: Destination
) -> None:
    department = Department(rows)
    number = department.number()
    with app.app_context(), unit_of_work() as session:
        sender = session.get_one(Sender, number.id)
        spec = routes.parse(destination, {"handler": "handle_yourself", "url": url})
        with pytest.raises(Refused, match="Dispatch's own address"):
            routes.check(session, sender, destination, spec)
        other = routes.parse(
            destination, {"handler": "handle_yourself", "url": "https://sis.example.edu/twiml"}
        )
        routes.check(session, sender, destination, other)
    department.route(
        number, Handler.HANDLE_YOURSELF, destination, url=url
    )  # as an old one may stand
    twilio = Twilio(client, "https://dispatch.example.edu")
    answer = twilio.sms() if destination is Destination.SMS else twilio.call()
    assert answer.status_code == 200
    assert "<Redirect" not in answer.text
    assert rows.one(Incoming).outcome == "loop_stopped"


@pytest.mark.database("sqlite")
@pytest.mark.settings(PUBLIC_BASE_URL="https://bücher.example.edu")
@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("https://bücher.example.edu/x", True),
        ("https://xn--bcher-kva.example.edu/x", True),
        ("https://BÜCHER.example.edu.:9/x", True),
        ("https://bucher.example.edu/x", False),
        ("https://example.edu/x", False),
        ("https://bücher.example.edu.evil.example/x", False),
        ("nonsense", False),
    ],
)
def test_an_international_name_is_one_name(app: Flask, url: str, here: bool) -> None:
    with app.app_context():
        assert urls.points_here(url) is here


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.silences])
def test_no_call_gets_more_than_the_neutral_sentence(
    scene: Callable[[Rule], Set], name: str
) -> None:
    a = scene(RULES[name])
    for handler, columns in {
        Handler.PLAY_MESSAGE: {"options": {"say": "We are closed."}},
        Handler.HANDLE_YOURSELF: {"url": "https://registrar.example.edu/voice"},
        Handler.CALL_FORWARD: {"options": {"to": PHONE, "timeout": 30}},
    }.items():
        route = a.department.route(a.number, handler, Destination.VOICE, **columns)
        answer = a.twilio.call(From="+13195550177")
        assert "This number does not take calls" in answer.text
        a.rows.change(route.__table__.delete().where(route.__table__.c.id == route.id))
