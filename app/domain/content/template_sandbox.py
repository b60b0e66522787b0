"""The closed room in which templates of staff and clients are rendered.

Jinja2's immutable sandbox, made narrower: only the statements and filters listed here, no calls,
no Python attributes at all (a dot reaches keys of mappings and nothing else). Every filter, test,
operator, comparison and turn of a loop is charged to the budget by the size of what it works on,
so that no template takes long or makes a large text.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final, NoReturn, cast

from jinja2 import StrictUndefined, Undefined, nodes, pass_context, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from app.domain.content import budget
from app.twiml.text import clean

MAX_OUTPUT: Final = 64_000
"""Longest text a template may produce, in characters, at any step; Twilio reads 64 kB of TwiML."""
MAX_ITERATIONS: Final = 1_000
"""Most turns of all loops of one rendering together."""
MAX_INTEGER: Final = 10**15
MAX_TRIMMED: Final = 100
"""Most different characters that the filter ``trim`` may be told."""
STEP: Final = 10
"""What each node of a template costs whenever it is passed, in units of the budget."""

PLAIN_FILTERS: Final = (
    "capitalize default d e escape first float int last length count lower title trim truncate "
    "upper urlencode"
)
FILTER_NAMES: Final = frozenset([*PLAIN_FILTERS.split(), "join", "replace", "round"])
_TESTS: Final = (
    "defined undefined none string number boolean odd even in eq equalto ne gt ge lt le == != > >= "
    "< <= true false mapping sequence lower upper"
)
TEST_NAMES: Final = frozenset(_TESTS.split())
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


def too_large() -> NoReturn:
    """Raise SecurityError for a text beyond `MAX_OUTPUT`."""
    raise SecurityError(f"it makes a text of more than {MAX_OUTPUT:,} characters")


def _sized(value: Any) -> Any:
    if isinstance(value, (str, list, tuple)) and len(value) > MAX_OUTPUT:
        too_large()
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise SecurityError("a number gets too large")
    return value


def as_text(value: Any) -> str:
    """Return a value as it stands in a text: nothing for null, JSON for a list or a mapping."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value if isinstance(value, str) else str(value)


@pass_eval_context
def _concat(context: EvalContext, parts: Iterable[Any], separator: str = "") -> str:
    """Join `parts` as text: the filter ``join`` and the ``~`` operator."""
    texts = [as_text(part) for part in parts]
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_OUTPUT:
        too_large()
    budget.current().charge(len(texts) * (20 if context.autoescape else 2))
    if not context.autoescape:
        return separator.join(texts)
    return Markup.escape(separator).join(texts)  # which escapes what is not markup yet


def _replace(value: Any, old: str, new: str) -> str:
    text = as_text(value)
    if not old:
        raise SecurityError("the filter “replace” needs a text to look for")
    if len(text) + text.count(old) * (len(new) - len(old)) > MAX_OUTPUT:
        too_large()
    return text.replace(old, new)


def _round(value: Any, precision: int = 0) -> float:
    return round(float(value), max(-15, min(int(precision), 15)))


def _trim(value: Any, characters: str | None = None) -> Any:
    if characters is not None and len(characters) > MAX_TRIMMED:
        raise SecurityError(f"the filter “trim” takes {MAX_TRIMMED} characters at most")
    return FILTERS["trim"](value, characters)


def _each(value: Any, weight: int) -> list[Any]:
    """Return what a loop goes over; its turns are charged, each with the `weight` of its body."""
    if isinstance(value, Undefined):
        return list(value)
    if not isinstance(value, (list, tuple, Mapping)):
        raise SecurityError("a loop goes over a list")
    spending = budget.current()
    spending.turns -= len(value)
    if spending.turns < 0:
        raise SecurityError(f"its loops take more than {MAX_ITERATIONS} turns")
    spending.charge(len(value) * weight)
    return list(value)


def _weighed(value: Any) -> Any:
    """Charge the size of what is compared or cut."""
    budget.current().weigh(value)
    return value


def _key(value: Any) -> Any:
    """Return the key of a mapping: a text or a number, since the hash of others may take long."""
    if isinstance(value, (str, int, float, Undefined)):
        return value
    raise SecurityError("the key of a mapping is a text or a number")


def _words_of_lists(value: Any) -> Any:
    return as_text(value) if isinstance(value, (list, tuple, dict)) else value


_COSTS: Final = {"title": 5, "urlencode": 3, "capitalize": 2, "e": 2, "escape": 2, "truncate": 2}
"""How many units a character costs with filters that take longer than others."""
_OF_TEXTS: Final = frozenset(
    ["capitalize", "e", "escape", "lower", "title", "trim", "truncate", "upper"]
)


def _charged(name: str, function: Any) -> Callable[..., Any]:
    """Return a filter or test that charges what it is given, and bounds what it returns.

    `wraps` keeps Jinja's pass_… marks.
    """
    factor = _COSTS.get(name, 1)

    @wraps(function)
    def charged(*args: Any, **kwargs: Any) -> Any:
        spending = budget.current()
        size = sum(spending.weigh(one) for one in (*args, *kwargs.values()))
        spending.charge(STEP + size * (factor - 1))
        if name in _OF_TEXTS:
            args = tuple(map(_words_of_lists, args))
        return _sized(function(*args, **kwargs))

    return charged


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
        own = {"join": _concat, "replace": _replace, "round": _round, "trim": _trim}
        plain = {name: FILTERS[name] for name in PLAIN_FILTERS.split()}
        self.filters = {
            name: _charged(name, function)
            for name, function in {**plain, **own, "_concat": _concat}.items()
        } | {"_each": _each, "_weighed": _weighed, "_key": _key}
        self.tests = {name: _charged(name, TESTS[name]) for name in TEST_NAMES}

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
        return _sized(super().call_binop(context, operator, left, right))


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
