"""A deadline that holds against any server: when it is over, the sockets under watch are shut.

Time-outs of sockets are per read: a server that sends a byte now and then is never late by them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType


class Deadline:
    """Counts from its making; used as a context manager around one exchange."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True
        self.fired = False
        """Whether it came to that. Ask before believing an answer: http.client takes the end of
        a connection for the end of the headers."""

    def remaining(self, at_most: float) -> float:
        """Return the seconds left, at most ``at_most`` and never less than a little."""
        return max(0.001, min(at_most, self._ends - time.monotonic()))

    def watch(self, sock: socket.socket) -> None:
        """Shut ``sock`` when the time is over.

        A duplicate is kept, because TLS takes the socket object itself out of use; shutting the
        duplicate shuts the connection.
        """
        duplicate = sock.dup()
        with self._lock:
            if not self.fired:
                self._watched.append(duplicate)
                return
        _shut(duplicate)

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            watched, self._watched = self._watched, []
        for sock in watched:
            sock.close()

    def _fire(self) -> None:
        with self._lock:
            self.fired = True
            watched, self._watched = self._watched, []
        for sock in watched:
            _shut(sock)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was faster
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
