"""Templates: text with placeholders, rendered for one person.

The language is Jinja2's: ``{{ toName }}``, ``{% if %}``, ``{% for %}``, ``{% set %}`` and a small
set of filters. An attribute without a value is an error unless the template provides for it
(``{{ nick|default(toName) }}``, ``{% if nick is defined %}``). See
`app.domain.content.template_sandbox` for what keeps a hostile template harmless.
"""

import difflib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import Template, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes

from app.domain.content.template_sandbox import (
    ALLOWED_NODES,
    BUDGET,
    FILTER_NAMES,
    MAX_OUTPUT,
    TEST_NAMES,
    Budget,
    Guard,
    Room,
    collected,
    too_large,
)

MAX_SOURCE: Final = 64_000
"""Longest template source in characters."""

_REFUSED: Final[tuple[tuple[type[nodes.Node], str], ...]] = (
    (nodes.Call, "Functions cannot be called in a template; use a filter, as in {{ name|upper }}"),
    (nodes.Pow, "Powers (**) cannot be calculated in a template"),
    (nodes.Include, "A template cannot include another one"),
    (nodes.Import, "A template cannot import another one"),
    (nodes.FromImport, "A template cannot import another one"),
    (nodes.Extends, "A template cannot extend another one"),
    (nodes.Macro, "Macros cannot be defined in a template"),
)
_ROOMS: Final = {False: Room(autoescape_xml=False), True: Room(autoescape_xml=True)}
# What a rendering can raise besides Jinja's own errors: the template divides by zero, compares a
# text with a number, slices a mapping.
_RUNTIME_ERRORS: Final = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)


class TemplateProblem(ValueError):
    """A template cannot be used: `message` is a sentence for people, `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        text = message if message.endswith((".", "!", "?")) else f"{message}."
        self.message = f"Line {line}: {text}" if line else text
        self.line = line
        super().__init__(self.message)


class MissingAttributes(TemplateProblem):
    """The template uses attributes that have no value; `names` are all of them."""

    def __init__(self, names: list[str], line: int | None = None) -> None:
        self.names = names
        quoted = ", ".join(f"“{name}”" for name in names)
        verb = "has" if len(names) == 1 else "have"
        super().__init__(f"The template uses {quoted}, which {verb} no value", line)


def check(source: str) -> None:
    """Raise TemplateProblem, with its line, if `source` is no template that can be rendered."""
    _compiled(source, False)


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
def _compiled(source: str, autoescape_xml: bool) -> Template:
    room = _ROOMS[autoescape_xml]
    if len(source) > MAX_SOURCE:
        raise TemplateProblem(
            f"The template has {len(source):,} characters; {MAX_SOURCE:,} are allowed"
        )
    try:
        tree = room.parse(source)
        _check_nodes(tree)
        code = room.compile(Guard().visit(tree), None, None)
        return Template.from_code(room, code, {})
    except TemplateSyntaxError as error:
        raise TemplateProblem(
            error.message or "The template cannot be read", error.lineno
        ) from error
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise TemplateProblem("The template is nested too deeply; make it simpler") from error


@lru_cache(maxsize=512)
def _placeholders(source: str) -> frozenset[str]:
    _compiled(source, False)
    return frozenset(meta.find_undeclared_variables(_ROOMS[False].parse(source)))


def _check_nodes(tree: nodes.Template) -> None:
    for node in _walk(tree):
        for kind, sentence in _REFUSED:
            if isinstance(node, kind):
                raise TemplateProblem(sentence, node.lineno)
        if not isinstance(node, ALLOWED_NODES):
            name = type(node).__name__.lower()
            raise TemplateProblem(f"“{name}” cannot be used in a template", node.lineno)
        _check_names(node)
        if isinstance(node, nodes.For) and node.recursive:
            raise TemplateProblem("A loop cannot be recursive", node.lineno)


def _walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.iter_child_nodes())


def _check_names(node: nodes.Node) -> None:
    if isinstance(node, nodes.Name) and (node.name.startswith("_") or node.name == "self"):
        raise TemplateProblem(f"“{node.name}” cannot be the name of an attribute", node.lineno)
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise TemplateProblem(f"“{node.attr}” cannot be the name of an attribute", node.lineno)
    if isinstance(node, nodes.Filter) and node.name not in FILTER_NAMES:
        _refuse_name("filter", node.name, FILTER_NAMES, node.lineno)
    if isinstance(node, nodes.Test) and node.name not in TEST_NAMES:
        _refuse_name("test", node.name, TEST_NAMES, node.lineno)


def _refuse_name(what: str, name: str, known: frozenset[str], line: int) -> None:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean “{near[0]}”?" if near else f"there are {', '.join(sorted(known))}"
    raise TemplateProblem(f"There is no {what} “{name}”; {hint}", line)


def _rendered(template: Template, attributes: Mapping[str, Any], source: str | None = None) -> str:
    budget = Budget()
    context = template.new_context({**attributes, BUDGET: budget})
    chunks: list[str] = []
    size = 0
    try:
        for chunk in template.root_render_func(context):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_OUTPUT:
                too_large()
        budget.check_time()
    except UndefinedError as error:
        names = missing(source, attributes) if source is not None else []
        if names:
            raise MissingAttributes(names, _line(error)) from error
        raise TemplateProblem(str(error), _line(error)) from error
    except TemplateError as error:  # the budget, mostly
        raise TemplateProblem(
            f"The template cannot be used: {error.message}", _line(error)
        ) from error
    except _RUNTIME_ERRORS as error:
        raise TemplateProblem(f"The template cannot be rendered: {error}", _line(error)) from error
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
