"""Templates: text with placeholders, rendered for one person.

The language is Jinja2's: ``{{ toName }}``, ``{% if %}``, ``{% for %}``, ``{% set %}`` and a small
set of filters. An attribute without a value is an error unless the template provides for it
(``{{ nick|default(toName) }}``, ``{% if nick is defined %}``). See
`app.domain.content.template_sandbox` for what keeps a hostile template harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from jinja2 import Template, TemplateError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError

from app.domain.content import budget, samples, template_foreign, template_names
from app.domain.content.template_filters import MAX_ITERATIONS, MAX_OUTPUT, STEP, too_large
from app.domain.content.template_reading import (
    MAX_SOURCE,
    TOO_DEEP,
    TemplateProblem,
    hyphenated,
    parsed,
)
from app.domain.content.template_sandbox import Guard, Room, collected, count

__all__ = [
    "MAX_SOURCE",
    "MissingAttributes",
    "TemplateProblem",
    "TooMuchWork",
    "check",
    "examples",
    "missing",
    "placeholders",
    "render",
]

MAX_HINTS: Final = 5
SAVED_UNITS: Final = budget.UNITS // 4
"""What filling a template in with examples may cost: people's own values may be longer."""
_ROOMS: Final = {False: Room(autoescape_xml=False), True: Room(autoescape_xml=True)}
# What a rendering can raise besides Jinja's own errors: the template divides by zero, compares a
# text with a number, slices a mapping.
_RUNTIME_ERRORS: Final = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)


class TooMuchWork(TemplateProblem):
    """Filling in the template would cost more than the budget has left."""


class MissingAttributes(TemplateProblem):
    """The template uses attributes that have no value; `names` are all of them."""

    def __init__(
        self, names: list[str], line: int | None = None, known: Iterable[str] = ()
    ) -> None:
        self.names = names
        quoted = ", ".join(f"“{name}”" for name in names)
        verb = "has" if len(names) == 1 else "have"
        meant = [(name, template_names.nearest(name, tuple(known))) for name in names[:MAX_HINTS]]
        hints = [f"{{{{ {near} }}}} in place of {{{{ {name} }}}}" for name, near in meant if near]
        hint = f"; did you mean {' and '.join(hints)}?" if hints else ""
        super().__init__(f"The template uses {quoted}, which {verb} no value{hint}", line)


class _Compiled(NamedTuple):
    """A template ready to be filled in."""

    template: Template
    weight: int
    """What passing each of its nodes once costs, in units of the budget."""


@lru_cache(maxsize=64)
def check(source: str) -> None:
    """Look at a template that is to be saved.

    :raises TemplateProblem: with its line, if it cannot be rendered, costs too much to render, or
        has a placeholder as other programs write it.
    """
    _compiled(source, False)
    if fault := template_foreign.foreign(source) or hyphenated(source):
        raise TemplateProblem(*fault)
    try:
        with budget.fresh(SAVED_UNITS):
            render(source, examples(source))
    except TooMuchWork:
        raise
    except TemplateProblem:
        return  # the examples do not fit; only a person's own values tell


def examples(source: str, leaf: samples.Leaf = "[{}]".format) -> dict[str, Any]:
    """Return an example for each attribute that `source` mentions, of the shape that it needs.

    :param leaf: makes the example of a text from the name of its attribute.
    :raises TemplateProblem: if it cannot be rendered at all.
    """
    return samples.examples(_read(source), leaf)


def placeholders(source: str) -> set[str]:
    """Return the names of all attributes that `source` mentions, conditional ones included.

    Raises TemplateProblem if it cannot be rendered at all.
    """
    return set(_placeholders(source))


def missing(source: str, attributes: Mapping[str, Any]) -> list[str]:
    """Return every attribute that rendering needs and `attributes` lack, in order of use.

    Only what would be used counts: not the untaken side of a condition, nor what has a default.
    A condition on a missing attribute counts as false. Raises TemplateProblem for other faults.
    """
    names: list[str] = []
    token = collected.set(names)
    try:
        _rendered(_compiled(source, False), attributes)
    except TemplateProblem:
        # With the missing ones read as empty, a calculation may fail that would be sound.
        if not names:
            raise
    finally:
        collected.reset(token)
    return names


def render(source: str, attributes: Mapping[str, Any], autoescape_xml: bool = False) -> str:
    """Return `source` with `attributes` put in.

    With `autoescape_xml` values are escaped for XML and rid of characters XML forbids: for TwiML.
    Raises MissingAttributes naming all that lack a value, or TemplateProblem, each a sentence.
    """
    return _rendered(_compiled(source, autoescape_xml), attributes, source)


@lru_cache(maxsize=512)
def _compiled(source: str, autoescape_xml: bool) -> _Compiled:
    room = _ROOMS[autoescape_xml]
    tree = parsed(source)
    weight = STEP * count(tree)
    try:
        code = room.compile(Guard().visit(tree), None, None)
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise TemplateProblem(TOO_DEEP) from error
    return _Compiled(Template.from_code(room, code, {}), weight)


@lru_cache(maxsize=64)
def _read(source: str) -> nodes.Template:
    """Return the tree of a template to look at; compiling changes it, and needs one of its own."""
    return parsed(source)


@lru_cache(maxsize=512)
def _placeholders(source: str) -> frozenset[str]:
    return frozenset(meta.find_undeclared_variables(_read(source)))


def _rendered(made: _Compiled, attributes: Mapping[str, Any], source: str | None = None) -> str:
    try:
        with budget.shared() as spending, spending.rendering(MAX_ITERATIONS):
            spending.charge(made.weight)
            context = made.template.new_context({**_with_names(attributes)})
            return _text(made.template.root_render_func(context))
    except budget.OverBudget as error:
        raise TooMuchWork(f"The template cannot be used: {error.message}", _line(error)) from error
    except UndefinedError as error:
        names = missing(source, attributes) if source is not None else []
        if names:
            raise MissingAttributes(names, _line(error), attributes) from error
        raise TemplateProblem(_UNFIT, _line(error)) from error
    except SecurityError as error:
        raise TemplateProblem(
            f"The template cannot be used: {error.message}", _line(error)
        ) from error
    except ZeroDivisionError as error:
        raise TemplateProblem("The template divides by zero here", _line(error)) from error
    except (*_RUNTIME_ERRORS, TemplateError) as error:
        raise TemplateProblem(_UNFIT, _line(error)) from error


_UNFIT: Final = (
    "This does not go together with the person's values. A text is neither compared nor calculated"
    " with a number unless |int or |float reads it as one, as in {{ year|int + 1 }}; a dot only"
    " goes into a value that has parts"
)


def _with_names(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let attributes whose names have spaces and the like be used: “First name” as First_name."""
    aliases = {
        template_names.attribute_name(name): value
        for name, value in attributes.items()
        if not name.isidentifier()
    }
    return {**aliases, **attributes} if aliases else attributes


def _text(rendered: Iterable[str]) -> str:
    chunks: list[str] = []
    size = 0
    for chunk in rendered:
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_OUTPUT:
            too_large()
    return "".join(chunks)


def _line(error: BaseException) -> int | None:
    """Return the line of the template that was being rendered when `error` was raised."""
    line, trace = None, error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line
