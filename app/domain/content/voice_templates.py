"""Templates of calls: TwiML with placeholders, checked when they are saved.

What a placeholder will hold is not known then. So the template is rendered with several kinds of
samples, and only what is wrong with every one of them is a mistake: a misspelled verb is wrong
with all, the voice ``{{ voice }}`` is right with one. Each sample is tried as true and as false,
so that both sides of a condition are looked at.
"""

from __future__ import annotations

import re
from functools import partial
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
from app.twiml.check import check_document
from app.twiml.parse import Problem

ANSWERED_BY: Final = "AnsweredBy"
_ANSWERS: Final = ("", "human", "machine")
SAMPLES_UNITS: Final = 5 * budget.UNITS
SAMPLES_SECONDS: Final = 2.0
"""What all renderings with samples may cost; each alone may cost no more than at run time."""
_SAMPLES: Final = ("1", "+13195550100", "https://example.edu/", "man", "en-US", "true", "GET")


def check_voice_template(source: str) -> list[Problem]:
    """Return all mistakes of the TwiML that `source` makes, with their lines; none: it is sound.

    It is checked for a call answered by a human, by a machine, and before that is known, and with
    conditions on attributes met and not met. Where the
    samples do not fit the template (it compares them with a number, say) only the template itself
    is checked.

    Raises TemplateProblem if it is no template at all.
    """
    check(source)
    with budget.fresh(SAMPLES_UNITS, SAMPLES_SECONDS):
        found: dict[tuple[int, str], Problem] = {}
        checked: Checked = {}
        for answer in _ANSWERS:
            for kind in (str, _Unset):
                found |= _wrong_with_all_samples(source, answer, kind, checked)
    return sorted(found.values(), key=lambda problem: (problem.line, problem.column))


Checked = dict[str, dict[tuple[int, str], Problem]]
"""The mistakes of each document, so that the same one is looked at once."""


class _Unset(str):
    """A text that a condition takes for an empty one."""

    def __bool__(self) -> bool:
        return False


def _wrong_with_all_samples(
    source: str, answer: str, kind: type[str], checked: Checked
) -> dict[tuple[int, str], Problem]:
    names = placeholders(source)
    common: dict[tuple[int, str], Problem] | None = None
    for sample in _SAMPLES if names - {ANSWERED_BY} else _SAMPLES[:1]:
        leaf = partial(_same, kind(sample))
        attributes = {**examples(source, leaf), ANSWERED_BY: answer}
        try:
            document = render(source, attributes, autoescape_xml=True)
        except TooMuchWork:
            raise
        except TemplateProblem:
            continue  # this sample does not fit; the template itself has been checked
        if document not in checked:
            checked[document] = {_key(problem): problem for problem in check_document(document)}
        problems = checked[document]
        common = problems if common is None else {k: common[k] for k in common if k in problems}
    return common or {}


def _same(value: str, _name: str) -> str:
    return value


def _key(problem: Problem) -> tuple[int, str]:
    """Return what makes a mistake the same one, whatever the sample: not its quoted value."""
    return problem.line, re.sub("“.*?”", "", problem.message)
