"""From a host name to a connection: resolved, checked and dialled in one, without a gap.

The address that was checked is the address that is dialled, at every try. A name that answers
differently the second time (DNS rebinding) therefore gains nothing.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.domain import addresses
from app.domain.addresses import Address, Networks
from app.outbound.relay.deadline import Deadline

Resolver = Callable[[str, int], list[tuple[Any, ...]]]


class DialError(Exception):
    """No connection came about.

    ``kind`` is ``blocked``, ``dns`` or ``connect``; the text is a sentence for people, which does
    not tell clients what our resolver knows about internal names.
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def resolve_name(host: str, port: int) -> list[tuple[Any, ...]]:
    """Ask the system's resolver for all stream addresses of a host."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


@dataclass
class Dialer:
    """Opens the connection of one try, and remembers to which address."""

    deadline: Deadline
    networks: Networks
    connect_seconds: float
    dns_seconds: float
    resolver: Resolver = resolve_name
    address: str | None = field(default=None, init=False)
    dialled: bool = field(default=False, init=False)
    """Whether a connection was opened since this was last set to False."""
    kept: socket.socket | None = field(default=None, init=False)
    """A duplicate of the connection's socket: TLS takes the original out of use."""

    def dial(self, scheme: str, host: str, port: int) -> socket.socket:
        """Return a connected socket that the deadline watches.

        All addresses that the name has and that are allowed are tried in turn.

        :raises DialError: when the name does not resolve, when no address is allowed, or when
            none answers.
        """
        self.dialled = True
        allowed = self._allowed(scheme, host, port)
        seconds = self.deadline.remaining(self.connect_seconds)
        failure: OSError | None = None
        for number, (family, address) in enumerate(allowed):
            share = self.deadline.remaining(seconds / (len(allowed) - number))
            try:
                return self._connect(family, address, port, share)
            except OSError as error:
                failure = error
            seconds = max(0.2, seconds - share)
        raise DialError("connect", _why_not_connected(failure))

    def resume(self, scheme: str, port: int) -> bool:
        """Have the deadline watch the connection that is kept; return whether it may be used.

        That is, if it still leads to the address that was checked, and that is still allowed.
        """
        if self.kept is None or self.address is None:
            return False
        try:
            peer = addresses.parse(self.kept.getpeername()[0])
        except OSError:
            return False
        if str(peer) != self.address or not addresses.may_dial(peer, scheme, port, self.networks):
            return False
        self.deadline.watch(self.kept)
        return True

    def forget(self) -> None:
        """Let go of the duplicate of a connection that is over."""
        if self.kept is not None:
            self.kept.close()
            self.kept = None

    def _allowed(self, scheme: str, host: str, port: int) -> list[tuple[int, Address]]:
        answers = [
            (answer[0], addresses.parse(str(answer[4][0]))) for answer in self._resolve(host, port)
        ]
        allowed = [
            (family, address)
            for family, address in dict.fromkeys(answers)
            if addresses.may_dial(address, scheme, port, self.networks)
        ]
        if not allowed:
            if any(self.networks.deny(address) for _, address in answers):
                raise DialError(
                    "blocked",
                    "The address of this host is in a network that operators or support have closed"
                    " to callbacks (WEBHOOK_DENIED_NETWORKS, or denied_networks of the client).",
                )
            if any(addresses.is_public(address) for _, address in answers):
                raise DialError(
                    "blocked",
                    "Only https on port 443 is allowed outside the networks that operators exempt"
                    " (WEBHOOK_ALLOWED_NETWORKS).",
                )
            raise DialError(
                "blocked",
                "The address of this host is private, local or reserved, and not allowed. For an"
                " on-campus endpoint, ask support to add its network to"
                " WEBHOOK_ALLOWED_NETWORKS.",
            )
        return allowed

    def _resolve(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """Resolve in a thread of its own: nothing can interrupt the system's resolver."""
        answers: queue.Queue[list[tuple[Any, ...]] | Exception] = queue.Queue()

        def ask() -> None:
            try:
                answers.put(self.resolver(host.strip("[]"), port))
            except (OSError, UnicodeError, ValueError) as error:
                answers.put(error)

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=self.deadline.remaining(self.dns_seconds))
        except queue.Empty:
            raise DialError(
                "dns", f"The name {host} could not be resolved in {self.dns_seconds:g} s."
            ) from None
        if isinstance(answer, Exception) or not answer:
            raise DialError("dns", f"The name {host} could not be resolved; check the host.")
        return answer

    def _connect(self, family: int, address: Address, port: int, seconds: float) -> socket.socket:
        family = socket.AF_INET if address.version == 4 else family
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.deadline.watch(sock)
            sock.settimeout(seconds)
            sock.connect((str(address), port))
            self.address = str(address)
            if addresses.parse(sock.getpeername()[0]) != address:
                raise DialError("blocked", "The connection led to another address than was checked")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(self.deadline.remaining(self.connect_seconds))
            self.forget()
            self.kept = sock.dup()
        except BaseException:
            sock.close()
            raise
        return sock


def _why_not_connected(failure: OSError | None) -> str:
    if isinstance(failure, TimeoutError):
        return "The host did not accept a connection in time; check that it is up and reachable."
    if isinstance(failure, ConnectionRefusedError):
        return "The host refused the connection; check that a service listens there."
    reason = failure.strerror if failure and failure.strerror else "no route to it"
    return f"The host could not be reached ({reason})."
