"""Connections that wait for their turn before they write; see `app.twilio.turns`.

Imported together with requests only, which is slow to import.
"""

from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import wait_for_read

from app.twilio import turns


class _Waiting(HTTPConnection):
    _used = False
    _held: list[bytes] | None = None

    def connect(self) -> None:
        """Connect, and note that nothing was written yet."""
        super().connect()
        self._used = False

    def request(self, *args: Any, **options: Any) -> None:
        """Make a request; one that has to wait for its turn is written whole when that comes."""
        turn = turns.take()
        if turn is None:
            super().request(*args, **options)
            return
        if self.sock is None:
            self.connect()
        held = self._held = []
        try:
            super().request(*args, **options)
        finally:
            self._held = None
        turn()
        self._replace_closed()
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        """Write ``data``, or keep it for the turn."""
        if self._held is not None:
            self._held.append(data)
            return
        super().send(data)
        self._used = True

    def _replace_closed(self) -> None:
        """Connect anew where the other side has hung up while the turn was waited for.

        Nothing has been written yet, so that this repeats nothing. Only a connection that was used
        before tells by being readable: on a new one TLS may still have something to say.
        """
        if self._used and self.sock is not None and wait_for_read(self.sock, timeout=0):
            self.sock.close()
            self.sock = None
            self.connect()


class _WaitingSecurely(_Waiting, HTTPSConnection):
    pass


_CONNECTIONS: dict[str, type[HTTPConnection]] = {"http": _Waiting, "https": _WaitingSecurely}


class Adapter(HTTPAdapter):
    """Lends connections that wait for their turn."""

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        """Return the pool of a host, as requests asks for it."""
        pool = super().get_connection_with_tls_context(*args, **options)
        assert isinstance(pool, HTTPConnectionPool)  # noqa: S101 - for the type checker
        pool.ConnectionCls = _CONNECTIONS[pool.scheme or "http"]
        return pool
