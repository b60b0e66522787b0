"""Requests from the sandbox to the application: signed, timed, retried as Twilio does.

By Twilio's documentation 'Webhooks: connection overrides' and the error dictionary. Every request
uses its own connection, so that a failure is never that of a connection grown stale.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlencode, urljoin, urlsplit, urlunsplit

from .clock import Clock, Scheduler
from .overrides import Overrides, split
from .records import Exchange, new_sid
from .signing import signature, signed_url

MAX_BODY = 64 * 1024
MAX_REDIRECTS = 10
_BODILESS = ("GET", "HEAD")
Pairs = Sequence[tuple[str, str]]


@dataclass
class Answer:
    """What came back. `code` is Twilio's error code, None for a usable answer."""

    url: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    code: int | None = None
    error: str = ""

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case; empty if there is none."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


class Failure(Exception):
    """A request that brought no answer. `cause` is what a retry policy calls it."""

    def __init__(self, code: int, cause: str, text: str) -> None:
        super().__init__(text)
        self.code, self.cause = code, cause


class Caller:
    """Sends webhook requests and records each try."""

    def __init__(self, record: Callable[[Exchange], None], number: Callable[[], int]) -> None:
        self._record = record
        self._number = number
        self._watchdog = Scheduler(Clock())

    def close(self) -> None:
        """Watch over no request any more."""
        self._watchdog.close()

    def fetch(
        self,
        token: str,
        url: str,
        method: str,
        params: Pairs,
        kind: str,
        sid: str,
        limit: int = MAX_BODY,
        idempotency: str = "",
    ) -> Answer:
        """One delivery with its retries, redirects and the 15 seconds that Twilio allows.

        An answer of more than `limit` bytes is an error (11750). All tries carry one idempotency
        token, a new one unless it is given.
        """
        try:
            bare, overrides = split(url)
        except ValueError as error:
            return Answer(url, code=11243, error=f"Bad connection override: {error}.")
        if not bare.startswith(("http://", "https://")) or not urlsplit(bare).hostname:
            return Answer(url, code=11100, error="Invalid URL format.")
        delivery = _Delivery(self, token, kind, sid, overrides, limit)
        delivery.idempotency = idempotency or delivery.idempotency
        answer = delivery.run(bare, method.upper(), params)
        answer.url = answer.url or bare
        return answer

    def exchange(self, kind: str, sid: str, method: str, url: str, params: Pairs) -> Exchange:
        """A new line of the log."""
        return Exchange(self._number(), kind, sid, method, url, list(params), "")

    def done(self, exchange: Exchange) -> None:
        """Keep a line of the log."""
        self._record(exchange)

    def guard(self, connection: http.client.HTTPConnection, seconds: float) -> Callable[[], None]:
        """Cut a connection at the deadline, even if the other side sends a byte now and then."""

        def cut() -> None:
            if connection.sock is not None:
                try:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # already closed: there is nothing left to cut

        return self._watchdog.after(seconds, cut).cancel


