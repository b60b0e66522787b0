"""What templates may do to values: filters and tests, charged by what they work on, and bounded."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Final, NoReturn

from jinja2 import Undefined, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.nodes import EvalContext
from jinja2.tests import TESTS
from markupsafe import Markup

from app.domain.content import budget

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


def too_large() -> NoReturn:
    """Raise SecurityError for a text beyond `MAX_OUTPUT`."""
    raise SecurityError(f"it makes a text of more than {MAX_OUTPUT:,} characters")


def sized(value: Any) -> Any:
    """Return a value that a template made, if it may be that large.

    :raises SecurityError: when it may not.
    """
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
        return sized(function(*args, **kwargs))

    return charged


def all_filters() -> dict[str, Callable[..., Any]]:
    """Return the filters of a room, with those that only `Guard` puts into a template."""
    own = {"join": _concat, "replace": _replace, "round": _round, "trim": _trim}
    plain = {name: FILTERS[name] for name in PLAIN_FILTERS.split()}
    charged = {**plain, **own, "_concat": _concat}
    return {name: _charged(name, function) for name, function in charged.items()} | {
        "_each": _each, "_weighed": _weighed, "_key": _key,
    }  # fmt: skip


def all_tests() -> dict[str, Any]:
    """Return the tests of a room."""
    return {name: _charged(name, TESTS[name]) for name in TEST_NAMES}
