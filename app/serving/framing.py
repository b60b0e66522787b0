"""Where a request ends: just enough of HTTP/1.1 to know when all of it has come.

What a request *says* is for gunicorn's parser, in the process that serves it; a head that it would
refuse passes here. (RFC 9112, sections 2.2, 6.3 and 7.1.)
"""

from __future__ import annotations

import re
import tempfile
from typing import IO

LONGEST_HEAD = 64 * 1024
"""Bytes of request line and header fields; longer ones are refused with 431."""
KEPT_IN_MEMORY = 64 * 1024
"""Bytes of a body above which it goes to a file."""
LARGEST_BODY = 17 * 1024 * 1024
"""Bytes above which a body is read, for its sender to see the answer, but not kept: the application
refuses it by its stated length. A little more than the application's own limit."""
HEARD_OUT = 64 * 1024 * 1024
"""Bytes after which nobody listens any longer."""

_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([0-9]{1,18})[ \t]*\r?\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\ntransfer-encoding[ \t]*:[^\n]*chunked[ \t]*\r?\n", re.IGNORECASE)
_CONTINUE = re.compile(rb"\nexpect[ \t]*:[ \t]*100-continue[ \t]*\r?\n", re.IGNORECASE)
_SIZE = re.compile(rb"([0-9a-fA-F]{1,12})[ \t]*(?:;[^\n]*)?\r?\n")
_LONGEST_SIZE_LINE = 1024


class RefusedError(Exception):
    """A request that no process should see; holds the status line's code and phrase."""


class Request:
    """One request as its bytes arrive.

    `head` is everything up to and with the empty line. Of the body, as it was sent (chunks
    included), `body` is kept in memory or `spool` is a file.
    """

    __slots__ = ("_chunks", "_rest", "body", "expects", "head", "size", "spool", "wanted")

    def __init__(self) -> None:
        self.head = b""
        self.body = b""
        self.spool: IO[bytes] | None = None
        self.size = 0
        """Bytes of the body that have come."""
        self.wanted = 0
        """Bytes of the body that are to come in all; counts up while chunks arrive."""
        self.expects = False
        """Whether the sender waits for `100 Continue`; whoever tells it sets this to False."""
        self._chunks: _Chunks | None = None
        self._rest = bytearray()

    @property
    def begun(self) -> bool:
        """Whether anything of it has come."""
        return bool(self.head or self._rest)

    @property
    def target(self) -> bytes:
        """The target of the request line; empty where there is none."""
        return [*self.head.split(b" ", 2), b"", b""][1]

    def feed(self, data: bytes) -> bool:
        """Take in what has arrived; return whether the request is complete.

        What comes after its end is dropped: a connection carries one request.

        :raises RefusedError: when it is too large to be heard out, or its chunks are none.
        :raises OSError: when there is no room for its body.
        """
        if self.head:
            return self._feed_body(data)
        looked_at = max(len(self._rest) - 3, 0)
        self._rest += data if self._rest else data.lstrip(b"\r\n")
        end = self._rest.find(b"\r\n\r\n", looked_at) + 4
        if (end if end > 3 else len(self._rest)) > LONGEST_HEAD:
            raise RefusedError("431 Request Header Fields Too Large")
        if end < 4:
            return False
        head, body = bytes(self._rest[:end]), bytes(self._rest[end:])
        self._rest.clear()
        self._begin(head)
        return self._feed_body(body)

    def parts(self) -> list[bytes]:
        """Return what is in memory, in order: the head, and the body unless it is in a file."""
        return [self.head, self.body]

    def close(self) -> None:
        """Let go of the file, if there is one."""
        if self.spool is not None:
            self.spool.close()

    def _begin(self, head: bytes) -> None:
        self.head = head
        if _CHUNKED.search(head):
            self._chunks = _Chunks()
        elif length := _LENGTH.search(head):
            self.wanted = int(length[1])
        self.expects = bool(self.wanted or self._chunks) and bool(_CONTINUE.search(head))

    def _feed_body(self, data: bytes) -> bool:
        if self._chunks is not None:
            done = self._chunks.feed(data)
            self._keep(data)
        else:
            if data:
                self._keep(data[: self.wanted - self.size])
            done = self.size >= self.wanted
        if done and self.spool is not None:
            self.spool.flush()  # here, where a full disk is this request's own misfortune
        return done

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        if max(self.wanted, self.size) > LARGEST_BODY:
            if self.size > HEARD_OUT or self._chunks is not None:
                raise RefusedError("413 Content Too Large")
            self.close()
            self.spool, self.body = None, b""
            return
        if self.spool is None and self.size <= KEPT_IN_MEMORY:
            self.body += data
            return
        if self.spool is None:
            self.spool = tempfile.TemporaryFile()  # noqa: SIM115 - handed on to whoever serves it
            self.spool.write(self.body)
            self.body = b""
        self.spool.write(data)


class _Chunks:
    """Follows the chunks of a body to their end."""

    __slots__ = ("_in_data", "_line", "_trailer")

    def __init__(self) -> None:
        self._in_data = 0
        """Bytes to come of the present chunk and the line break behind it."""
        self._line = b""
        self._trailer = False

    def feed(self, data: bytes) -> bool:
        position = 0
        while position < len(data):
            if self._in_data:
                taken = min(self._in_data, len(data) - position)
                self._in_data -= taken
                position += taken
                continue
            end = data.find(b"\n", position) + 1 or len(data)
            self._line += data[position:end]
            position = end
            if self._line.endswith(b"\n"):
                line, self._line = self._line, b""
                if self._ends(line):
                    return True
            elif len(self._line) > _LONGEST_SIZE_LINE:
                raise RefusedError("400 Bad Request")
        return False

    def _ends(self, line: bytes) -> bool:
        """Take in a line between chunks; return whether it is the last of the body."""
        if self._trailer:
            return not line.strip(b"\r\n")
        size = _SIZE.fullmatch(line)
        if size is None:
            raise RefusedError("400 Bad Request")
        length = int(size[1], 16)
        self._trailer = length == 0
        self._in_data = length + 2 if length else 0
        return False
