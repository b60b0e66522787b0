"""E-mail addresses as people write them and as mail servers know them.

The domain of an address has two spellings, and every mail server knows the one in ASCII (RFC 5890);
only letters beyond ASCII before the @ need a server that speaks SMTPUTF8 (RFC 6531).
"""

from __future__ import annotations

import re

import idna

_PLAIN = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]+@[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]+")
_NAMED = re.compile(r"[^<>@]*<\s*([^<>\s]+)\s*>")
"""How mail programs show somebody: a name, and the address between angle brackets."""
_AROUND = " \t\r\n\u00a0,;<>\"“”„'’‘\ufeff\u200b\u200e\u200f\u2060\u202a\u202c"
_LINK = re.compile(r"mailto:([^?]*)(?:\?.*)?", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
"""A part of a domain (RFC 5321, 4.1.2; of at most 63 characters: RFC 1035, 2.3.4)."""
MAX_LENGTH = 254
"""Characters of an address (RFC 5321, errata 1690)."""


def is_address(text: str) -> bool:
    """Whether ``text`` is one plain e-mail address, whose domain can exist."""
    if len(text) > MAX_LENGTH or _PLAIN.fullmatch(text) is None:
        return False
    try:
        written = on_the_wire(text)
    except ValueError:
        return False
    labels = written.rpartition("@")[2].split(".")
    return len(written) <= MAX_LENGTH and all(map(_LABEL.fullmatch, labels))


def alone(text: str) -> str:
    """Return an address without what it was copied with: ``Pat <pat@example.edu>;``, ``mailto:``.

    Anything else stays as it is, for :func:`is_address` to tell.
    """
    bare = text.strip(_AROUND[:7])
    if named := _NAMED.fullmatch(bare):
        bare = named[1]
    bare = bare.strip(_AROUND)
    if link := _LINK.fullmatch(bare):
        bare = link[1].strip(_AROUND)
    bare = bare.replace("＠", "@").rstrip(".")
    return bare if _PLAIN.fullmatch(bare) else text


def on_the_wire(address: str) -> str:
    """Return ``address`` as it stands in envelopes and headers: its domain in ASCII.

    :raises ValueError: when its domain cannot be written so (UTS #46).
    """
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    return f"{local}{at}{idna.encode(domain, uts46=True).decode()}"


def needs_smtputf8(address: str) -> bool:
    """Whether only a server that speaks SMTPUTF8 can be told this address."""
    return not address.rpartition("@")[0].isascii()
