"""The closed room in which templates of staff and clients are rendered.

Jinja2's immutable sandbox, made narrower: only the statements and filters listed here, no calls,
no Python attributes at all (a dot reaches keys of mappings and nothing else), and a budget for
everything that can grow, so that no template takes long or makes a large text.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final, NoReturn

from jinja2 import StrictUndefined, Undefined, nodes, pass_context, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from app.twiml.text import clean

MAX_OUTPUT: Final = 64_000
"""Longest text a template may produce, in characters, at any step; Twilio reads 64 kB of TwiML."""
MAX_ITERATIONS: Final = 1_000
"""Most turns of all loops of one rendering together."""
MAX_SECONDS: Final = 1.0
MAX_INTEGER: Final = 10**15
BUDGET: Final = "_budget"

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


class Budget:
    """What one rendering may still spend on loops and time."""

    def __init__(self) -> None:
        self._iterations = MAX_ITERATIONS
        # The thread's own processor time: on a busy machine a short template is not a slow one.
        self._deadline = time.thread_time() + MAX_SECONDS

    def charge(self, iterations: int) -> None:
        """Take `iterations` turns off; raise SecurityError when the budget is spent."""
        self._iterations -= iterations
        if self._iterations < 0:
            raise SecurityError(f"its loops take more than {MAX_ITERATIONS} turns")
        self.check_time()

    def check_time(self) -> None:
        """Raise SecurityError when the rendering has taken too long."""
        if time.thread_time() > self._deadline:
            raise SecurityError(f"it takes more than {MAX_SECONDS:g} second to render")


class Turns:
    """What a loop goes over; the time is looked at before each turn."""

    def __init__(self, items: list[Any], budget: Budget) -> None:
        self._items = items
        self._budget = budget

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self._budget.check_time()
            yield item


class Missing(StrictUndefined):
    """An attribute without a value: an error where used, or noted while `collected` is set."""

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

    __str__ = _noted("")
    __html__ = _noted("")
    __len__ = __hash__ = __int__ = _noted(0)
    __float__ = _noted(0.0)
    __bool__ = __eq__ = __ne__ = __contains__ = _noted(False)
    __lt__ = __le__ = __gt__ = __ge__ = _noted(False)

    def __iter__(self) -> Any:
        self.note()
        return iter(())


def too_large() -> NoReturn:
    """Raise SecurityError for a text beyond `MAX_OUTPUT`."""
    raise SecurityError(f"it makes a text of more than {MAX_OUTPUT:,} characters")


def _sized(value: Any) -> Any:
    if isinstance(value, (str, list, tuple)) and len(value) > MAX_OUTPUT:
        too_large()
    return value


@pass_eval_context
def _concat(context: EvalContext, parts: Iterable[Any], separator: str = "") -> str:
    """Join `parts` as text: the filter ``join`` and the ``~`` operator."""
    texts = ["" if part is None else part if isinstance(part, str) else str(part) for part in parts]
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_OUTPUT:
        too_large()
    if not context.autoescape:
        return separator.join(texts)
    return Markup.escape(separator).join(texts)  # which escapes what is not markup yet


def _replace(value: Any, old: str, new: str) -> str:
    text = value if isinstance(value, str) else str(value)
    if not old:
        raise SecurityError("the filter “replace” needs a text to look for")
    if len(text) + text.count(old) * (len(new) - len(old)) > MAX_OUTPUT:
        too_large()
    return text.replace(old, new)


def _round(value: Any, precision: int = 0) -> float:
    return round(float(value), max(-15, min(int(precision), 15)))


@pass_context
def _each(context: Context, value: Any) -> "Turns":
    """Return what a loop goes over, its turns charged to the budget."""
    if isinstance(value, Undefined):
        items: list[Any] = list(value)
    elif isinstance(value, (list, tuple, Mapping)):
        items = list(value)
    else:
        raise SecurityError("a loop goes over a list")
    budget: Budget = context.parent[BUDGET]
    budget.charge(len(items))
    return Turns(items, budget)


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter with a bound on its result; `wraps` keeps Jinja's pass_… marks."""

    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        return _sized(function(*args, **kwargs))

    return bounded


def _finalize_xml(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str):
        cleaned = clean(value)
        return Markup(cleaned) if isinstance(value, Markup) else cleaned  # noqa: S704 - as it was
    return value


def _finalize_text(value: Any) -> Any:
    return "" if value is None else value


class Room(ImmutableSandboxedEnvironment):
    """The environment; one for plain text and one that escapes for XML."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, autoescape_xml: bool) -> None:
        finalize = _finalize_xml if autoescape_xml else _finalize_text
        super().__init__(
            undefined=Missing, autoescape=autoescape_xml, finalize=finalize, cache_size=0
        )
        self.globals.clear()
        self.filters = {name: _bounded(FILTERS[name]) for name in PLAIN_FILTERS.split()} | {
            "join": _concat, "replace": _bounded(_replace), "round": _round,
            "_each": _each, "_concat": _concat,
        }  # fmt: skip
        self.tests = {name: TESTS[name] for name in TEST_NAMES}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the key `attribute` of a mapping; nothing else has attributes here."""
        if isinstance(obj, LoopContext) and attribute in _LOOP_ATTRIBUTES:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return one element of a mapping, a list or a text, or the mark of a missing one."""
        if isinstance(obj, Missing):
            obj.note()
            return obj
        if isinstance(obj, (Mapping, str, list, tuple)):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate with numbers; join texts with +; no text or list is ever multiplied."""
        for operand in (left, right):
            if isinstance(operand, Missing):
                operand.note()
                return operand
        if isinstance(left, (str, list)) or isinstance(right, (str, list)):
            if operator != "+":
                raise SecurityError(f"“{operator}” works on numbers only")
            _sized([*left, *right]) if isinstance(left, list) else _sized(f"{left}{right}")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and abs(result) > MAX_INTEGER:
            raise SecurityError("a number gets too large")
        return result


class Guard(NodeTransformer):
    """Put the budget into loops and into the ``~`` operator of a checked template."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        """Charge the turns of the loop."""
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_each", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        """Bound the text that ``~`` makes."""
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_concat", [], [], None, None, lineno=node.lineno)
