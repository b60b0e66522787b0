"""A client's TwiML goes by the rules of its texts and calls, and to nothing but its own.

Two clients share one Twilio account, as DESIGN allows: what the one writes must not use, call from
or listen to what is the other's.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, update
from sqlalchemy.engine import Connection

from app.domain.content import catalog
from app.domain.mistakes import Refused
from app.domain.sending import calls
from app.domain.sending.messages import Refusal
from app.domain.sending.twiml_rules import TwimlRules
from app.extensions import db, unit_of_work
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.communication import MachineDetection
from app.models.credential import Credential
from app.models.endpoint import Endpoint, EndpointKind
from app.models.message import Message
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind
from app.models.template import TemplateKind
from tests.support.house import House, furnish
from tests.support.our_calls import queued, told_by
from tests.support.rows import Rows

OTHERS = "+13195550199"
TO = "+13195550150"


@pytest.fixture
def house(rows: Rows) -> House:
    """A client with an endpoint, a number that it handles itself, and listed hosts; a neighbour."""
    furnish(rows, address=OTHERS)
    house = furnish(
        rows, twiml_hosts=["ivr.example.edu", "xn--bcher-kva.example", "port.example.edu:8443"],
        sip_domains=["pbx.example.edu"],
    )  # fmt: skip
    rows.add(
        Endpoint(client_id=house.client.id, kind=EndpointKind.WEBHOOK, name="sis",
                 url="https://sis.example.edu:8443/hooks"),
        Endpoint(client_id=house.client.id, kind=EndpointKind.PLAIN, name="d1",
                 url="https://plain.example.edu/{{ batchId }}"),
        Route(client_id=house.client.id, sender_id=house.sender.id, destination=Destination.SMS,
              handler=Handler.HANDLE_YOURSELF, url="https://own.example.edu/sms",
              updated_by="pat"),
    )  # fmt: skip
    return house


def queue(app: Flask, house: House, inside: str, **more: Any) -> str:
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        sender = session.get_one(Sender, house.sender.id)
        source = f"<Response>{inside}</Response>"
        return queued(session, client, sender, TO, source=source, **more).id


def served(app: Flask, message_id: str) -> str:
    with app.app_context(), unit_of_work() as session:
        return told_by(session, session.get_one(Message, message_id), None)


def dial(inside: str, attributes: str = "") -> str:
    return f"<Dial {attributes}>{inside}</Dial>"


ALLOWED = {
    "a phone": dial("+13195550111"),
    "its own number as caller": dial("+13195550111", 'callerId="+13195550100"'),
    "media from anywhere": "<Play>https://cdn.other.test/a.mp3</Play>",
    "a listed host": "<Redirect>https://ivr.example.edu/next?a=1</Redirect>",
    "a listed host, any port": "<Redirect>https://ivr.example.edu:8443/next</Redirect>",
    "a listed host with its port": "<Redirect>https://port.example.edu:8443/next</Redirect>",
    "a listed host in capitals": "<Redirect>https://IVR.Example.EDU/next</Redirect>",
    "a dot at the end": "<Redirect>https://ivr.example.edu./next</Redirect>",
    "a log-in for it": "<Redirect>https://u:p@ivr.example.edu/next</Redirect>",
    "the host of an endpoint": '<Gather action="https://sis.example.edu/keys"/>',
    "the host it handles itself": '<Record action="https://own.example.edu/r"/>',
    "letters of another alphabet, encoded":
        "<Redirect>https://xn--bcher-kva.example/n</Redirect>",
    "a listed SIP domain": dial("<Sip>sip:desk@pbx.example.edu;transport=tls</Sip>"),
    "several SIP addresses": dial("<Sip><Uri>sip:desk@pbx.example.edu</Uri>"
                                  "<Uri>sip:b@PBX.example.edu</Uri></Sip>"),
    "a conference": dial('<Conference waitUrl="">lobby</Conference>'),
    "a stream to a listed host":
        '<Connect><Stream url="wss://ivr.example.edu/s"/></Connect>',
}  # fmt: skip

HOST = "is no host of"
FORBIDDEN = {
    "the caller ID of a neighbour": (dial("+13195550111", f'callerId="{OTHERS}"'), "not a number"),
    "somebody's caller ID": (dial("+13195550111", 'callerId="+13195550123"'), "not a number"),
    "the called person's number": (dial("+13195550111", f'callerId="{TO}"'), "not a number"),
    "a caller ID in references":
        (dial("+13195550111", 'callerId="&#43;13195550199"'), "not a number"),
    "a name as caller ID": (dial("+13195550111", 'callerId="client:ann"'), "phone number"),
    "abroad": (dial("<Number>+442071838750</Number>"), "International"),
    "abroad by WhatsApp": (dial("<WhatsApp>+442071838750</WhatsApp>"), "International"),
    "premium": (dial("<Number>1 900 555 0150</Number>"), "premium"),
    "abroad with 011": (dial("<Number>011442071838750</Number>"), "International"),
    "in pieces": (dial("<Number>+4420<!-- -->71838750</Number>"), "International"),
    "in full width": (dial("<Number>＋４４２０７１８３８７５０</Number>"), "International"),
    "with an extension": (dial("<Number>+13195550111;ext=5</Number>"), "extension"),
    "tel:": (dial("<Number>tel:+442071838750</Number>"), "International"),
    "sip: in a Number": (dial("<Number>sip:+442071838750@x.test</Number>"), "channel address"),
    "client: in a Number": (dial("<Number>client:ann</Number>"), "channel address"),
    "sip: in a Dial": (dial("sip:desk@pbx.example.edu"), "channel address"),
    "a neighbour's number": (dial(OTHERS), "our own numbers"),
    "emergency": (dial("911"), "emergency"),
    "one good, one bad":
        (dial("<Number>+13195550111</Number><Number>+19005550150</Number>"), "premium"),
    "a text": ("<Sms to='+13195550150'>Hi</Sms>", "within a call"),
    "a text from a neighbour": (f"<Sms from='{OTHERS}'>Hi</Sms>", "within a call"),
    "an application": (dial("<Application>AP" + "0" * 32 + "</Application>"), "by its SID"),
    "another SIP domain": (dial("<Sip>sip:desk@evil.test</Sip>"), "no SIP domain"),
    "a SIP domain below": (dial("<Sip>sip:desk@x.pbx.example.edu</Sip>"), "no SIP domain"),
    "SIP in capitals": (dial("<Sip>SIP:desk@evil.test</Sip>"), "no SIP domain"),
    "SIP with two ats": (dial("<Sip>sip:a@evil.test@pbx.example.edu</Sip>"), "a SIP address"),
    "SIP that goes elsewhere":
        (dial("<Sip>sip:a@pbx.example.edu;maddr=evil.test</Sip>"), "a SIP address"),
    "SIP by a Uri": (dial("<Sip><Uri>sip:a@evil.test</Uri></Sip>"), "no SIP domain"),
    "handed on by Refer": ("<Refer><Sip>sip:a@evil.test</Sip></Refer>", "no SIP domain"),
    "another host": ("<Redirect>https://evil.test/</Redirect>", HOST),
    "http": ("<Redirect>http://evil.test/</Redirect>", HOST),
    "a host below": ("<Redirect>https://evil.ivr.example.edu/</Redirect>", HOST),
    "a host that begins like it": ("<Redirect>https://ivr.example.edu.evil.test/</Redirect>", HOST),
    "a user that looks like it": ("<Redirect>https://ivr.example.edu@evil.test/</Redirect>", HOST),
    "user and port": ("<Redirect>https://ivr.example.edu:443@evil.test/</Redirect>", HOST),
    "a backslash": ("<Redirect>https://evil.test\\@ivr.example.edu/</Redirect>", "an address"),
    "two ats": ("<Redirect>https://a@evil.test@ivr.example.edu/</Redirect>", "an address"),
    "an at in the query":
        ("<Redirect>https://evil.test?@ivr.example.edu/</Redirect>", "an address"),
    "an at in the fragment":
        ("<Redirect>https://evil.test#@ivr.example.edu/</Redirect>", "an address"),
    "another port": ("<Redirect>https://port.example.edu/</Redirect>", HOST),
    "mixed case": ("<Redirect>hTTps://evil.test/</Redirect>", "an address"),
    "a line break in it": ("<Redirect>https://evil\n.test/</Redirect>", "an address"),
    "other letters": ("<Redirect>https://bücher.example/</Redirect>", "an address"),
    "full stops of other alphabets":
        ("<Redirect>https://evil。test/</Redirect>", "an address"),
    "a number as host": ("<Redirect>https://2130706433/</Redirect>", HOST),
    "a plain URL is no endpoint": ("<Redirect>https://plain.example.edu/</Redirect>", HOST),
    "another scheme": ("<Redirect>javascript://ivr.example.edu/</Redirect>", "an address"),
    "no scheme": ("<Redirect>//evil.test/</Redirect>", "an address"),
    "Dispatch itself": ("<Redirect>https://dispatch.example.edu/inbound/voice</Redirect>",
                        "Dispatch itself"),
    "keys": ('<Gather action="https://evil.test/"/>', HOST),
    "keys, half typed": ('<Gather partialResultCallback="https://evil.test/"/>', HOST),
    "a recording": ('<Record recordingStatusCallback="https://evil.test/"/>', HOST),
    "a transcription": ('<Record transcribeCallback="https://evil.test/"/>', HOST),
    "a whisper":
        (dial('<Number url="https://evil.test/">+13195550111</Number>'), HOST),
    "the end of a call": (dial("+13195550111", 'action="https://evil.test/"'), HOST),
    "a refer": (dial("+13195550111", 'referUrl="https://evil.test/"'), HOST),
    "a detection":
        (dial('<Number amdStatusCallback="https://evil.test/">+13195550111</Number>'), HOST),
    "music in a conference":
        (dial('<Conference waitUrl="https://evil.test/">a</Conference>'), HOST),
    "news of a conference":
        (dial('<Conference statusCallback="https://evil.test/">a</Conference>'), HOST),
    "news, the old way":
        (dial('<Conference eventCallbackUrl="https://evil.test/">a</Conference>'), HOST),
    "music in a queue": ('<Enqueue waitUrl="https://evil.test/">a</Enqueue>', HOST),
    "a queue": (dial('<Queue url="https://evil.test/">a</Queue>'), HOST),
    "a stream": ('<Connect><Stream url="wss://evil.test/"/></Connect>', HOST),
    "a stream beside": ('<Start><Stream url="wss://evil.test/"/></Start>', HOST),
    "a machine that talks":
        ('<Connect><ConversationRelay url="wss://evil.test/"/></Connect>', HOST),
    "words of the call":
        ('<Start><Transcription statusCallbackUrl="https://evil.test/"/></Start>', HOST),
    "a payment":
        ('<Pay paymentConnector="a" statusCallback="https://evil.test/"/>', HOST),
    "a machine of the account":
        ('<Connect><AiSession aiConnector="x"/></Connect>', "by its SID"),
    "an unknown verb": ("<Bridge>+442071838750</Bridge>", "no <Bridge>"),
    "a verb in small letters": ("<dial>+442071838750</dial>", "did you mean <Dial>"),
    "an attribute of old": (dial("+13195550111", 'ifMachineUrl="https://evil.test/"'), "attribute"),
    "a namespace": ('<x:Dial xmlns:x="http://x">+442071838750</x:Dial>', "no <x:Dial>"),
    "somewhere inside": ('<Gather><Play>https://a.test/</Play></Gather>'
                         "<Start><Recording recordingStatusCallback='https://evil.test/'/></Start>",
                         HOST),
}  # fmt: skip


@pytest.mark.parametrize("inside", ALLOWED.values(), ids=list(ALLOWED))
@pytest.mark.database("sqlite")
def test_what_is_the_clients_own_may_be_used(inside: str, app: Flask, house: House) -> None:
    """Saved, queued and served."""
    save(app, house, f"<Response>{inside}</Response>")
    assert "We are sorry" not in served(app, queue(app, house, inside))


@pytest.mark.parametrize(("inside", "said"), FORBIDDEN.values(), ids=list(FORBIDDEN))
@pytest.mark.database("sqlite")
def test_everything_else_is_refused(
    inside: str, said: str, app: Flask, rows: Rows, house: House
) -> None:
    """When a template is saved, when a call is queued, and, had it been queued, when served."""
    with pytest.raises(Refused) as saving:
        save(app, house, f"<Response>{inside}</Response>")
    assert said in str(saving.value)
    with pytest.raises(Refusal, match=said) as queueing:
        queue(app, house, inside)
    assert queueing.value.field == "twiml"
    assert rows.count(Message) == 0
    waiting = queue(app, house, "<Hangup/>")
    rows.change(update(Message).values(twiml_source=f"<Response>{inside}</Response>"))
    assert "We are sorry" in served(app, waiting)


def save(app: Flask, house: House, body: str) -> None:
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        rules = TwimlRules(session, client).problems
        catalog.save_template(session, client, "call", TemplateKind.VOICE, body, [], "pat", rules)


@pytest.mark.parametrize(
    ("inside", "member", "said"),
    [
        ("<Redirect>{{ next }}</Redirect>", {"next": "https://evil.test/"}, HOST),
        ("<Redirect>https://{{ host }}/</Redirect>", {"host": "evil.test"}, HOST),
        ("<Redirect>https://ivr.example.edu{{ rest }}</Redirect>", {"rest": ".evil.test/"}, HOST),
        ("<Redirect>https://ivr.example.edu{{ rest }}</Redirect>", {"rest": "@evil.test/"}, HOST),
        (dial("{{ desk }}"), {"desk": "+19005550150"}, "premium"),
        (dial("+1319{{ desk }}"), {"desk": "5550100"}, "the sender itself"),
        (dial("+13195550111", 'callerId="{{ me }}"'), {"me": OTHERS}, "not a number"),
        (dial("<Sip>sip:a@{{ d }}</Sip>"), {"d": "evil.test"}, "no SIP domain"),
        ("<Say>{{ x }}</Say>", {"x": "</Say><Dial>+19005550150</Dial><Say>"}, None),
    ],
    ids=["an address", "a host", "the end of a host", "a user", "a phone", "a phone's end",
         "a caller ID", "a SIP domain", "TwiML in a value"],
)  # fmt: skip
@pytest.mark.database("sqlite")
def test_what_a_placeholder_brings_goes_by_the_same_rules(
    inside: str, member: dict[str, str], said: str | None, app: Flask, house: House
) -> None:
    """The template can be saved: with another value it is right."""
    save(app, house, f"<Response>{inside}</Response>")
    if said is None:
        assert "<Dial" not in served(app, queue(app, house, inside, member=member))
        return
    with pytest.raises(Refusal, match=said):
        queue(app, house, inside, member=member)


@pytest.mark.database("sqlite")
def test_only_a_machine_would_be_sent_elsewhere(app: Flask, house: House) -> None:
    inside = "{% if AnsweredBy == 'machine' %}<Redirect>https://evil.test/</Redirect>{% endif %}"
    with pytest.raises(Refused, match=HOST):
        save(app, house, f"<Response>{inside}</Response>")
    with pytest.raises(Refusal, match=HOST):
        queue(app, house, inside, machine_detection=MachineDetection.CONTINUE)


@pytest.mark.parametrize("whose", ["client", "credential"])
@pytest.mark.parametrize(
    "inside",
    ["<Redirect>https://ivr.example.edu/</Redirect>",
     '<Gather action="https://sis.example.edu/keys"/>',
     dial("<Sip>sip:desk@pbx.example.edu</Sip>")],
    ids=["a host", "an endpoint", "SIP"],
)  # fmt: skip
@pytest.mark.database("sqlite")
def test_on_trial_nothing_leads_elsewhere(
    inside: str, whose: str, app: Flask, rows: Rows, house: House
) -> None:
    if whose == "client":
        rows.change(update(Client).values(trial=True, allow_list=[TO]))
    else:
        rows.change(update(Credential).values(trial=True))
        rows.change(update(Client).values(allow_list=[TO]))
    with pytest.raises(Refusal, match=r"on trial|trial account"):
        queue(app, house, inside)


@pytest.mark.database("sqlite")
def test_a_client_that_was_halted_meanwhile_calls_nobody(
    app: Flask, rows: Rows, house: House
) -> None:
    waiting = queue(app, house, dial("+13195550111"))
    rows.change(update(Client).values(halted_at=utcnow()))
    assert "<Dial" not in served(app, waiting)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verified_at": utcnow()}, None),
        ({}, "has not been verified"),
        ({"verified_at": utcnow(), "stopped_at": utcnow(), "stopped_reason": "Gone."}, "stopped"),
    ],
    ids=["verified", "not verified", "stopped"],
)
@pytest.mark.database("sqlite")
def test_a_verified_number_may_be_shown(
    changes: dict[str, Any], said: str | None, app: Flask, rows: Rows, house: House
) -> None:
    rows.add(Sender(client_id=house.client.id, credential_id=house.credential.id,
                    kind=SenderKind.VERIFIED, address="+13195550177", rate=1,
                    **changes))  # fmt: skip
    inside = dial("+13195550111", 'callerId="+13195550177"')
    if said is None:
        assert 'callerId="+13195550177"' in served(app, queue(app, house, inside))
        return
    with pytest.raises(Refusal, match=said):
        queue(app, house, inside)


@pytest.mark.database("sqlite")
def test_a_number_of_another_account_of_the_client_cannot_be_shown(
    app: Flask, rows: Rows, house: House
) -> None:
    """Twilio would refuse the call when it is under way (13214)."""
    other = Credential(id=new_id(), client_id=house.client.id, name="other",
                       account_sid="AC" + "9" * 32, auth_token="t" * 32)  # fmt: skip
    rows.add(other)
    rows.add(Sender(client_id=house.client.id, credential_id=other.id, kind=SenderKind.TWILIO,
                    address="+13195550177", rate=1))  # fmt: skip
    with pytest.raises(Refusal, match="another Twilio account"):
        queue(app, house, dial("+13195550111", 'callerId="+13195550177"'))


def test_a_room_of_the_same_name_is_not_the_neighbours(app: Flask, rows: Rows) -> None:
    """Both share an account, and Twilio would put both calls into one conference."""
    one, other = furnish(rows), furnish(rows, address=OTHERS)
    room = dial("<Conference>lobby</Conference>")
    heard = [served(app, queue(app, house, room)) for house in (one, other)]
    assert f">{one.client.id}_lobby<" in heard[0]
    assert f">{other.client.id}_lobby<" in heard[1]


def test_what_many_members_get_is_judged_by_facts_that_are_read_once(
    app: Flask, house: House
) -> None:
    asked: list[str] = []

    def count(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    source = (
        '<Response><Gather action="https://sis.example.edu/{{ n }}"/>'
        '<Dial callerId="+13195550100">+13195550111</Dial></Response>'
    )
    with app.app_context(), unit_of_work() as session:
        client = session.get_one(Client, house.client.id)
        rules = TwimlRules(session, client, session.get_one(Sender, house.sender.id))
        event.listen(db.engine, "before_cursor_execute", count)
        for n in range(50):
            calls.prepare(source, {"n": n}, MachineDetection.OFF, rules)
        event.remove(db.engine, "before_cursor_execute", count)
    assert len(asked) <= 5
