"""No template costs more than its budget, whatever it does, and none is judged by the clock.

The sources are bombs: each was slow, or a hang, in an engine that looks at time between the turns
of loops only. What is asserted first is the count, which is the same on any machine.
"""

from typing import Any

import pytest

from app.domain.content import budget, templates
from app.domain.content.budget import OverBudget
from app.domain.content.template_filters import FILTER_NAMES, TEST_NAMES
from app.domain.content.templates import TemplateProblem, TooMuchWork, check, render
from app.domain.content.voice_templates import check_voice_template
from tests.support import cost

WIDE = "{% set x = 'a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-' %}" + "{% set x = x ~ x %}" * 10
NESTED = "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40
PAIRED = "{% set x = (1, 2) %}" + "{% set x = (x, x) %}" * 40
ARGUMENTS = {"replace": "('a', 'b')", "truncate": "(9)", "default": "('a', true)"}

BOMBS: dict[str, str] = {
    **{
        f"filter {name}": WIDE + f"{{% set y = x|{name}{ARGUMENTS.get(name, '')} %}}" * 700
        for name in sorted(FILTER_NAMES)
    },
    "title": WIDE + "{{ x|title|length }}" * 900,
    "comparison": WIDE + "{% set y = x ~ '' %}" + "{% set z = x == y %}" * 700,
    "search": WIDE + "{% set z = 'b' in x %}" * 700,
    "slice": WIDE + "{% set z = x[::2] %}" * 700,
    "joining": WIDE + "{% set z = x ~ '' %}" * 700,
    "adding": WIDE + "{% set z = x + '' %}" * 700,
    "trimmed by many": WIDE + "{% set z = ('a' ~ x)|trim(x) %}" * 100,
    "lists in lists, shown": NESTED + "{{ x }}",
    "lists in lists, joined": NESTED + "{{ x ~ 'a' }}",
    "lists in lists, compared": NESTED + NESTED.replace("x", "y") + "{{ x == y }}",
    "lists in lists, measured": NESTED + "{{ x|string }}{{ x|length }}".replace("|string", "|e"),
    "pairs as a key": PAIRED + "{{ {x: 1} }}",
    "pairs as an index": PAIRED + "{{ values[x] is defined }}",
    "loops in loops": "{% for a in ten %}{% for b in ten %}{% for c in ten %}" + "{{ a ~ b }}" * 300
    + "{% endfor %}" * 3,
    "a deep list": "{% set x = [1] %}" + "{% set x = [x] %}" * 500 + "{{ x }}",
}  # fmt: skip
VALUES: dict[str, Any] = {"ten": list(range(10)), "values": {"a": 1}}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("xml", [False, True], ids=["text", "xml"])
def test_no_rendering_spends_more_than_its_budget(source: str, xml: bool) -> None:
    def spend() -> None:
        with budget.fresh() as spending:
            try:
                render(source, VALUES, xml)
            except TemplateProblem as problem:
                assert "Traceback" not in problem.message  # noqa: PT017 - refused, or small enough
            assert spending.spent <= budget.UNITS

    assert cost.seconds(spend, 1) < 1  # a fifth of it by itself


OPERATORS = {"==", "!=", ">", ">=", "<", "<="}
"""Tests that can only be written as operators; see the bomb “comparison”."""


@pytest.mark.parametrize("name", sorted((FILTER_NAMES | TEST_NAMES) - OPERATORS))
def test_every_filter_and_test_is_charged_by_the_size_of_what_it_works_on(name: str) -> None:
    with_two = {"eq", "equalto", "ne", "gt", "ge", "lt", "le", "in"}
    is_test, argument = name in TEST_NAMES, ARGUMENTS.get(name, "")
    expression = f"x is {name}{'(x)' if name in with_two else ''}"
    if not is_test:
        expression = f"x|{name}{argument}"

    def cost(size: int) -> int:
        with budget.fresh() as spending:
            try:
                render(f"{{% set y = {expression} %}}", {"x": "1" * size})
            except TooMuchWork:
                raise
            except TemplateProblem:
                pass  # not for such a value; what it was given has been weighed
            return spending.spent

    assert cost(20_000) - cost(10_000) >= 10_000


