"""The ranges are those of IANA's special-purpose registries and the clouds' metadata services."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from flask import Flask

from app.domain import addresses
from app.domain.addresses import PUBLIC as PUBLIC_ONLY
from app.domain.addresses import Networks
from config import network

REFUSED = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "private": [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "fc00::1",
        "fd00:ec2::254",
    ],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
    "shared": ["100.64.0.1", "100.100.100.200", "100.127.255.255"],
    "IPv4 in IPv6": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b:1::a00:1"],
    "6to4": ["2002:7f00:1::1"],
    "Teredo": ["2001:0:53aa:64c:0:0:80ff:fffe"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.0.192"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "deprecated forms": ["fec0::1", "::127.0.0.1", "::ffff:0:127.0.0.1", "100::1"],
    "Azure's host agent": ["168.63.129.16"],
}
PUBLIC = ["8.8.8.8", "1.1.1.1", "128.255.96.200", "172.32.0.1", "100.128.0.1", "168.63.129.17",
          "2606:4700::1111", "2620:0:e50::1", "::ffff:8.8.8.8"]  # fmt: skip


@pytest.mark.parametrize(
    "text", [text for texts in REFUSED.values() for text in texts], ids=lambda text: text
)
def test_refused(text: str) -> None:
    assert not addresses.is_public(addresses.parse(text))
    assert not addresses.may_dial(addresses.parse(text), "https", 443, PUBLIC_ONLY)


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert addresses.may_dial(addresses.parse(text), "https", 443, PUBLIC_ONLY)


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 8443), ("http", 443)])
def test_the_public_internet_is_reached_by_https_on_443_only(scheme: str, port: int) -> None:
    assert not addresses.may_dial(addresses.parse("8.8.8.8"), scheme, port, PUBLIC_ONLY)


def test_exempt_networks_may_be_reached_in_any_way() -> None:
    networks = Networks((network("10.1.0.0/16"), network("fd00:1::/32")))
    for text in ("10.1.2.3", "fd00:1::5", "::ffff:10.1.2.3"):
        assert addresses.may_dial(addresses.parse(text), "http", 8080, networks)
    for text in ("10.2.0.1", "fd00:2::5", "127.0.0.1"):
        assert not addresses.may_dial(addresses.parse(text), "https", 443, networks)


DENIED = Networks((network("10.0.0.0/8"),), (network("10.9.0.0/16"), network("128.255.0.0/16")))


@pytest.mark.parametrize("text", ["10.9.1.2", "128.255.96.200", "::ffff:128.255.1.1"])
def test_denied_networks_are_reached_in_no_way(text: str) -> None:
    for scheme, port in (("https", 443), ("http", 8080)):
        assert not addresses.may_dial(addresses.parse(text), scheme, port, DENIED)


@pytest.mark.parametrize("text", ["10.8.1.2", "8.8.8.8", "2606:4700::1111"])
def test_others_are_as_they_were(text: str) -> None:
    assert addresses.may_dial(addresses.parse(text), "https", 443, DENIED)


def test_a_network_of_ipv4_written_as_ipv6_is_what_it_means() -> None:
    assert network(" ::ffff:10.9.0.0/112") == ip_network("10.9.0.0/16")
    with pytest.raises(ValueError, match="host bits"):
        network("10.9.0.1/16")


@pytest.mark.settings(
    WEBHOOK_ALLOWED_NETWORKS="10.0.0.0/8", WEBHOOK_DENIED_NETWORKS="10.1.0.0/16,fd00::/8"
)
def test_a_clients_own_come_to_those_of_the_settings(app: Flask) -> None:
    with app.app_context():
        found = addresses.networks_for(["10.2.0.0/16"])
    assert found.allowed == (network("10.0.0.0/8"),)
    assert found.denied == tuple(map(network, ("10.1.0.0/16", "fd00::/8", "10.2.0.0/16")))
