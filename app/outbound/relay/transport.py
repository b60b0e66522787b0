"""One HTTP request to an address that a client chose: bounded, pinned, and believed with care.

requests and urllib3 do the talking, so Host, SNI and the certificate check are theirs; the
connection is ours (:mod:`app.outbound.relay.dial`). No redirect is followed, no proxy, netrc or
other part of the environment is used, and nothing is tried twice.
"""

from __future__ import annotations

import http.client
import ssl
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

import certifi
import requests
from urllib3.exceptions import HTTPError

from app.domain.addresses import PUBLIC, Networks
from app.outbound.relay.deadline import Deadline
from app.outbound.relay.dial import Dialer, DialError, Resolver, resolve_name
from app.outbound.relay.pinned import PinnedAdapter

MAX_HEADERS = 50
MAX_HEADER_CHARACTERS = 500


@dataclass(frozen=True)
class Limits:
    """How long an exchange may take, in seconds, and how much of an answer is kept, in bytes."""

    connect: float = 5.0
    read: float = 10.0
    total: float = 15.0
    dns: float = 3.0
    body: int = 16 * 1024


LIMITS = Limits()


@dataclass(frozen=True)
class Call:
    """What is to be sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None = None


@dataclass
class EndpointAnswer:
    """What came back, or why nothing did.

    ``error`` is None exactly when complete headers came within the deadline: ``blocked``, ``dns``,
    ``connect``, ``tls``, ``timeout`` (a read), ``deadline`` (the whole) or ``connection``.
    """

    status: int | None = None
    error: str | None = None
    detail: str | None = None
    """The error as a sentence."""
    address: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    truncated: bool = False
    """There was more, or the rest did not come."""
    duration_ms: int = 0
    closing: bool = False
    """The host wants no further request on this connection."""
    unanswered: bool = False
    """The connection ended before a single byte of an answer."""


def send(
    call: Call,
    networks: Networks = PUBLIC,
    limits: Limits = LIMITS,
    resolver: Resolver = resolve_name,
    trust: ssl.SSLContext | None = None,
) -> EndpointAnswer:
    """Send ``call`` once, over a connection of its own; see :class:`Wire`."""
    with closing(Wire(limits, resolver, trust)) as wire:
        return wire.send(call, networks)


class Wire:
    """Sends to one host, over a connection that is kept from one exchange to the next.

    It is never used again after an error, nor when the host or its time to live has changed. Only
    where the host has closed a kept connection while our request was on its way, which it may do at
    any time, is that sent once more, over a new one: nothing had been answered, and receivers know
    what they have had by its id.

    :param trust: whose certificates are believed; the system's and certifi's when not given.
    """

    def __init__(
        self,
        limits: Limits = LIMITS,
        resolver: Resolver = resolve_name,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = limits
        self._trust = trust
        self._dialer = Dialer(Deadline(0), PUBLIC, limits.connect, limits.dns, resolver)
        self._adapter: PinnedAdapter | None = None
        self._opened = 0.0
        self.idle_since = 0.0
        """When the last exchange ended, by the monotonic clock."""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that may be used again."""
        return self._dialer.kept is not None

    def send(self, call: Call, networks: Networks = PUBLIC) -> EndpointAnswer:
        """Send ``call`` and return what happened; never raises for what the other side does.

        :param networks: asked at each try, of a connection that was kept as well.
        """
        self._dialer.networks = networks
        started = time.monotonic()
        with Deadline(self._limits.total) as deadline:
            self._dialer.deadline, self._dialer.dialled = deadline, False
            self._resume(call.url)
            answer = self._try(call, deadline)
            if answer.error and not self._dialer.dialled and answer.unanswered:
                answer = self._try(call, deadline)
        answer.address = self._dialer.address
        self.idle_since = time.monotonic()
        answer.duration_ms = round((self.idle_since - started) * 1000)
        return answer

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._dialer.forget()
        if self._adapter is not None:
            self._adapter.close()
            self._adapter = None

    def _resume(self, url: str) -> None:
        parts = urlsplit(url)
        origin = (parts.scheme.lower(), parts.netloc.lower())
        if self._adapter is not None and self._adapter.origin == origin:
            port = parts.port or (443 if origin[0] == "https" else 80)
            young = time.monotonic() - self._opened < LONGEST_LIFE
            if young and self._dialer.resume(origin[0], port):
                return
        self.close()
        self._dialer.address = None
        self._opened = time.monotonic()
        self._adapter = PinnedAdapter(self._dialer, self._trust or trusted(), origin)

    def _try(self, call: Call, deadline: Deadline) -> EndpointAnswer:
        answer = EndpointAnswer()
        if self._adapter is None:
            self._resume(call.url)
        try:
            if self._adapter is not None:
                _exchange(call, self._adapter, self._dialer, self._limits, answer)
        except DialError as error:
            answer.error, answer.detail = error.kind, str(error)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            answer.error, answer.detail = _explain(error)
            answer.unanswered = answer.status is None and _is_unanswered(str(error))
        if answer.error and deadline.fired:
            answer.error = "deadline"
            answer.detail = f"There was no complete answer within {self._limits.total:g} s."
            answer.unanswered = False
        if answer.error or answer.truncated or answer.closing:
            self.close()
        return answer


