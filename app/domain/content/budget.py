"""What templates may cost: one budget for everything that a request, or one message, renders.

A unit is about a tenth of a microsecond: one character or element that a filter, an operator, a
test or a comparison works on. Counting units gives the same verdict on any machine; the clock is
looked at as well, for what no count foresees.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from jinja2.exceptions import SecurityError

UNITS: Final = 1_000_000
"""What one request may spend: about 100 ms."""
SECONDS: Final = 0.3
"""Most processor time of all renderings of a request together, whatever they have counted."""
MAX_NESTING: Final = 20
"""Most lists and mappings within each other."""
_LOOK_EVERY: Final = 20_000


class OverBudget(SecurityError):
    """The budget is spent; the message goes on after “The template cannot be used: ”."""


class Budget:
    """What may still be spent."""

    __slots__ = ("_deadline", "_next_look", "_seconds", "_units", "left", "turns")

    def __init__(self, units: int = UNITS, seconds: float = SECONDS) -> None:
        self.left = self._units = units
        self.turns = 0
        """Turns that the loops of the present rendering may still take."""
        self._seconds = seconds
        self._deadline = math.inf
        self._next_look = units

    @contextmanager
    def rendering(self, turns: int) -> Iterator[None]:
        """Let the clock run for one rendering; what else a request does is not charged.

        :param turns: how many turns its loops may take.
        """
        self.turns = turns
        # The thread's own processor time: on a busy machine a short template is not a slow one.
        started = time.thread_time()
        self._deadline = started + self._seconds
        try:
            yield
        finally:
            self._seconds -= time.thread_time() - started
            self._deadline = math.inf

    @property
    def spent(self) -> int:
        """Units that have been taken; all of them, once more was asked for."""
        return self._units - max(self.left, 0)

    def charge(self, units: int) -> None:
        """Take units off, before the work that costs them.

        :raises OverBudget: when there are not as many left, or it has taken too long.
        """
        self.left -= units
        if self.left < 0:
            raise OverBudget(
                "it takes too much work to fill in; use fewer loops and filters, or shorter texts"
            )
        if self.left < self._next_look:
            self._next_look = self.left - _LOOK_EVERY
            if time.thread_time() > self._deadline:
                raise OverBudget("it takes too long to fill in; make it simpler")

    def weigh(self, value: Any) -> int:
        """Charge the size of a value and return it: characters and elements, all the way down.

        Elements are charged as they are met, since a list that holds another one twice, and so on,
        has more of them than memory has room for.
        """
        if isinstance(value, str):
            size = len(value)
        elif isinstance(value, (list, tuple, dict)):
            return self._weigh_all(value)
        else:
            size = 1
        self.charge(size)
        return size

    def _weigh_all(self, value: Any) -> int:
        size, waiting = 0, [(value, 1)]
        while waiting:
            one, depth = waiting.pop()
            if isinstance(one, str):
                step = len(one)
            elif isinstance(one, (list, tuple, dict)):
                if depth > MAX_NESTING:
                    raise OverBudget("its lists are nested too deeply")
                step = 1 + len(one)
                inner = [*one.keys(), *one.values()] if isinstance(one, dict) else one
                waiting += [(part, depth + 1) for part in inner]
            else:
                step = 1
            self.charge(step)
            size += step
        return size


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


def begin() -> None:
    """Open the budget of a web request; whatever it renders is charged to it."""
    _current.set(Budget())


def end(_error: BaseException | None = None) -> None:
    """Close the budget of a web request."""
    _current.set(None)


@contextmanager
def shared() -> Iterator[Budget]:
    """Lend the budget that is open, or else one of its own."""
    found = _current.get()
    if found is not None:
        yield found
    else:
        with fresh() as made:
            yield made


@contextmanager
def fresh(units: int = UNITS, seconds: float = SECONDS) -> Iterator[Budget]:
    """Open a budget of its own: for one of many messages, each of which has one."""
    made = Budget(units, seconds)
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


def current() -> Budget:
    """Return the budget that is open.

    :raises LookupError: when none is.
    """
    found = _current.get()
    if found is None:
        raise LookupError("no budget is open")
    return found
