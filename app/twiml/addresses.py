"""Web and SIP addresses in TwiML: read so that nobody can read them otherwise.

What an address leads to is decided by its host alone. Libraries disagree about odd ones (a
backslash, two ``@``, a host in other letters), so only what all read alike is an address here.
"""

import re
from dataclasses import dataclass
from typing import Final

import idna

_HOST: Final = r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])"
_PORT: Final = r"(?::(?P<port>[0-9]{1,5}))?"
_USER: Final = r"(?:[A-Za-z0-9._~!$&'()*+,=:%-]+@)?"
_WEB: Final = re.compile(
    rf"(?P<scheme>https?|wss)://{_USER}{_HOST}{_PORT}(?:/[^\s\\\x00-\x1f]*|[?#][^\s\\@\x00-\x1f]*)?"
)
_SIP: Final = re.compile(
    rf"sips?:{_USER}{_HOST}{_PORT}(?P<options>(?:;[A-Za-z-]+=[A-Za-z0-9.-]+)*)"
    r"(?:\?(?P<headers>[^\s\\@?\x00-\x1f]+))?",
    re.IGNORECASE,
)
_SIP_OPTIONS: Final = frozenset({"transport", "edge", "region", "user"})
"""What Twilio takes behind the host. Others (``maddr``) would lead the call elsewhere."""
_SIP_HEADER: Final = re.compile(r"(?:X-[A-Za-z0-9-]+|User-to-User)=[^&]*", re.IGNORECASE)
"""The headers that Twilio passes on; one such as Route would lead the call elsewhere."""
_DEFAULT_PORTS: Final = {"https": 443, "http": 80, "wss": 443}
_LISTED: Final = re.compile(rf"{_HOST}{_PORT}")
MAX_HOST: Final = 253


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an address leads: host in small letters, without a dot at its end, and port."""

    host: str
    port: int

    def is_among(self, listed: frozenset[str]) -> bool:
        """Tell whether `listed` names this host, with any port or with this one."""
        return self.host in listed or f"{self.host}:{self.port}" in listed


def web_origin(url: str) -> Origin | None:
    """Return where a http, https or wss address leads; None if it is none that all read alike."""
    found = _WEB.fullmatch(url)
    if found is None:
        return None
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[found["scheme"]]
    return Origin(_plain(found["host"]), port)


def sip_domain(uri: str) -> str | None:
    """Return the domain that a SIP address leads to; None if it is none that all read alike."""
    found = _SIP.fullmatch(uri)
    if found is None:
        return None
    options = [one.partition("=")[0].lower() for one in found["options"].split(";")[1:]]
    headers = found["headers"].split("&") if found["headers"] else []
    if not _SIP_OPTIONS.issuperset(options) or not all(map(_SIP_HEADER.fullmatch, headers)):
        return None
    return _plain(found["host"])


def listed_host(text: str, may_have_port: bool = True) -> str:
    """Return a host as people list it (``ivr.example.edu``, ``ivr.example.edu:8443``), written so
    that it can be compared; letters outside ASCII in their ``xn--`` form.

    Raises ValueError with a sentence if it is no host.
    """
    given = text.strip()
    host, port = given, ""
    if not given.isascii():
        host, colon, port = given.partition(":")
        try:
            given = idna.encode(host, uts46=True).decode() + colon + port
        except idna.IDNAError as error:
            raise ValueError(_NO_HOST.format(text=text.strip()[:100])) from error
    found = _LISTED.fullmatch(given)
    if found is None or len(found["host"]) > MAX_HOST or (found["port"] and not may_have_port):
        raise ValueError(_NO_HOST.format(text=text.strip()[:100]))
    return _plain(found["host"]) + (f":{int(found['port'])}" if found["port"] else "")


_NO_HOST: Final = (
    "“{text}” is not the name of a host; write it alone, as in ivr.example.edu, without https://"
    " and without a path."
)


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")
