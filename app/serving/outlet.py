"""Answers leave without their makers: what a client does not take at once goes on by itself."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from app.serving.channel import Handed

KEPT_IN_MEMORY = 128 * 1024
"""Bytes of an answer that wait in memory for a slow client; more wait in a file."""
LATE_SECONDS = 30.0
"""Within which a slow client has to take its answer, and longer for a large one:"""
SLOWEST = 8 * 1024
"""bytes a second, the least that a reader has to keep up."""
MOST_LATE = 256
"""Answers that a process keeps for slow clients; beyond them the oldest is cut off."""

_PIECE = 65_536


class Exchange:
    """A client as gunicorn's parser and response see it: a source of bytes and a place for some.

    Writing never waits. :meth:`close` leaves what the client has not taken yet to `late`.
    """

    def __init__(
        self, handed: Handed, late: LateAnswers, on_progress: Callable[[], object]
    ) -> None:
        """Speak with the client of `handed`; each piece of the answer is told to `on_progress`."""
        self._handed = handed
        self._connection = handed.connection
        self._connection.setblocking(False)
        self._late = late
        self._on_progress = on_progress
        self._closed = False
        self._rest: tempfile.SpooledTemporaryFile[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Return the request, piece by piece."""
        return self._handed.pieces()

    def getsockname(self) -> tuple[str, int] | str:
        """Return the address that the client has connected to."""
        return self._handed.peer.server

    def send(self, data: bytes) -> int:
        """Do nothing with `100 Continue`, all that gunicorn writes by this: the front has."""
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Write, or keep for later what the client does not take now.

        :raises OSError: when the client has gone.
        """
        self._on_progress()
        if self._rest is None:
            sent = _sent(self._connection, data)
            if sent == len(data):
                return
            data = data[sent:]
            self._rest = tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY)  # noqa: SIM115
        self._rest.write(data)

    def shutdown(self, _how: int) -> None:
        """Refuse: only :meth:`close` ends an exchange.

        :raises OSError: always, upon which gunicorn closes.
        """
        raise OSError("an exchange is closed as a whole")

    def close(self) -> None:
        """End the answer; doing so again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._handed.close()
        if self._rest is None:
            part(self._connection)
        else:
            self._late.add(self._connection, self._rest)


@dataclass(eq=False)
class _Late:
    connection: socket.socket
    rest: IO[bytes]
    deadline: float
    piece: bytes = b""


class LateAnswers:
    """One thread for all the slow clients of a process."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._new: deque[_Late] = deque()
        self._late: dict[_Late, None] = {}
        self._thread: threading.Thread | None = None
        self._bell, self._ear = os.pipe()[::-1]
        for end in (self._bell, self._ear):
            os.set_blocking(end, False)
        self._selector.register(self._ear, selectors.EVENT_READ)

    def add(self, connection: socket.socket, rest: tempfile.SpooledTemporaryFile[bytes]) -> None:
        """Take over a connection and what is still to be written to it."""
        size = rest.tell()
        rest.seek(0)
        one = _Late(connection, rest, time.monotonic() + LATE_SECONDS + size / SLOWEST)
        self._new.append(one)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="late-answers", daemon=True)
                self._thread.start()
        with contextlib.suppress(BlockingIOError):
            os.write(self._bell, b"!")

    def wait(self, seconds: float) -> None:
        """Wait until all is written, `seconds` at most."""
        end = time.monotonic() + seconds
        while (self._new or self._late) and time.monotonic() < end:
            time.sleep(0.05)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select(1.0):
                if key.data is None:
                    self._take_in()
                elif self._write(key.data):
                    self._end(key.data)
            now = time.monotonic()
            for one in [one for one in self._late if one.deadline < now]:
                self._end(one)

    def _take_in(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._ear, 4096)
        while self._new:
            if len(self._late) >= MOST_LATE:
                self._end(next(iter(self._late)))
            one = self._new.popleft()
            self._late[one] = None
            self._selector.register(one.connection, selectors.EVENT_WRITE, one)

    def _write(self, one: _Late) -> bool:
        """Write what goes; return whether that was all, or the client has gone."""
        try:
            while one.piece or (piece := one.rest.read(_PIECE)):
                one.piece = one.piece or piece
                sent = _sent(one.connection, one.piece)
                one.piece = one.piece[sent:]
                if one.piece:
                    return False
        except OSError:
            pass
        return True

    def _end(self, one: _Late) -> None:
        if one not in self._late:
            return  # it has made room for another already
        del self._late[one]
        self._selector.unregister(one.connection)
        one.rest.close()
        part(one.connection)


def part(connection: socket.socket) -> None:
    """Close a connection so that the end of the answer arrives.

    What a client has sent beyond its request would otherwise make the kernel take back what has
    not arrived yet (RFC 9112, section 9.6).
    """
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.recv(_PIECE, socket.MSG_DONTWAIT)
    connection.close()


def _sent(connection: socket.socket, data: bytes) -> int:
    """Write as much of `data` as goes without waiting; return how much."""
    total = 0
    try:
        while total < len(data):
            total += connection.send(memoryview(data)[total:])
    except (BlockingIOError, InterruptedError):
        pass
    return total
