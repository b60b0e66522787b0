"""Connections to Redis: one server, the first master of several, or whichever Sentinel names.

Every wait ends: for a connection, for an answer, and for a peer that has silently gone.
"""

from __future__ import annotations

import socket
from typing import Any

from redis import Connection, ConnectionPool, Redis, SSLConnection
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from config import RedisAddress, redis_address

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 1.0
"""How long a command may take. One that does not block takes a millisecond."""

# A peer that is gone without a word is noticed 9 s after its last, and 5 s after ours.
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in {
        "TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 5000,
    }.items()
    if hasattr(socket, name)
}  # fmt: skip


def connect(url: str, answer_seconds: float = ANSWER_SECONDS) -> Redis:
    """Return a client of what `REDIS_URL` names; it connects when it is used.

    :param answer_seconds: longer for a client whose commands block.
    :raises config.SettingsError: when ``url`` is malformed.
    """
    address = redis_address(url)
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": answer_seconds,
        # Once more on a connection that the server has closed meanwhile, never after a silence.
        "retry": Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
    }
    if address.scheme == "unix":
        return Redis.from_url(url, **options)
    options["socket_keepalive_options"] = _KEEPALIVE
    if address.service is None and len(address.hosts) == 1:
        return Redis.from_url(url, **options)
    options |= {"username": address.username, "password": address.password, "db": address.db}
    if address.service is not None:
        return _by_sentinel(address, options)
    connection = _FirstMasterByTls if address.tls else _FirstMaster
    return Redis(connection_pool=ConnectionPool(connection, hosts=address.hosts, **options))


def _by_sentinel(address: RedisAddress, options: dict[str, Any]) -> Redis:
    asking = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "socket_keepalive_options": _KEEPALIVE,
        "retry": Retry(NoBackoff(), 0),
        "username": address.sentinel_username,
        "password": address.sentinel_password,
    }
    asked: Any = Sentinel
    sentinel = asked(address.hosts, sentinel_kwargs=asking, ssl=address.tls, **options)
    client: Redis = sentinel.master_for(address.service)
    return client


class _FirstMaster(Connection):
    """Tries the hosts in their order, and takes the first that is a master."""

    def __init__(self, hosts: tuple[tuple[str, int], ...], **options: Any) -> None:
        super().__init__(host=hosts[0][0], port=hosts[0][1], **options)  # type: ignore[no-untyped-call]
        self._hosts = hosts

    def connect(self) -> None:
        """Connect to the first master.

        :raises redis.RedisError: the last host's, when none is one.
        """
        if getattr(self, "_sock", None):
            return
        fault: RedisError = ConnectionError("no host")
        for host, port in self._hosts:
            self.host, self.port = host, port
            try:
                self.connect_check_health(check_health=True, retry_socket_connect=False)
                if self._is_master():
                    return
                fault = ConnectionError(f"{host}:{port} is a replica")
            except RedisError as error:
                fault = error
            self.disconnect()  # type: ignore[no-untyped-call]
        raise fault

    def _is_master(self) -> bool:
        self.send_command("ROLE")  # type: ignore[no-untyped-call]
        role: list[bytes] = self.read_response()
        return role[0] == b"master"


class _FirstMasterByTls(_FirstMaster, SSLConnection):
    pass
