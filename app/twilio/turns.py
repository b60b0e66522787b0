"""The moment at which a request is written to its connection, which whoever makes it may choose.

To make a request and to find a connection for it takes a while, and never the same while. Whoever
has to keep a pace therefore waits at the very end of that: `app.twilio.transport` calls the turn
right before the first byte is written.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Turn = Callable[[], None]

_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


@contextmanager
def written_at(turn: Turn) -> Iterator[None]:
    """Have the next request of this thread call ``turn`` right before it is written.

    ``turn`` returns when it may be. What it raises instead reaches whoever made the request, and
    nothing has been written.
    """
    token = _turn.set(turn)
    try:
        yield
    finally:
        _turn.reset(token)


def take() -> Turn | None:
    """Return the turn that this thread's request has to wait for, once; None if there is none."""
    turn = _turn.get()
    if turn is not None:
        _turn.set(None)
    return turn
