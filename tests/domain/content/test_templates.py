"""Templates: placeholders in words of staff, errors in sentences, and no way out of the room."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.content import templates
from app.domain.content.templates import (
    MissingAttributes,
    TemplateProblem,
    missing,
    placeholders,
    render,
)
from tests.support import cost

PAT: dict[str, Any] = {
    "toName": "Pat",
    "course": "Math 101",
    "seats": 3,
    "tags": ["new", "evening"],
    "address": {"city": "Iowa City", "items": "kept"},
    "nothing": None,
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Hi {{ toName }}, your class {{ course }} starts Monday.",
         "Hi Pat, your class Math 101 starts Monday."),
        ("{% if seats > 2 %}room{% elif seats %}tight{% else %}full{% endif %}", "room"),
        ("{% for tag in tags %}{{ loop.index }}.{{ tag }}{% if not loop.last %}, {% endif %}"
         "{% endfor %}", "1.new, 2.evening"),
        ("{% set greeting = 'Hi ' ~ toName %}{{ greeting }}!", "Hi Pat!"),
        ("{{ address.city }} {{ address['city'] }} {{ tags[0] }} {{ toName[:1] }}",
         "Iowa City Iowa City new P"),
        ("{{ address.items }}", "kept"),
        ("{{ nick|default(toName) }} {{ toName|upper }} {{ tags|join(', ') }}",
         "Pat PAT new, evening"),
        ("{{ toName|replace('P', 'C') }} {{ 2.345|round(1) }} {{ tags|length }}", "Cat 2.3 2"),
        ("{% if nick is defined %}{{ nick }}{% else %}-{% endif %}", "-"),
        ("{{ 'yes' if seats is odd else 'no' }} {{ seats * 2 + 1 }} {{ 'a' + 'b' }}", "yes 7 ab"),
        ("[{{ nothing }}]{{ '|' ~ nothing ~ '|' }}", "[]||"),
        ("{# a remark #}{% raw %}{{ kept }}{% endraw %}", "{{ kept }}"),
        ("", ""),
        ("Grüße 👍 < & >", "Grüße 👍 < & >"),
    ],
    ids=["placeholders", "condition", "loop", "set", "elements", "a key that Python has too",
         "filters", "own filters", "is defined", "expressions", "nothing", "raw", "empty", "plain"],
)  # fmt: skip
def test_what_templates_can_do(source: str, expected: str) -> None:
    assert render(source, PAT) == expected


class TestXml:
    def test_values_are_escaped_and_the_source_is_not(self) -> None:
        source = (
            "<Say voice='{{ v }}'>{{ a }} {{ a ~ '&' }} {{ [a, '<']|join('>') }} {{ a|e }}</Say>"
        )
        rendered = render(source, {"a": "<&\"'", "v": "x' y='"}, autoescape_xml=True)
        element = ET.fromstring(rendered)
        assert element.text == "<&\"' <&\"'& <&\"'>< <&\"'"
        assert element.attrib == {"voice": "x' y='"}

    def test_characters_that_xml_forbids_are_removed(self) -> None:
        rendered = render("<Say>{{ a }}{{ a ~ '' }}</Say>", {"a": "x\x07\ud800y"}, True)
        assert ET.fromstring(rendered).text == "xyxy"

    def test_a_value_is_never_markup(self) -> None:
        hostile = {"a": "</Say><Dial>900</Dial>", "b": {"__html__": "<x/>"}}
        rendered = render("<Say>{{ a|upper }}{{ a[:6] }}{{ b }}{{ a|trim }}</Say>", hostile, True)
        assert len(ET.fromstring(rendered)) == 0

    @given(st.dictionaries(st.sampled_from("ab"), st.text(st.characters()), min_size=2))
    def test_any_value_gives_sound_xml(self, values: dict[str, str]) -> None:
        source = '<Say x="{{ a }}">{{ a }}{{ a ~ b }}{{ [a, b]|join(a) }}{{ b|title }}</Say>'
        ET.fromstring(render(source, {"a": "", "b": "", **values}, autoescape_xml=True))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("{{ a }} {{ b.c }} {% if d %}{{ e }}{% endif %}{% for f in g %}{{ f }}{{ h }}{% endfor %}",
         {"a", "b", "d", "e", "g", "h"}),
        ("{% set x = y %}{{ x }}", {"y"}),
        ("no placeholders", set()),
        ("{% raw %}{{ a }}{% endraw %}", set()),
    ],
)  # fmt: skip
def test_placeholders(source: str, names: set[str]) -> None:
    assert placeholders(source) == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("{{ a }} {{ toName }} {{ b|upper }} {{ a }}", ["a", "b"]),
        ("{{ a.b.c }} {{ address.zip }}", ["a", "zip"]),
        ("{% if seats %}{{ x }}{% else %}{{ y }}{% endif %}", ["x"]),
        ("{% if vip %}{{ code }}{% endif %}{{ x }}", ["x"]),
        ("{% if vip is defined %}{{ vip }}{% endif %}", []),
        ("{{ vip|default('no') }}", []),
        ("{% for z in zs %}{{ q }}{% endfor %}{{ x }}", ["zs", "x"]),
        ("{{ a + 1 }} {{ b > 2 }} {{ c ~ 'x' }} {{ d == 1 }} {{ e in tags }} {{ -1 * f }}",
         ["a", "c", "f"]),
        ("{{ nick or 'there' }} {{ nick or year }} {{ nick or toName }}", ["year"]),
        ("{% if a.b and 3 in c and not d[0] and e == f.g %}{{ x }}{% endif %}", []),
        ("{{ a|int }} {{ b|float }} {{ c|length }} {{ d|join }} {{ e|replace('a', 'b') }}",
         ["a", "b", "c", "d", "e"]),
        ("{{ a|int + 5 / b|int }}", ["a", "b"]),
        ("{{ toName }}", []),
    ],
    ids=["once each", "inside values", "only the side taken", "a missing condition is false",
         "is defined", "default", "loops", "operators", "before or",
         "only tested", "filters",
         "what fails only because of them", "none"],
)  # fmt: skip
def test_missing_attributes_all_at_once(source: str, names: list[str]) -> None:
    assert missing(source, PAT) == names
    if names:
        with pytest.raises(MissingAttributes) as refused:
            render(source, PAT)
        assert refused.value.names == names
    else:
        render(source, PAT)


def test_missing_attributes_are_named_in_one_sentence() -> None:
    with pytest.raises(MissingAttributes) as refused:
        render("Hi\n{{ nick }} {{ year }}", PAT)
    assert refused.value.message == "Line 2: The template uses “nick”, “year”, which have no value."


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("Hi {{ toName", 1, "is not closed. Write }} at its end: {{ toName }}"),
        ("one\n{% if x %}\nthree", 2, "“{% if x %}” has no end. Write {% endif %}"),
        ("one\ntwo {% foo %}", 2, "“{% foo %}” is unknown. A person's value is put in with {{"),
        ("{{ toName|uper }}", 1, "There is no filter “uper”; did you mean “upper”?"),
        ("{{ toName|xmlattr }}", 1, "There is no filter “xmlattr”"),
        ("{{ x is definite }}", 1, "There is no test “definite”"),
        ("a\n\n{{ toName.upper() }}", 3, "Functions cannot be called"),
        ("{{ 2 ** 9 }}", 1, "Powers"),
        ("{% include 'x' %}", 1, "cannot include"),
        ("{% import 'x' as y %}", 1, "cannot import"),
        ("{% from 'x' import y %}", 1, "cannot import"),
        ("{% extends 'x' %}", 1, "cannot extend"),
        ("{% macro m() %}{% endmacro %}", 1, "Macros"),
        ("{% block b %}{% endblock %}", 1, "“block” cannot be used"),
        ("{% filter upper %}x{% endfilter %}", 1, "“filterblock” cannot be used"),
        ("{% set x %}{% endset %}", 1, "“assignblock” cannot be used"),
        ("{% for a in b recursive %}{% endfor %}", 1, "recursive"),
        ("{{ 1 / 0 }}", 1, "divides by zero"),
        ("a\n{{ toName > 3 }}", 2, "|int"),
        ("{{ 'a' * 3 }}", 1, "numbers only"),
        ("{% for c in toName %}{{ c }}{% endfor %}", 1, "a loop goes over a list"),
        ("x" * 64_001, None, "64,001 characters"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", None, "nested too deeply"),
        ("{% if 1 %}" * 500 + "{% endif %}" * 500, None, "nested too deeply"),
        ("{{ " + "-" * 9000 + "1 }}", None, "nested too deeply"),
    ],
)  # fmt: skip
def test_mistakes_are_sentences_with_their_line(source: str, line: int | None, said: str) -> None:
    with pytest.raises(TemplateProblem) as refused:
        render(source, PAT)
    assert refused.value.line == line
    assert said in refused.value.message
    assert refused.value.message.endswith((".", "?"))


ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ config }}",
    "{{ request.application.__globals__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner }}",
    "{{ namespace(a=1) }}",
    "{{ range(10) }}",
    "{{ dict(a=1) }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ '%s'|format(1) }}",
    "{{ '{0.__class__}'.format('') }}",
    "{{ 'a'.join }}",
    "{{ tags.append }}",
    "{{ address.update }}",
    "{{ toName.upper }}",
    "{{ [].pop }}",
    "{{ (1).bit_length }}",
    "{% for x in tags %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in tags %}{{ loop['__init__'] }}{% endfor %}",
    "{% for x in tags %}{{ loop._iterable }}{% endfor %}",
    "{% for x in tags %}{{ loop.cycle }}{% endfor %}",
    "{{ tags|map('upper') }}",
    "{{ tags|map(attribute='__class__')|list }}",
    "{{ address|tojson }}",
    "{{ '<b>'|safe }}",
    "{{ _budget }}",
    "{{ tags|_each }}",
    "{{ [1]|_concat }}",
    "{% set _budget = 1 %}",
    "{{ caller() }}",
    "{{ toName|first.__class__ }}",
    "{{ ['__cla', 'ss__']|join }}{{ ''[['__cla', 'ss__']|join] }}",
    "{{ undefined_thing.__class__ }}",
    "{% with x = 1 %}{{ x }}{% endwith %}",
    "{% autoescape false %}{% endautoescape %}",
    "{% do tags.append(1) %}",
    "{% call x() %}{% endcall %}",
]


@pytest.mark.parametrize("source", ESCAPES)
@pytest.mark.parametrize("xml", [False, True], ids=["text", "xml"])
def test_there_is_no_way_out(source: str, xml: bool) -> None:
    with pytest.raises(TemplateProblem):
        render(source, PAT, xml)


DOUBLING = "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a OP a %}" * 60 + "{{ a }}"
BOMBS = {
    "power": "{{ 9**9**9 }}",
    "repeat": "{{ 'a' * 1000000000 }}",
    "repeat reversed": "{{ 1000000000 * 'a' }}",
    "repeat list": "{{ [0] * 1000000000 }}",
    "format width": "{{ '%1000000000d' % 1 }}",
    "doubling with ~": DOUBLING.replace("OP", "~"),
    "doubling with +": DOUBLING.replace("OP", "+"),
    "doubling a list": "{% set a = [1] %}" + "{% set a = a + a %}" * 60,
    "doubling by join": "{% set a = 'aa' %}" + "{% set a = [a, a]|join %}" * 60 + "{{ a }}",
    "wide separator": "{% set a = 'a' %}" + "{% set a = [a, a, a]|join(a) %}" * 60 + "{{ a }}",
    "replace": "{% set a = 'aaaaaaaa' %}" + "{% set a = a|replace('a', a) %}" * 20 + "{{ a }}",
    "replace nothing": "{{ 'aaaa'|replace('', 'bbbb') }}",
    "escape": "{{ ('&' ~ '')" + "|e|upper" * 40 + "|length }}" + DOUBLING.replace("OP", "~"),
    "round": "{% set x = 1.5|round(1000000000) %}{{ x * 'a' }}",
    "nested loops": "".join(f"{{% for a{n} in ten %}}" for n in range(12)) + "x"
    + "{% endfor %}" * 12,
    "nested literal loops": "{% for a in [1,2,3,4,5,6,7,8,9,10] %}" * 15 + "{% endfor %}" * 15,
    "large numbers": "{% set a = 999999999 %}" + "{% set a = a * a %}" * 60,
    "number as text": "{{ ('9' ~ '9')|int * 999999999999999 }}",
    "long output": "{% for a in hundred %}{% for b in ten %}{{ long }}{% endfor %}{% endfor %}",
    "long value": "{{ long ~ long ~ long }}",
}  # fmt: skip


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_nothing_grows_or_takes_long(source: str) -> None:
    attributes = {"ten": list(range(10)), "hundred": list(range(100)), "long": "x" * 30_000}

    def refuse() -> None:
        with pytest.raises(TemplateProblem):
            render(source, attributes)

    assert cost.seconds(refuse, 3) < 3


def test_the_most_a_template_can_do_is_quick() -> None:
    source = "{% for a in rows %}" + "{% set l = long|replace('x', 'y') %}" * 100 + "{% endfor %}"
    attributes = {"rows": list(range(1000)), "long": "x" * 60_000}

    def refuse() -> None:
        with pytest.raises(TemplateProblem, match="too much work"):
            render(source, attributes)

    assert cost.seconds(refuse, 1) < 1  # a tenth of it by itself


def test_attributes_cannot_raise_the_budget() -> None:
    with pytest.raises(TemplateProblem, match="1000 turns"):
        render("{% for a in rows %}{% endfor %}", {"rows": [0] * 1001, "_budget": None})


def test_attributes_are_not_changed() -> None:
    attributes = {"a": "x", "rows": [1]}
    render("{% set a = 'y' %}{% for a in rows %}{{ a }}{% endfor %}", attributes)
    assert attributes == {"a": "x", "rows": [1]}


@given(st.text(alphabet="{}%# abx.|'\"[]()~+-*/=<>_0123\n") | st.text())
def test_any_source_renders_or_is_refused_in_words(source: str) -> None:
    for attempt in (
        lambda: render(source, PAT),
        lambda: missing(source, PAT),
        lambda: placeholders(source),
    ):
        try:
            attempt()
        except TemplateProblem as problem:
            assert problem.message  # noqa: PT017 - either outcome is right


def test_a_template_is_compiled_once() -> None:
    source = "Hi {{ toName }} (compiled once)"
    before = templates._compiled.cache_info().misses
    for _ in range(50):
        render(source, PAT)
    assert templates._compiled.cache_info().misses == before + 1
