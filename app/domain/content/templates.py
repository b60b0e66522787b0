"""Templates: text with placeholders, rendered for one person.

The language is Jinja2's: ``{{ toName }}``, ``{% if %}``, ``{% for %}``, ``{% set %}`` and a small
set of filters. An attribute without a value is an error unless the template provides for it
(``{{ nick|default(toName) }}``, ``{% if nick is defined %}``). See
`app.domain.content.template_sandbox` for what keeps a hostile template harmless.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from jinja2 import Template, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError

from app.domain.content import budget, samples, template_words
from app.domain.content.template_sandbox import (
    ALLOWED_NODES,
    FILTER_NAMES,
    MAX_ITERATIONS,
    MAX_OUTPUT,
    STEP,
    TEST_NAMES,
    Guard,
    Room,
    collected,
    count,
    too_large,
)
from app.twiml.tags import pieces

MAX_SOURCE: Final = 64_000
"""Longest template source in characters."""
MAX_TAGS: Final = 1_000
"""Most placeholders and conditions of a template."""
MAX_IN_TAGS: Final = 24_000
"""Most characters of them together."""
MAX_NODES: Final = 5_000
"""Most names, filters, operators and the like: what takes a tenth of a second to read."""
MAX_HINTS: Final = 5
SAVED_UNITS: Final = budget.UNITS // 4
"""What filling a template in with examples may cost: people's own values may be longer."""
MAX_DEPTH: Final = 100
"""Most expressions within each other."""

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
        meant = [(name, template_words.nearest(name, tuple(known))) for name in names[:MAX_HINTS]]
        hints = [f"{{{{ {near} }}}} in place of {{{{ {name} }}}}" for name, near in meant if near]
        hint = f"; did you mean {' and '.join(hints)}?" if hints else ""
        super().__init__(f"The template uses {quoted}, which {verb} no value{hint}", line)


class _Compiled(NamedTuple):
    """A template ready to be filled in."""

    template: Template
    weight: int
    """What passing each of its nodes once costs, in units of the budget."""


def check(source: str) -> None:
    """Look at a template that is to be saved.

    :raises TemplateProblem: with its line, if it cannot be rendered, costs too much to render, or
        has a placeholder as other programs write it.
    """
    _compiled(source, False)
    if fault := template_words.foreign(source) or _hyphenated(source):
        raise TemplateProblem(*fault)
    try:
        with budget.fresh(SAVED_UNITS):
            render(source, examples(source))
    except TooMuchWork:
        raise
    except TemplateProblem:
        return  # the examples do not fit; only a person's own values tell


def _hyphenated(source: str) -> template_words.Fault | None:
    for node, _ in _walk(_read(source)):
        if not isinstance(node, nodes.Sub):
            continue
        names = node.left, node.right
        if all(isinstance(name, nodes.Name) for name in names):
            left, right = (cast(nodes.Name, name).name for name in names)
            if fault := template_words.calculated(source, left, right, node.lineno):
                return fault
    return None


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
    tree = _parsed(source)
    weight = STEP * count(tree)
    try:
        code = room.compile(Guard().visit(tree), None, None)
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise TemplateProblem(_TOO_DEEP) from error
    return _Compiled(Template.from_code(room, code, {}), weight)


_TOO_DEEP: Final = "The template is nested too deeply; make it simpler"


@lru_cache(maxsize=64)
def _read(source: str) -> nodes.Template:
    """Return the tree of a template to look at; compiling changes it, and needs one of its own."""
    return _parsed(source)


def _parsed(source: str) -> nodes.Template:
    """Return the tree of a template whose every node may stand in one."""
    if len(source) > MAX_SOURCE:
        raise TemplateProblem(
            f"The template has {len(source):,} characters; {MAX_SOURCE:,} are allowed"
        )
    tags = [len(piece.text) for piece in pieces(source) if piece.opening in ("{{", "{%")]
    if len(tags) > MAX_TAGS or sum(tags) > MAX_IN_TAGS:
        raise TemplateProblem(
            f"The template has more than {MAX_TAGS:,} placeholders and conditions, or they are"
            f" longer than {MAX_IN_TAGS:,} characters together; use fewer"
        )
    try:
        tree = _ROOMS[False].parse(source)
        _check_nodes(tree)
    except TemplateSyntaxError as error:
        fault = template_words.unreadable(source, _reads, error.lineno)
        raise TemplateProblem(*fault) from error
    except ValueError as error:
        if isinstance(error, TemplateProblem):
            raise
        raise TemplateProblem("A number in the template has too many digits") from error
    except (RecursionError, MemoryError) as error:
        raise TemplateProblem(_TOO_DEEP) from error
    return tree


def _reads(source: str) -> bool:
    try:
        _ROOMS[False].parse(source)
    except (TemplateSyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


@lru_cache(maxsize=512)
def _placeholders(source: str) -> frozenset[str]:
    return frozenset(meta.find_undeclared_variables(_read(source)))


def _check_nodes(tree: nodes.Template) -> None:
    for seen, (node, depth) in enumerate(_walk(tree)):
        if seen > MAX_NODES:
            raise TemplateProblem("The template does too much; make it shorter or simpler")
        if depth > MAX_DEPTH:
            raise TemplateProblem(_TOO_DEEP)
        for kind, sentence in _REFUSED:
            if isinstance(node, kind):
                raise TemplateProblem(sentence, node.lineno)
        if not isinstance(node, ALLOWED_NODES):
            name = type(node).__name__.lower()
            raise TemplateProblem(f"“{name}” cannot be used in a template", node.lineno)
        if isinstance(node, nodes.Output) and any(isinstance(x, nodes.Tuple) for x in node.nodes):
            raise TemplateProblem(
                "A placeholder holds one name; write {{ a }}, {{ b }} for two", node.lineno
            )
        _check_names(node)
        if isinstance(node, nodes.For) and node.recursive:
            raise TemplateProblem("A loop cannot be recursive", node.lineno)


def _walk(tree: nodes.Node) -> Iterator[tuple[nodes.Node, int]]:
    """Yield every node with how deep it is."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting.extend((child, depth + 1) for child in node.iter_child_nodes())


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


def _rendered(made: _Compiled, attributes: Mapping[str, Any], source: str | None = None) -> str:
    try:
        with budget.shared() as spending:
            spending.turns = MAX_ITERATIONS
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
        template_words.attribute_name(name): value
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
