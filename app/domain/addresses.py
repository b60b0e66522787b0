"""Which IP addresses a client's URL may lead to: the public Internet, and what operators exempt,
but for what they deny.

Refused is everything that could be a machine of ours, of our host, or of nobody: private, local,
shared, translated, tunnelled, multicast, reserved and documentation ranges (IANA's registries of
special-purpose addresses), and the cloud hosts' agents behind public-looking addresses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

from app.extensions import current_settings
from config import Network, network

Address = IPv4Address | IPv6Address

_REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers' customers; Alibaba's metadata service
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent, a public address
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata service
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4: leads to any IPv4 address
        "3fff::/20",
    )
)


def parse(text: str) -> Address:
    """Read an address; an IPv4 address written as IPv6 (``::ffff:a.b.c.d``) is the former.

    :raises ValueError: when it is none.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public Internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)


@dataclass(frozen=True)
class Networks:
    """What operators and support decide about networks; what is denied is denied, allowed or not.

    ``allowed`` are exempt from the block of private addresses, and from https and port 443.
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()

    def allow(self, address: Address) -> bool:
        """Whether an address is exempt."""
        return _within(address, self.allowed)

    def deny(self, address: Address) -> bool:
        """Whether an address is closed to this client's URLs."""
        return _within(address, self.denied)


PUBLIC = Networks()
"""Nothing beside the public Internet."""


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)  # of the other version: False


def networks_for(denied: Iterable[str] = ()) -> Networks:
    """Return the networks of the settings, with those that support denies to one client."""
    settings = current_settings()
    return Networks(
        settings.webhook_allowed_networks,
        settings.webhook_denied_networks + _read(tuple(denied)),
    )


@lru_cache(maxsize=256)
def _read(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(network(text) for text in networks)


def may_dial(address: Address, scheme: str, port: int, networks: Networks) -> bool:
    """Whether a URL of this scheme and port may lead to an address.

    The public Internet by https on port 443 only; exempt networks in any way; denied ones never.
    """
    if networks.deny(address):
        return False
    if networks.allow(address):
        return True
    return scheme == "https" and port == 443 and is_public(address)
