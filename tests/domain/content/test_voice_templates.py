"""Templates of calls are checked as TwiML, whatever their placeholders will hold."""

import re

import pytest
from flask import Flask

from app.domain.content import catalog
from app.domain.content.templates import TemplateProblem
from app.domain.content.voice_templates import check_voice_template
from app.domain.mistakes import Refused
from app.extensions import unit_of_work
from app.models.client import Client
from app.models.template import Template, TemplateKind
from tests.support.rows import Rows


@pytest.mark.parametrize(
    "source",
    [
        "<Response><Say>Hello {{ toName }}. {% if AnsweredBy == 'machine' %}Please call back."
        "{% endif %}</Say></Response>",
        "<Response><Say voice='{{ voice }}' language=\"{{ lang }}\" loop='{{ n }}'>x</Say>"
        "</Response>",
        "<Response><Play>{{ audio }}</Play><Redirect method='{{ m }}'>{{ next }}</Redirect>"
        "</Response>",
        "<Response><Dial callerId='{{ from }}'><Number>{{ phone }}</Number></Dial></Response>",
        "<Response>{% for line in lines %}<Say>{{ line }}</Say>{% endfor %}</Response>",
        "<Response><Say>{{ address.city }} {{ seats + 1 }}</Say></Response>",
        "<Response>{% if AnsweredBy == 'machine' %}<Hangup/>{% else %}<Say>Hi</Say>{% endif %}"
        "</Response>",
    ],
    ids=[
        "the usual",
        "attributes",
        "addresses",
        "numbers",
        "a loop",
        "values in values",
        "answers",
    ],
)
def test_sound_templates(source: str) -> None:
    assert check_voice_template(source) == []


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("<Response>\n<say>Hi {{ toName }}</say></Response>", 2, "did you mean <Say>?"),
        ("<Response>\n<Say voice='{{ v }}' Loop='{{ n }}'>x</Say></Response>", 2, "Loop"),
        ("<Response><Say>Hi</Say>\n{% if AnsweredBy == 'machine' %}<Redirect/>{% endif %}"
         "</Response>", 2, "for ever"),
        ("<Response>{% if vip %}<Say>Hi</Say>{% else %}\n<Sya>Hello</Sya>{% endif %}</Response>",
         2, "did you mean <Say>?"),
        ("<Response><Say>{{ toName }}</Response>", 1, "does not match"),
        ("Hello {{ toName }}", 1, "not XML"),
        ("<Response><Say loop='many {{ n }}'>x</Say></Response>", 1, "whole number"),
    ],
    ids=["verb", "attribute", "only for a machine", "only for some",
         "not well-formed", "no XML", "never right"],
)  # fmt: skip
def test_mistakes(source: str, line: int, said: str) -> None:
    (problem,) = check_voice_template(source)
    assert problem.line == line
    assert said in problem.message


def test_what_is_no_template_at_all() -> None:
    with pytest.raises(TemplateProblem):
        check_voice_template("<Response><Say>{{ toName </Say></Response>")


WRONG = {
    "a misspelled verb": ("<Sya>Hi</Sya>", "did you mean <Say>?"),
    "a verb in small letters": ("<say>Hi</say>", "did you mean <Say>?"),
    "a verb of texts": ("<Message>Hi</Message>", "There is no <Message> here"),
    "an attribute that is none": ('<Say colour="red">Hi</Say>', "no attribute colour"),
    "an attribute in capitals": ('<Say Voice="man">Hi</Say>', "did you mean voice?"),
    "a voice that is none": ('<Say voice="Joanna">Hi</Say>', "voice of <Say> has to be man"),
    "a language that is none": ('<Say language="English!">Hi</Say>', "a language such as en-US"),
    "too many loops": ('<Say loop="1001">Hi</Say>', "from 0 to 1000"),
    "a long speech": ("<Say>" + "a" * 4097 + "</Say>", "more than 4,096 characters"),
    "nothing to play": ("<Play/>", "neither an address nor digits"),
    "a file without an address": ("<Play>closed.mp3</Play>", "begins with https://"),
    "a pause of words": ('<Pause length="long"/>', "a whole number"),
    "keys that are none": ('<Gather finishOnKey="x"/>', "keys out of 0-9, * and #"),
    "an input that is none": ('<Gather input="keys"/>', "dtmf, speech"),
    "a call inside a question": ("<Gather><Dial>+13195550111</Dial></Gather>", "not allowed"),
    "an endless recording": ('<Record maxLength="99999"/>', "from 1 to 14400"),
    "nobody to call": ("<Dial/>", "nobody to call"),
    "a number outside of Dial": ("<Number>+13195550111</Number>", "not allowed inside <Response>"),
    "ringing too long": ('<Dial timeout="601">+13195550111</Dial>', "from 1 to 600"),
    "round in circles": ("<Redirect/>", "for ever"),
    "a reason that is none": ('<Reject reason="away"/>', "rejected, busy"),
    "words outside of Say": ("Hello", "Twilio ignores the text"),
    "an ampersand": ("<Say>Fish & chips</Say>", "&amp;"),
    "not closed": ("<Say>Hi", "does not match"),
    "a placeholder that is not closed": ("<Say>{{ toName </Say>", "Line 1"),
    "a function": ("<Say>{{ toName() }}</Say>", "Functions cannot be called"),
}


@pytest.mark.parametrize(("inside", "said"), WRONG.values(), ids=list(WRONG))
@pytest.mark.database("sqlite")
def test_a_wrong_one_is_not_saved_and_a_sentence_says_why(
    inside: str, said: str, app: Flask, rows: Rows
) -> None:
    with app.app_context(), pytest.raises(Refused) as refused:
        save(f"<Response>{inside}</Response>")
    [mistake] = refused.value.mistakes
    assert mistake.path == ("body",)
    assert said in mistake.message
    assert re.match(r"Line 1: .*[.?]$", mistake.message)
    assert rows.count(Template) == 0


def save(body: str) -> None:
    with unit_of_work() as session:
        client = Client(name="registrar", owner_email="pat@example.edu")
        session.add(client)
        session.flush()
        catalog.save_template(session, client, "call", TemplateKind.VOICE, body, [], "pat")
