"""How a complete request gets from the front to a process of its pool.

A pair of Unix sockets for each pool, made before the processes are: the front writes at one end,
whichever process of the pool is free reads at the other. A message is one request; with it goes the
client's socket, and the file that a large body is in. What waits in the channel outlives the
processes at both ends.
"""

from __future__ import annotations

import array
import errno
import json
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from app.serving import framing

PATIENCE = 0.5
"""Seconds after which a process that nothing has come for looks up."""

_LENGTH = struct.Struct("!H")
_LARGEST = framing.LONGEST_HEAD + framing.KEPT_IN_MEMORY + 4096
_FILES = array.array("i").itemsize * 2
_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS)
"""The buffer is full, or more sockets are on their way than this user may have."""
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


@dataclass(frozen=True)
class Peer:
    """Both ends of a client's connection, as gunicorn names them: a pair, or a path."""

    family: int
    client: tuple[str, int] | str
    server: tuple[str, int] | str


@dataclass(frozen=True)
class Handed:
    """One request with its client, on the side of the process that serves it."""

    peer: Peer
    connection: socket.socket
    received: bytes
    spool: IO[bytes] | None

    def pieces(self) -> Iterator[bytes]:
        """Return the request as it was sent, piece by piece."""
        yield self.received
        if self.spool is not None:
            self.spool.seek(0)
            while piece := self.spool.read(65_536):
                yield piece

    def close(self) -> None:
        """Let go of the file; the connection is its user's to close."""
        if self.spool is not None:
            self.spool.close()


class Channel:
    """The way into one pool. Each side uses its own methods."""

    def __init__(self) -> None:
        """Make the channel; to be called by the common parent of both sides."""
        self._front, self._pool = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._front.setblocking(False)
        for end, option in ((self._front, socket.SO_SNDBUF), (self._pool, socket.SO_RCVBUF)):
            end.setsockopt(socket.SOL_SOCKET, option, 2 * _LARGEST)
        # By the kernel, not by Python's own waiting: it wakes one of the waiting, not all.
        patience = struct.pack("ll", 0, int(PATIENCE * 1_000_000))
        self._pool.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)

    def fileno(self) -> int:
        """The front's end, for a selector."""
        return self._front.fileno()

    def close(self) -> None:
        """Close both ends in this process."""
        self._front.close()
        self._pool.close()

    def hand_over(self, connection: socket.socket, peer: Peer, request: framing.Request) -> bool:
        """Send a request on its way; return whether there was room for it."""
        about = json.dumps((peer.family, peer.client, peer.server)).encode()
        files = [connection.fileno()]
        if request.spool is not None:
            files.append(request.spool.fileno())
        parts = [_LENGTH.pack(len(about)), about, *request.parts()]
        try:
            socket.send_fds(self._front, parts, files)
        except OSError as error:
            if error.errno in _FULL:
                return False
            raise
        return True

    def take(self, buffer: bytearray) -> Handed | None:
        """Wait for a request; None where none has come within :data:`PATIENCE`.

        :param buffer: of the caller's own, made by :func:`new_buffer`.
        """
        try:
            size, ancillary, _, _ = self._pool.recvmsg_into(
                [buffer], socket.CMSG_SPACE(_FILES), _CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return None
        files = array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                files.frombytes(data[: len(data) - len(data) % files.itemsize])
        start = _LENGTH.size + _LENGTH.unpack_from(buffer)[0]
        family, client, server = json.loads(buffer[_LENGTH.size : start])
        return Handed(
            Peer(family, _named(client), _named(server)),
            socket.socket(family, socket.SOCK_STREAM, 0, fileno=files[0]),
            bytes(memoryview(buffer)[start:size]),
            os.fdopen(files[1], "rb") if len(files) > 1 else None,
        )


def new_buffer() -> bytearray:
    """Return room for the largest message."""
    return bytearray(_LARGEST)


def _named(address: list[object] | str) -> tuple[str, int] | str:
    return address if isinstance(address, str) else (str(address[0]), int(str(address[1])))