def test_all_renderings_of_a_request_share_one_budget() -> None:
    source = WIDE + "{{ x|length }}" * 10
    with budget.fresh() as spending:
        render(source, {})
        once = spending.spent
        render(source, {})
        assert spending.spent == 2 * once
    with budget.fresh(once * 2 - 1):
        render(source, {})
        with pytest.raises(TooMuchWork):
            render(source, {})


def test_only_renderings_are_timed_and_all_of_them_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(budget.time, "thread_time", lambda: float(next(clock)))
    with budget.fresh(seconds=25.0) as spending:
        for _ in range(5):
            next(clock)  # the request does something else
        for _ in range(2):
            with spending.rendering(1):  # ten seconds each
                spending.charge(0)
        with spending.rendering(1), pytest.raises(OverBudget, match="too long"):
            spending.charge(100_000)


def test_without_a_request_each_rendering_has_its_own() -> None:
    for _ in range(10):
        assert render(WIDE + "{{ x|length }}", {}) == "32768"


@pytest.mark.parametrize("kind", [check, check_voice_template], ids=["text", "call"])
def test_what_is_over_budget_is_refused_when_it_is_saved(kind: Any) -> None:
    body = f"<Response><Say>{WIDE}" + "{{ x|title|length }}" * 130 + "</Say></Response>"
    assert len(body) < 3_200

    def save() -> None:
        said = "Line 1: The template cannot be used: it takes too much"
        with pytest.raises(TooMuchWork, match=said):
            kind(body)

    assert cost.seconds(save, 1) < 1  # it took 31 s


def test_a_long_call_of_an_honest_department_is_saved() -> None:
    lines = "<Say>Hello {{ toName }}, your {{ course }} is in {{ room }}.</Say>\n" * 200
    assert check_voice_template(f"<Response>{lines}</Response>") == []


@pytest.mark.parametrize(
    "source",
    [
        "{{a}}" * 12_800, "{{a~b}}" * 9_000, "{{a<b}}" * 9_000, "{%if a%}{%endif%}" * 3_700,
        "{{[" + "1," * 31_000 + "]}}", "{{a" + "|e" * 31_000 + "}}", "{{a" + "+a" * 31_000 + "}}",
        "{{a" + "~a" * 31_000 + "}}", "{{a" + "[0]" * 20_000 + "}}", "{{a" + ".b" * 30_000 + "}}",
        "{%for a in b%}" * 15 + "{%set a=1%}" * 3_500 + "{%endfor%}" * 15,
        "{%if a%}" + "{%elif b%}" * 6_000 + "{%endif%}", "{{" * 32_000, "{#" * 32_000,
        "{%" + " " * 60_000, "{% " * 20_000, "{{ '" + "\\\\'" * 20_000, "{{" + "1" * 60_000 + "}}",
        "{{" + "1_" * 30_000 + "}}", "{{0x" + "f" * 60_000 + "}}", "{{ " + "1." * 30_000,
        "a\n   " * 12_000 + "{%-", "{{ 'a" * 12_000, "((" * 32_000, "((a" * 21_000,
        "((" + "a " * 31_000, "{ { " * 16_000, "<<a " * 16_000, "{% raw %}" + "{%" * 31_000,
        "{{ " + "a " * 31_000 + "}}", "{{ “" * 12_000 + "}}", "{{ " + "a or " * 12_000 + "}}",
        "{{ " + "a'" * 31_000 + "}}", "{% " + "a" * 60_000 + " %}", "{{" + "a" * 60_000 + "}}",
    ],
    ids=lambda source: source[:12],
)  # fmt: skip
def test_reading_any_source_takes_no_longer_than_a_moment(source: str) -> None:
    def read() -> None:
        for look in (check, templates.placeholders, check_voice_template):
            try:
                look(source)
            except TemplateProblem as problem:
                assert len(problem.message) < 1_000  # noqa: PT017 - read or refused, but soon

    assert cost.seconds(read, 2) < 2  # three looks, each a quarter of a second at most