class _Delivery:
    def __init__(
        self,
        caller: Caller,
        token: str,
        kind: str,
        sid: str,
        overrides: Overrides,
        limit: int,
    ) -> None:
        self.caller, self.token, self.kind, self.sid = caller, token, kind, sid
        self.overrides, self.limit = overrides, limit
        self.deadline = time.monotonic() + overrides.total
        self.idempotency = new_sid("")

    def run(self, url: str, method: str, params: Pairs) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            answer, cause = self._try(url, method, params, attempt)
            again = cause is not None and self.overrides.retries_on(cause)
            if not again or attempt > self.overrides.retries or self._left() <= 0:
                return answer

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _try(self, url: str, method: str, params: Pairs, attempt: int) -> tuple[Answer, str | None]:
        hops, authorization = 0, ""
        while True:
            try:
                answer = self._send(url, method, params, attempt, authorization)
            except Failure as failure:
                return Answer(url, code=failure.code, error=str(failure)), failure.cause
            if answer.status == 401 and not authorization and "@" in urlsplit(url).netloc:
                authorization = _basic(urlsplit(url))
                continue
            if answer.status in (301, 302, 303, 307, 308) and answer.headers.get("location"):
                hops += 1
                if hops > MAX_REDIRECTS:
                    answer.code, answer.error = 11215, "Too many HTTP redirects."
                    return answer, None
                url = urljoin(url, answer.headers["location"])
                if answer.status not in (307, 308):
                    method, params = "HEAD" if method == "HEAD" else "GET", ()
                continue
            return _judged(answer, self.limit)

    def _send(
        self, url: str, method: str, params: Pairs, attempt: int, authorization: str
    ) -> Answer:
        if method in _BODILESS and params:
            parts = urlsplit(url)
            query = "&".join(filter(None, (parts.query, urlencode(params))))
            url = urlunsplit(parts._replace(query=query))
        line = self.caller.exchange(self.kind, self.sid, method, url, params)
        line.attempt = attempt
        line.signature = signature(
            self.token, signed_url(url), () if method in _BODILESS else params
        )
        started = time.monotonic()
        try:
            answer = self._talk(url, method, params, line.signature, authorization)
            line.status, line.content_type = answer.status, answer.content_type or None
            line.body = answer.body[:MAX_BODY].decode("utf-8", "replace")
            return answer
        except Failure as failure:
            line.error = f"{failure.code}: {failure}"
            raise
        finally:
            line.duration_ms = round((time.monotonic() - started) * 1000)
            self.caller.done(line)

    def _talk(
        self, url: str, method: str, params: Pairs, signed: str, authorization: str
    ) -> Answer:
        parts = urlsplit(url)
        headers = {
            "X-Twilio-Signature": signed,
            "I-Twilio-Idempotency-Token": self.idempotency,
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "Connection": "close",
        }
        if authorization:
            headers["Authorization"] = authorization
        body = None
        if method not in _BODILESS:
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
            body = urlencode(params).encode()
        connection = self._connect(parts)
        release = self.caller.guard(connection, max(0.0, self._left()))
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        try:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            data = response.read(self.limit + 1)
        except TimeoutError as error:
            raise Failure(11203, "rt", "The application did not answer in time.") from error
        except (OSError, http.client.HTTPException) as error:
            if self._left() <= 0:
                raise Failure(11203, "rt", "No complete answer in 15 seconds.") from error
            raise Failure(11206, "rt", f"The connection broke: {error!r}.") from error
        finally:
            release()
            connection.close()
        if self._left() <= 0:
            raise Failure(11203, "rt", "No complete answer in 15 seconds.")
        answer_headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(url, response.status, answer_headers, data)

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        wait = max(0.01, min(self.overrides.connect, self._left()))
        host = parts.hostname or ""
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                host, parts.port, timeout=wait, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=wait)
        try:
            connection.connect()
        except TimeoutError as error:
            raise Failure(11201, "ct", "TCP connection timed out.") from error
        except ConnectionRefusedError as error:
            raise Failure(11202, "ct", "TCP connection refused.") from error
        except socket.gaierror as error:
            raise Failure(11210, "ct", f"The name {host} could not be found.") from error
        except ssl.SSLError as error:
            raise Failure(11220, "ct", f"TLS handshake failed: {error}.") from error
        except OSError as error:
            raise Failure(11205, "ct", f"Connection failed: {error}.") from error
        connection.sock.settimeout(max(0.01, min(self.overrides.read, self._left())))
        return connection


def _judged(answer: Answer, limit: int) -> tuple[Answer, str | None]:
    if answer.status >= 400:
        answer.code = 11200
        answer.error = f"HTTP retrieval failure: the application answered {answer.status}."
        return answer, "5xx" if answer.status >= 500 else "4xx"
    if len(answer.body) > limit:
        answer.code, answer.error = 11750, f"The answer is larger than {limit} bytes."
    return answer, None


def _basic(parts: SplitResult) -> str:
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode()
