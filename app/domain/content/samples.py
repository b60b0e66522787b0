"""Examples for the placeholders of a template, of the shape that its use of them asks for.

``{% for course in courses %}{{ course.name }}{% endfor %}`` needs a list of mappings; shown and
checked with a mere text, it would seem to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from jinja2 import meta, nodes

ROWS: Final = 2
"""How many elements an example of a list has."""
NUMBER: Final = 3

Leaf = Callable[[str], Any]
"""Makes the example of a text, given the name of its attribute."""


@dataclass
class _Shape:
    """How a value is used: looped over, asked for keys, calculated with; or as a text."""

    name: str
    keys: dict[str, _Shape] = field(default_factory=dict)
    element: _Shape | None = None
    is_number: bool = False

    def key(self, name: str) -> _Shape:
        return self.keys.setdefault(name, _Shape(name))

    def each(self) -> _Shape:
        if self.element is None:
            self.element = _Shape(self.name)
        return self.element

    def value(self, leaf: Leaf) -> Any:
        if self.element is not None:
            return [self.element.value(leaf)] * ROWS
        if self.keys:
            return {name: shape.value(leaf) for name, shape in self.keys.items()}
        return NUMBER if self.is_number else leaf(self.name)


_Scope = dict[str, _Shape]
_CALCULATIONS: Final = (nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod)


def examples(tree: nodes.Template, leaf: Leaf) -> dict[str, Any]:
    """Return an example for each attribute that a template mentions.

    :param leaf: makes those of texts.
    """
    shapes = {name: _Shape(name) for name in sorted(meta.find_undeclared_variables(tree))}
    _walk(tree, shapes)
    return {name: shape.value(leaf) for name, shape in shapes.items()}


def _walk(node: nodes.Node, scope: _Scope) -> None:
    if isinstance(node, nodes.For):
        _loop(node, scope)
        return
    if isinstance(node, (nodes.Getattr, nodes.Getitem)):
        _shape_of(node, scope)
    for number in _numbers(node):
        shape = _shape_of(number, scope)
        if shape is not None:
            shape.is_number = True
    for child in node.iter_child_nodes():
        _walk(child, scope)


def _loop(node: nodes.For, scope: _Scope) -> None:
    _walk(node.iter, scope)
    listed = _shape_of(node.iter, scope)
    inner = dict(scope)
    if isinstance(node.target, nodes.Name):
        name = node.target.name
        inner[name] = listed.each() if listed is not None else _Shape(name)
    for child in (*node.body, *node.else_, *([node.test] if node.test else [])):
        _walk(child, inner)


def _shape_of(node: nodes.Node, scope: _Scope) -> _Shape | None:
    """Return the shape that is meant by an expression, where it is one of a person's values."""
    if isinstance(node, nodes.Name):
        return scope.get(node.name)
    if isinstance(node, nodes.Filter) and node.node is not None:
        inner = _shape_of(node.node, scope)
        takes_one = node.name in ("first", "last")
        return inner.each() if inner is not None and takes_one else inner
    if isinstance(node, nodes.Getattr):
        inner = _shape_of(node.node, scope)
        return inner.key(node.attr) if inner is not None else None
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        inner = _shape_of(node.node, scope)
        if inner is None:
            return None
        key = node.arg.value
        return inner.key(key) if isinstance(key, str) else inner.each()
    return None


def _numbers(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield the operands of a calculation, and what is compared with a number."""
    if isinstance(node, _CALCULATIONS):
        yield from (node.left, node.right)
    elif isinstance(node, (nodes.Neg, nodes.Pos)):
        yield node.node
    elif isinstance(node, nodes.Add):
        both = (node.left, node.right)
        if any(_is_number(one) for one in both):
            yield from both
    elif isinstance(node, nodes.Compare):
        parts = [node.expr, *(operand.expr for operand in node.ops)]
        if any(_is_number(one) for one in parts):
            yield from parts


def _is_number(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and isinstance(node.value, (int, float))
