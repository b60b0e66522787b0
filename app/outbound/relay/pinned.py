"""Connections only to where the host was found to be allowed, and answers that are whole."""

from __future__ import annotations

import http.client
import ssl
from functools import partial
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from app.outbound.relay.dial import Dialer


class PinnedAdapter(HTTPAdapter):
    """Sends requests to one origin through a connection that our dialer opens."""

    def __init__(self, dialer: Dialer, trust: ssl.SSLContext, origin: tuple[str, str]) -> None:
        super().__init__(max_retries=0)
        self.origin = origin
        self._dialer = dialer
        self._trust = trust
        self._pool: HTTPConnectionPool | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._pool is not None:
            self._pool.close()
        super().close()

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> HTTPConnectionPool:
        """Return the pool of this one connection."""
        if self._pool is not None:
            return self._pool
        host, tls = self.build_connection_pool_key_attributes(request, True)
        pool: HTTPConnectionPool
        if host["scheme"] == "https":
            pool = HTTPSConnectionPool(
                host["host"], host["port"] or 443, maxsize=1, ssl_context=self._trust,
                cert_reqs=tls["cert_reqs"],
            )  # fmt: skip
            pool.ConnectionCls = partial(_PinnedHTTPS, dialer=self._dialer)  # type: ignore[assignment]
        else:
            pool = HTTPConnectionPool(host["host"], host["port"] or 80, maxsize=1)
            pool.ConnectionCls = partial(_PinnedHTTP, dialer=self._dialer)  # type: ignore[assignment]
        self._pool = pool
        return pool

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
        """Leave the shared context as it is: it requires and checks certificates."""


class _CompleteResponse(http.client.HTTPResponse):
    """An answer whose headers must have ended: http.client takes a cut for their end."""

    def begin(self) -> None:
        """Read status line and headers.

        :raises http.client.HTTPException: when the connection ended within them.
        """
        inner = self.fp
        lines = _Lines(inner)
        self.fp = cast(Any, lines)
        super().begin()
        self.fp = inner
        if lines.last not in (b"\r\n", b"\n"):
            raise http.client.HTTPException("the headers were cut short")


class _Lines:
    """A file that remembers the last line read from it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.last = b""

    def readline(self, *arguments: int) -> bytes:
        line: bytes = self.inner.readline(*arguments)
        self.last = line
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _PinnedHTTP(HTTPConnection):
    response_class = _CompleteResponse

    def __init__(self, *arguments: Any, dialer: Dialer, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._dialer = dialer

    def _new_conn(self) -> Any:
        return self._dialer.dial("http", self.host, self.port)


class _PinnedHTTPS(HTTPSConnection):
    response_class = _CompleteResponse

    def __init__(self, *arguments: Any, dialer: Dialer, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._dialer = dialer

    def _new_conn(self) -> Any:
        return self._dialer.dial("https", self.host, self.port)
