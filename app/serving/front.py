"""The front: accepts every connection, reads whole requests, and hands them to their pools.

One thread and no application in it. A slow or silent client holds a connection here and nothing
else; it gets a deadline, and the oldest of them makes room when there are too many.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.serving import pools
from app.serving.channel import Channel, Peer
from app.serving.framing import RefusedError, Request
from app.serving.pools import Pool

HEAD_SECONDS = 10.0
"""Within which the head of a request has to come, from the moment of connecting."""
BODY_SECONDS = 20.0
"""Within which its body has to come, and longer for a large one:"""
SLOWEST = 16 * 1024
"""bytes a second, the least that the sender of a body may keep up."""
MOST_CONNECTIONS = 4096
"""Being read at a time; beyond them the one that has been at it longest goes."""
MOST_WAITING: Mapping[Pool, int] = {Pool.ANSWERS: 2000, Pool.REPORTS: 4000, Pool.OTHERS: 2000}
"""Requests that may wait for a pool; a further one is answered with 503 at once."""
MOST_HELD = 512 * 1024 * 1024
"""Bytes of bodies being read; beyond them the large one that has been at it longest goes."""
SPARE_FILES = 128
ACCEPTED_AT_ONCE = 64
PARTING_SECONDS = 1.0
"""How long a request that is half read gets to its end when the front is asked to stop."""

_PIECE = 65_536
_BUSY = ("503 Service Unavailable", "Retry-After: 5")


@dataclass(eq=False)
class _Reading:
    """A connection whose request is on its way."""

    connection: socket.socket
    peer: Peer
    deadline: float
    request: Request = field(default_factory=Request)
    watched: bool = False


class Front:
    """Serves `listeners` until it is told to :meth:`stop`."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        channels: Mapping[Pool, Channel],
        bell: int,
        alive: Callable[[], bool],
        count: Callable[[Pool, int], object] = lambda _pool, _waiting: None,
    ) -> None:
        """Make a front.

        :param bell: the reading end of a pipe; whatever is written to it has `alive` asked.
        :param alive: asked at least once a second, whether to go on; the place for a heartbeat.
        :param count: told as often how many requests wait for each pool.
        """
        self._channels = channels
        self._alive = alive
        self._count = count
        self._selector = selectors.DefaultSelector()
        self._reading: dict[_Reading, None] = {}  # in the order of their coming
        self._waiting: dict[Pool, deque[_Reading]] = {pool: deque() for pool in Pool}
        self._held = 0
        self._most = min(MOST_CONNECTIONS, _files_allowed() // 2)
        self._piece = bytearray(_PIECE)
        self._swept = 0.0
        self._listeners = [(one, one.family, _address(one.getsockname())) for one in listeners]
        self._selector.register(bell, selectors.EVENT_READ, None)
        for listener in self._listeners:
            listener[0].setblocking(False)
            self._selector.register(listener[0], selectors.EVENT_READ, listener)

    def run(self) -> None:
        """Serve until `alive()` says no; then finish what is half done, and return."""
        while self._alive():
            self._turn(1.0)
        for listener, _, _ in self._listeners:
            self._selector.unregister(listener)
        end = time.monotonic() + PARTING_SECONDS
        while self._busy() and time.monotonic() < end:
            self._turn(0.1)
        for reading in list(self._reading):
            self._drop(reading)
        self._selector.close()

    def _busy(self) -> bool:
        begun = any(reading.request.begun for reading in self._reading)
        return begun or any(self._waiting.values())

    def _turn(self, patience: float) -> None:
        for key, _ in self._selector.select(patience):
            match key.data:
                case _Reading() as reading:
                    self._read(reading)
                case Pool() as pool:
                    self._pass_on(pool)
                case (listener, family, server):
                    self._accept(listener, family, server)
                case None:
                    os.read(key.fd, 4096)
        now = time.monotonic()
        if now - self._swept > 0.5:
            self._swept = now
            for pool, waiting in self._waiting.items():
                self._count(pool, len(waiting))
            self._give_up_on_the_late(now)

    def _accept(self, listener: socket.socket, family: int, server: tuple[str, int] | str) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, client = listener.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError:  # no file is left: whoever has been at it longest makes room
                if not self._make_room():
                    time.sleep(0.01)  # all wait for their pools, which give files back
                return
            connection.setblocking(False)
            reading = _Reading(
                connection, Peer(family, _address(client), server), time.monotonic() + HEAD_SECONDS
            )
            if len(self._reading) >= self._most:
                self._make_room()
            self._reading[reading] = None
            self._read(reading)  # as a rule all of it is there already

    def _make_room(self, *, large: bool = False) -> bool:
        """Drop the connection that has been read from longest; return whether there was one."""
        for oldest in self._reading:
            if oldest.request.spool is not None or not large:
                self._drop(oldest)
                return True
        return False

    def _read(self, reading: _Reading) -> None:
        try:
            size = reading.connection.recv_into(self._piece)
        except (BlockingIOError, InterruptedError):
            self._watch(reading)
            return
        except OSError:
            self._drop(reading)
            return
        if not size:  # whoever stops in the middle has nothing to be told
            self._drop(reading)
            return
        request = reading.request
        had_head, before = bool(request.head), request.size
        try:
            complete = request.feed(bytes(memoryview(self._piece)[:size]))
        except RefusedError as refused:
            self._refuse(reading, str(refused))
            return
        except OSError:  # no file is left, or no room on the disk
            self._refuse(reading, *_BUSY)
            return
        self._held += request.size - before
        if self._held > MOST_HELD:
            self._make_room(large=True)
        if complete:
            self._enqueue(reading)
            return
        if request.head and not had_head:
            reading.deadline = time.monotonic() + BODY_SECONDS
            self._invite(reading)
        self._watch(reading)

    def _invite(self, reading: _Reading) -> None:
        """Tell a sender that waits for it to go on."""
        if reading.request.expects:
            reading.request.expects = False
            with contextlib.suppress(OSError):  # its end shows when it is read from
                reading.connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _watch(self, reading: _Reading) -> None:
        if not reading.watched:
            reading.watched = True
            self._selector.register(reading.connection, selectors.EVENT_READ, reading)

    def _release(self, reading: _Reading) -> None:
        if reading in self._reading:
            del self._reading[reading]
            self._held -= reading.request.size
        if reading.watched:
            reading.watched = False
            self._selector.unregister(reading.connection)

    def _drop(self, reading: _Reading) -> None:
        self._release(reading)
        reading.request.close()
        reading.connection.close()

    def _refuse(self, reading: _Reading, status: str, *fields: str) -> None:
        lines = [f"HTTP/1.1 {status}", "Connection: close", "Content-Length: 0", *fields, "", ""]
        with contextlib.suppress(OSError):
            reading.connection.send("\r\n".join(lines).encode())
            reading.connection.shutdown(socket.SHUT_WR)
        self._drop(reading)

    def _enqueue(self, reading: _Reading) -> None:
        self._release(reading)
        pool = pools.of(reading.request.target)
        waiting = self._waiting[pool]
        if len(waiting) >= MOST_WAITING[pool]:
            self._refuse(reading, *_BUSY)
            return
        waiting.append(reading)
        if len(waiting) == 1 and not self._pass_on(pool):
            self._selector.register(self._channels[pool], selectors.EVENT_WRITE, pool)

    def _pass_on(self, pool: Pool) -> bool:
        """Hand over what waits for a pool while there is room; return whether all of it went."""
        waiting, channel = self._waiting[pool], self._channels[pool]
        while waiting:
            first = waiting[0]
            if not channel.hand_over(first.connection, first.peer, first.request):
                return False
            self._drop(waiting.popleft())
        with contextlib.suppress(KeyError):
            self._selector.unregister(channel)
        return True

    def _give_up_on_the_late(self, now: float) -> None:
        for reading in list(self._reading):
            if now < reading.deadline + reading.request.size / SLOWEST:
                continue
            if reading.request.begun:
                self._refuse(reading, "408 Request Timeout")
            else:
                self._drop(reading)


def _address(name: tuple[object, ...] | str | bytes) -> tuple[str, int] | str:
    """Return a socket's name as gunicorn knows it; an unnamed Unix socket's is empty."""
    if isinstance(name, bytes):
        return name.decode(errors="replace")
    return name if isinstance(name, str) else (str(name[0]), int(str(name[1])))


def _files_allowed() -> int:
    """Raise this process's own limit of open files as far as it may, and return it."""
    wanted = MOST_CONNECTIONS + sum(MOST_WAITING.values()) + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft - SPARE_FILES
