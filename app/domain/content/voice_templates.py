"""Templates of calls: TwiML with placeholders, checked when they are saved.

What a placeholder will hold is not known then. So the template is rendered with several kinds of
samples, and only what is wrong with every one of them is a mistake: a misspelled verb is wrong
with all, the voice ``{{ voice }}`` is right with one. Each sample is tried as true and as false,
so that both sides of a condition are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache, partial
from typing import Final

from app.domain.content import budget
from app.domain.content.templates import (
    TemplateProblem,
    TooMuchWork,
    check,
    examples,
    placeholders,
    render,
)
from app.twiml.check import mistakes_in
from app.twiml.parse import Element, Problem, Unreadable, parse

ANSWERED_BY: Final = "AnsweredBy"
_ANSWERS: Final = ("", "human", "machine")
SAMPLES_UNITS: Final = 5 * budget.UNITS
SAMPLES_SECONDS: Final = 2.0
"""What all renderings with samples may cost; each alone may cost no more than at run time."""
_SAMPLES: Final = ("1", "+13195550100", "https://example.edu/", "man", "en-US", "true", "GET")


Found = dict[tuple[int, str], Problem]
"""Mistakes by what makes each the same one, whatever the sample."""
Rules = Callable[[Element], Iterable[Problem]]
"""Says what of a document the client may not have, whatever its form."""


def form_only(_root: Element) -> Iterable[Problem]:
    """Forbid nothing: who owns the template, or what is the client's, is not known yet."""
    return ()


def check_voice_template(source: str, rules: Rules = form_only) -> list[Problem]:
    """Return all mistakes of the TwiML that `source` makes, with their lines; none: it is sound.

    It is checked for a call answered by a human, by a machine, and before that is known, and with
    conditions on attributes met and not met. Where the
    samples do not fit the template (it compares them with a number, say) only the template itself
    is checked. What is written down in it goes by `rules` too; what a placeholder brings does when
    it is used.

    Raises TemplateProblem if it is no template at all.
    """
    look = cache(partial(_problems, rules))  # the same document is looked at once
    found: Found = {}
    for documents in sampled(source):
        found |= _wrong_in_all(look(document) for document in documents)
    return sorted(found.values(), key=lambda problem: (problem.line, problem.column))


@lru_cache(maxsize=16)
def sampled(source: str) -> tuple[tuple[str, ...], ...]:
    """Return what a template makes: for each answer, with and without values, a document of each
    sample that fits. Whoever looks before a transaction opens renders nothing within it.

    :raises TemplateProblem: if it is no template at all.
    """
    check(source)
    names = placeholders(source) - {ANSWERED_BY}
    samples = _SAMPLES if names else _SAMPLES[:1]
    with budget.fresh(SAMPLES_UNITS, SAMPLES_SECONDS):
        return tuple(
            tuple(_documents(source, answer, map(kind, samples)))
            for answer in _ANSWERS
            for kind in (str, _Unset)
        )


class _Unset(str):
    """A text that a condition takes for an empty one."""

    def __bool__(self) -> bool:
        return False


def _documents(source: str, answer: str, samples: Iterable[str]) -> Iterator[str]:
    for sample in samples:
        attributes = {**examples(source, partial(_same, sample)), ANSWERED_BY: answer}
        try:
            yield render(source, attributes, autoescape_xml=True)
        except TooMuchWork:
            raise
        except TemplateProblem:
            continue  # this sample does not fit; the template itself has been checked


def _wrong_in_all(each: Iterable[Found]) -> Found:
    common: Found | None = None
    for problems in each:
        common = problems if common is None else {k: common[k] for k in common if k in problems}
    return common or {}


def _same(value: str, _name: str) -> str:
    return value


def _problems(rules: Rules, document: str) -> Found:
    return dict(_each_problem(rules, document))


def _each_problem(rules: Rules, document: str) -> Iterator[tuple[tuple[int, str], Problem]]:
    try:
        root = parse(document)
    except Unreadable as error:
        yield _key(error.problem), error.problem
        return
    for problem in mistakes_in(root):
        yield _key(problem), problem
    for problem in rules(root):
        # These name what they forbid: if that comes from a placeholder, it differs by the sample.
        yield (problem.line, problem.message), problem


def _key(problem: Problem) -> tuple[int, str]:
    """Return what makes a mistake the same one, whatever the sample: not its quoted value."""
    return problem.line, re.sub("“[^“”]*”", "", problem.message)
