"""Templates of calls are checked as TwiML, whatever their placeholders will hold."""

import pytest

from app.domain.content.templates import TemplateProblem
from app.domain.content.voice_templates import check_voice_template


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
        ("<Response><Say>{{ toName }}</Response>", 1, "does not match"),
        ("Hello {{ toName }}", 1, "not XML"),
        ("<Response><Say loop='many {{ n }}'>x</Say></Response>", 1, "whole number"),
    ],
    ids=["verb", "attribute", "only for a machine", "not well-formed", "no XML", "never right"],
)  # fmt: skip
def test_mistakes(source: str, line: int, said: str) -> None:
    (problem,) = check_voice_template(source)
    assert problem.line == line
    assert said in problem.message


def test_what_is_no_template_at_all() -> None:
    with pytest.raises(TemplateProblem):
        check_voice_template("<Response><Say>{{ toName </Say></Response>")
