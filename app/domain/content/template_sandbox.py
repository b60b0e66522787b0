"""The closed room in which templates of staff and clients are rendered.

Jinja2's immutable sandbox, made narrower: only the statements and filters listed here, no calls,
no Python attributes at all (a dot reaches keys of mappings and nothing else). Every filter, test,
operator, comparison and turn of a loop is charged to the budget by the size of what it works on,
so that no template takes long or makes a large text.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, cast

from jinja2 import StrictUndefined, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from app.domain.content import budget
from app.domain.content.template_filters import STEP, all_filters, all_tests, as_text, sized
from app.twiml.text import clean

ALLOWED_NODES: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Tuple,
    nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test,
    nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand,
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.And, nodes.Or,
    nodes.Not, nodes.Neg, nodes.Pos, nodes.If, nodes.For, nodes.Assign,
)  # fmt: skip
_LOOP_ATTRIBUTES: Final = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length"}
)

collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)
"""While set, an attribute without a value is noted here and reads as empty; else it is an error."""


class Missing(StrictUndefined):
    """An attribute without a value: an error where used, or noted while `collected` is set.

    Where it is only tested, or compared, or stands before ``or``, it is simply not true.
    """

    __slots__ = ()

    def note(self) -> None:
        """Note this attribute as missing, or raise UndefinedError when nobody collects."""
        names = collected.get()
        if names is None:
            self._fail_with_undefined_error()
        name = str(self._undefined_name)
        if name not in names:
            names.append(name)

    def _noted(value: Any) -> Callable[..., Any]:
        def use(self: "Missing", *_: object) -> Any:
            self.note()
            return value

        return use

    def _quietly(judge: Callable[..., bool]) -> Any:
        def use(_self: "Missing", *others: object) -> bool:
            return judge(*others)

        return use

    __str__ = _noted("")
    __html__ = _noted("")
    __len__ = __int__ = _noted(0)
    __hash__ = _noted(0)
    __float__ = _noted(0.0)
    __bool__ = _quietly(lambda: False)
    __contains__ = __lt__ = __le__ = __gt__ = __ge__ = _quietly(lambda _other: False)
    __eq__ = _quietly(lambda other: isinstance(other, Missing))
    __ne__ = _quietly(lambda other: not isinstance(other, Missing))

    def __iter__(self) -> Any:
        self.note()
        return iter(())


# With the context, although they do not need it: nothing is worked out when a template is read.
@pass_context
def _finalize_xml(_context: Context, value: Any) -> Any:
    if isinstance(value, Undefined):
        return value
    spending = budget.current()
    spending.charge(4 * STEP + spending.weigh(value))
    text = as_text(value)
    cleaned = clean(text)
    return Markup(cleaned) if isinstance(value, Markup) else cleaned  # noqa: S704 - as it was


@pass_context
def _finalize_text(_context: Context, value: Any) -> Any:
    if isinstance(value, Undefined):
        return value
    budget.current().weigh(value)
    return as_text(value)


class Room(ImmutableSandboxedEnvironment):
    """The environment; one for plain text and one that escapes for XML."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, autoescape_xml: bool) -> None:
        finalize = _finalize_xml if autoescape_xml else _finalize_text
        super().__init__(
            undefined=Missing, autoescape=autoescape_xml, finalize=finalize, cache_size=0,
            optimized=False,
        )  # fmt: skip
        self.globals.clear()
        self.filters = all_filters()
        self.tests = all_tests()

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the key `attribute` of a mapping; nothing else has attributes here."""
        if isinstance(obj, LoopContext) and attribute in _LOOP_ATTRIBUTES:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return one element of a mapping, a list or a text, or the mark of a missing one."""
        if isinstance(obj, Missing):
            return obj  # an error where it is used, under the name of what is missing
        if isinstance(obj, (Mapping, str, list, tuple)) and isinstance(argument, (str, int, float)):
            try:
                return obj[argument]  # type: ignore[index]
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate with numbers; join texts with +; no text or list is ever multiplied."""
        spending = budget.current()
        for operand in (left, right):
            if isinstance(operand, Missing):
                operand.note()
                return operand
            spending.weigh(operand)
        if operator != "+" and any(isinstance(one, (str, list)) for one in (left, right)):
            raise SecurityError(f"“{operator}” works on numbers only")
        return sized(super().call_binop(context, operator, left, right))


def count(tree: nodes.Node) -> int:
    """Return how many nodes a part of a template has."""
    return 1 + sum(count(child) for child in tree.iter_child_nodes())


class Guard(NodeTransformer):
    """Put the budget into loops, comparisons, slices, mappings and the ``~`` of a template."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        """Charge the turns of the loop, each with what its body has in it."""
        weight = STEP * count(node)
        self.generic_visit(node)
        node.iter = _through("_each", node.iter, nodes.Const(weight, lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        """Bound the text that ``~`` makes."""
        self.generic_visit(node)
        return _through("_concat", nodes.List(node.nodes, lineno=node.lineno))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        """Charge what is compared."""
        self.generic_visit(node)
        node.expr = _through("_weighed", node.expr)
        for operand in node.ops:
            operand.expr = _through("_weighed", operand.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Getitem:
        """Charge what is cut."""
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _through("_weighed", node.node)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Pair:
        """Let keys be texts and numbers."""
        self.generic_visit(node)
        node.key = _through("_key", node.key)
        return node


def _through(name: str, expression: nodes.Node, *arguments: nodes.Expr) -> nodes.Filter:
    line = expression.lineno
    return nodes.Filter(
        cast(nodes.Expr, expression), name, list(arguments), [], None, None, lineno=line
    )
