"""Reading a template: into a tree whose every node may stand in one, or a sentence why not."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final, cast

from jinja2 import TemplateSyntaxError, nodes

from app.domain.content import template_words
from app.domain.content.template_filters import FILTER_NAMES, TEST_NAMES
from app.domain.content.template_sandbox import ALLOWED_NODES, Room
from app.twiml.tags import pieces

MAX_SOURCE: Final = 64_000
"""Longest template source in characters."""
MAX_TAGS: Final = 1_000
"""Most placeholders and conditions of a template."""
MAX_IN_TAGS: Final = 24_000
"""Most characters of them together."""
MAX_NODES: Final = 5_000
"""Most names, filters, operators and the like: what takes a tenth of a second to read."""
MAX_DEPTH: Final = 100
"""Most expressions within each other."""

_REFUSED: Final[tuple[tuple[type[nodes.Node], str], ...]] = (
    (
        nodes.Call,
        "Functions cannot be called in a template; use a filter, as in {{ name|upper }}. A column"
        " “Phone (cell)” is {{ Phone_cell }}",
    ),
    (nodes.Pow, "Powers (**) cannot be calculated in a template"),
    (nodes.Include, "A template cannot include another one"),
    (nodes.Import, "A template cannot import another one"),
    (nodes.FromImport, "A template cannot import another one"),
    (nodes.Extends, "A template cannot extend another one"),
    (nodes.Macro, "Macros cannot be defined in a template"),
)
_ROOM: Final = Room(autoescape_xml=False)
TOO_DEEP: Final = "The template is nested too deeply; make it simpler"


class TemplateProblem(ValueError):
    """A template cannot be used: `message` is a sentence for people, `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        text = message if message.endswith((".", "!", "?")) else f"{message}."
        self.message = f"Line {line}: {text}" if line else text
        self.line = line
        super().__init__(self.message)


def parsed(source: str) -> nodes.Template:
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
        tree = _ROOM.parse(source)
        _check_nodes(tree)
    except TemplateSyntaxError as error:
        fault = template_words.unreadable(source, _reads, error.lineno)
        raise TemplateProblem(*fault) from error
    except ValueError as error:
        if isinstance(error, TemplateProblem):
            raise
        raise TemplateProblem("A number in the template has too many digits") from error
    except (RecursionError, MemoryError) as error:
        raise TemplateProblem(TOO_DEEP) from error
    return tree


def _reads(source: str) -> bool:
    try:
        _ROOM.parse(source)
    except (TemplateSyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def hyphenated(source: str) -> template_words.Fault | None:
    """Find a name with a hyphen in it; see :func:`template_words.calculated`."""
    for node, _ in walk(parsed(source)):
        if not isinstance(node, nodes.Sub | nodes.Div):
            continue
        names = node.left, node.right
        if all(isinstance(name, nodes.Name) for name in names):
            left, right = (cast(nodes.Name, name).name for name in names)
            if fault := template_words.calculated(source, left, node.operator, right, node.lineno):
                return fault
    return None


def _check_nodes(tree: nodes.Template) -> None:
    for seen, (node, depth) in enumerate(walk(tree)):
        if seen > MAX_NODES:
            raise TemplateProblem("The template does too much; make it shorter or simpler")
        if depth > MAX_DEPTH:
            raise TemplateProblem(TOO_DEEP)
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


def walk(tree: nodes.Node) -> Iterator[tuple[nodes.Node, int]]:
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
