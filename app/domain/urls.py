"""Which URLs a client may write down for us, or for Twilio, to call."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import idna

from app.extensions import current_settings
from config import Network, Settings

MAX_URL = 2048
_PORTS = {"https": 443, "http": 80}
_CODE = re.compile(r"[A-Za-z0-9_-]{1,32}")


def refusal(url: str, *, called_by_us: bool = False) -> str | None:
    """Return why ``url`` may not be used, or None if it may.

    https is required, except where the host is in ``WEBHOOK_ALLOWED_NETWORKS`` (a host name is
    looked up only when it is called) or, in development, a loopback address. What we call ourselves
    (``called_by_us``) must in addition be on port 443 and on a public address, with the same
    exceptions.
    """
    parts = _split(url)
    if isinstance(parts, str):
        return parts
    scheme, host, port, has_user = parts
    if scheme not in ("http", "https") or not host:
        return f"“{url}” is not a web address; it must begin with https:// and name a host."
    if has_user:
        return (
            f"The address of {host} holds a user name or password; keep them in a saved credential."
        )
    settings = current_settings()
    if called_by_us and _is_within(host, settings.webhook_denied_networks):
        return f"“{url}” is on a network that operators have closed to callbacks."
    if _is_trusted(host, settings):
        return None
    if scheme == "http":
        return f"“{url}” must begin with https://, so that nobody can read or change what is sent."
    if called_by_us and port not in (None, 443):
        return f"“{url}” uses port {port}; only 443 is allowed. Ask support to allow your network."
    if called_by_us and _is_private(host):
        return f"“{url}” is on a private network. Ask support to allow your network."
    return None


def origin(url: str) -> str:
    """Return scheme, host and port of a web address, written one way: ``https://sis.example.edu``.

    Two addresses of the same origin reach the same server. The port is left out where it is the
    scheme's own, and a host of other letters is written as DNS has it (UTS #46).

    :raises ValueError: when it is no web address.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError(f"“{host}” is no name of a host.") from error
    if parts.scheme.lower() not in _PORTS or not host:
        raise ValueError(f"“{url}” is not a web address; it must begin with https:// .")
    port = "" if parts.port in (None, _PORTS[parts.scheme.lower()]) else f":{parts.port}"
    return f"{parts.scheme.lower()}://{f'[{host}]' if ':' in host else host}{port}"


def points_here(url: str) -> bool:
    """Tell whether ``url`` is Dispatch's own: then whoever is sent there comes back for ever.

    Ports, case, trailing dots and the two spellings of an international name make no difference,
    except that other programs may have other ports of a loopback address.
    """
    settings = current_settings()
    there = _place(url)
    return there is not None and there in {
        _place(own) for own in (settings.public_base_url, settings.short_link_base_url)
    }


def _place(url: str) -> tuple[str, int | None] | None:
    """Return the host in its one spelling; with its port where that tells programs apart."""
    parts = _split(url)
    if isinstance(parts, str) or not parts[1]:
        return None
    scheme, host, port, _ = parts
    try:
        name = idna.encode(host, uts46=True).decode().rstrip(".").lower()
    except idna.IDNAError:
        name = host.rstrip(".").lower()
    address = _address(name)
    if address is not None and address.is_loopback:
        return "loopback", port or {"http": 80, "https": 443}.get(scheme)
    return name, None


def of_media(code: str) -> str:
    """Return the address under which everybody may fetch a file that we keep."""
    return f"{current_settings().public_base_url}/media/{code}"


def media_code(url: str) -> str | None:
    """Return the code of a file of ours, or None for what is served elsewhere."""
    before, found, code = url.rpartition("/media/")
    ours = found and before == current_settings().public_base_url
    return code if ours and _CODE.fullmatch(code) else None


def _split(url: str) -> tuple[str, str, int | None, bool] | str:
    if len(url) > MAX_URL:
        return f"The web address is too long; at most {MAX_URL} characters are allowed."
    if any(character.isspace() or ord(character) < 32 for character in url) or "\\" in url:
        return f"“{url}” is not a web address: it holds a space or another character to be encoded."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"“{url}” is not a web address: its host or port cannot be read."
    return parts.scheme, parts.hostname or "", port, "@" in parts.netloc


def _is_trusted(host: str, settings: Settings) -> bool:
    networks = settings.webhook_allowed_networks
    address = _address(host)
    if address is None:
        return bool(networks)
    if settings.is_development and address.is_loopback:
        return True
    return _is_within(host, networks)


def _is_within(host: str, networks: Iterable[Network]) -> bool:
    address = _address(host)
    if address is None:
        return False  # a name: it is looked up when it is called
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)


def _is_private(host: str) -> bool:
    address = _address(host)
    return address is not None and not address.is_global


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if host == "localhost" or host.endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