LONGEST_LIFE = 60.0
"""Seconds for which a connection is used: a host may move to another address."""


@lru_cache(maxsize=1)
def trusted() -> ssl.SSLContext:
    """Return the context that every try shares; loading the certificates takes 20 ms.

    The system's store counts (``SSL_CERT_FILE`` can add an institution's own), and certifi's.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _exchange(
    call: Call, adapter: PinnedAdapter, dialer: Dialer, limits: Limits, answer: EndpointAnswer
) -> None:
    prepared = requests.Request(call.method, call.url, call.headers, data=call.body).prepare()
    # The adapter itself, not a session: that would read the environment, and would read the
    # whole body of a redirect in order to follow it.
    response = adapter.send(prepared, stream=True, timeout=(limits.connect, limits.read))
    try:
        if dialer.deadline.fired:
            raise requests.ReadTimeout
        answer.status = response.status_code
        answer.headers = {
            name[:MAX_HEADER_CHARACTERS]: _printable(value)[:MAX_HEADER_CHARACTERS]
            for name, value in list(response.headers.items())[:MAX_HEADERS]
        }
        answer.closing = "close" in response.headers.get("Connection", "").lower()
        answer.body, answer.truncated = _read(response, limits.body)
    finally:
        response.close()


def _read(response: requests.Response, limit: int) -> tuple[str, bool]:
    """Read the beginning of the body, undecoded; what cuts it short does not undo the answer."""
    kept = bytearray()
    ended = False
    try:
        while len(kept) <= limit:
            part = response.raw.read1(limit + 1 - len(kept), decode_content=False)
            if not part:
                ended = True
                break
            kept += part
    except (HTTPError, OSError, http.client.HTTPException, ValueError):
        ended = False
    return _printable(bytes(kept[:limit]).decode("utf-8", "replace")), not ended


def _printable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL stores no NUL


def _explain(error: Exception) -> tuple[str, str]:
    reason = str(error)
    if isinstance(error, requests.exceptions.SSLError):
        return "tls", _explain_tls(reason)
    if isinstance(error, requests.Timeout):
        return "timeout", "The host took the connection but did not answer in time."
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)):
        return "connection", f"The URL cannot be used: {reason[:200]}"
    if "Connection reset" in reason:
        return "connection", "The host broke the connection off before it had answered."
    if "without response" in reason or "cut short" in reason:
        return "connection", "The host closed the connection before its answer was complete."
    return "connection", f"The answer was no valid HTTP: {_printable(reason)[:200]}"


def _is_unanswered(reason: str) -> bool:
    return any(mark in reason for mark in ("without response", "Connection reset", "Broken pipe"))


def _explain_tls(reason: str) -> str:
    known = {
        "certificate has expired": "The certificate of the host has expired; renew it.",
        "Hostname mismatch": "The certificate is for another host name.",
        "IP address mismatch": "The certificate is for another host.",
        "self-signed": "The certificate is self-signed; use one from a public authority.",
        "unable to get local issuer": "The certificate is from an unknown authority, or the server"
        " does not send the intermediate certificates.",
        "timed out": "The host did not complete the TLS handshake in time.",
    }
    for mark, sentence in known.items():
        if mark in reason:
            return sentence
    return f"TLS failed: {_printable(reason)[-200:]}"
