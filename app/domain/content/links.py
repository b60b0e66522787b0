"""Short links: the web addresses of a text, rewritten so that one can see who opened them."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

CODE_LENGTH = 10
"""Characters of a code. 62^10 is 8 * 10^17: with ten million links alive, somebody who tries a
thousand codes a second for a year has a chance of one in three to meet one. Nine characters would
let them meet twenty; and each character more costs room in every text."""
MAX_URL = 2048

_ALPHABET = string.digits + string.ascii_letters
_URL = re.compile(r"(?<![A-Za-z0-9])https?://[^\s<>\"“”„«»`\x00-\x1f\x7f]+", re.IGNORECASE)
_TRAILING = ".,;:!?'’‘…*_~|"
_PAIRS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class ShortLink:
    """A code and the address it leads to, exactly as written."""

    code: str
    url: str


def new_code() -> str:
    """Make a code that cannot be guessed."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(CODE_LENGTH))


def rewrite(
    text: str, base_url: str, make_code: Callable[[], str] = new_code
) -> tuple[str, list[ShortLink]]:
    """Put short links in place of the http(s) addresses in ``text``; all else stays as it is.

    Punctuation behind an address is not part of it. The same address gets the same code.

    :param base_url: what the short links begin with, without a slash at the end.
    """
    links: dict[str, ShortLink] = {}

    def shorten(found: re.Match[str]) -> str:
        url = _without_trailing(found.group())
        if not _is_address(url) or url.startswith(f"{base_url}/l/"):
            return found.group()
        link = links.setdefault(url, ShortLink(make_code(), url))
        return f"{base_url}/l/{link.code}{found.group()[len(url) :]}"

    return _URL.sub(shorten, text), list(links.values())


def _without_trailing(url: str) -> str:
    """Leave out the punctuation of the sentence, and brackets that were opened before."""
    while url:
        last = url[-1]
        opening = _PAIRS.get(last)
        if last in _TRAILING or (opening and url.count(last) > url.count(opening)):
            url = url[:-1]
        else:
            break
    return url


def _is_address(url: str) -> bool:
    if len(url) > MAX_URL:
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
