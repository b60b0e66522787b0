"""Short links: the web addresses of a text, rewritten so that one can see who opened them.

An address ends where a person sees it end. RFC 3986 says which ASCII characters it may have; of the
others only letters, marks and digits belong to it (as in UAX #31), so that dashes, arrows, emoji
and the full stops and brackets of other scripts end it as a blank does. UTS #58, which asks the
same question, takes more into an address; here a word lost is worse than a link cut short, since
nobody sees the word that has disappeared into a short link.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import idna
import regex

from app.domain.urls import MAX_URL

CODE_LENGTH = 10
"""Characters of a code. 62^10 is 8 * 10^17: with ten million links alive, somebody who tries a
thousand codes a second for a year has a chance of one in three to meet one. Nine characters would
let them meet twenty; and each character more costs room in every text."""

_ALPHABET = string.digits + string.ascii_letters
_START = regex.compile(r"(?<![A-Za-z0-9])https?://", regex.IGNORECASE)
_KEYCAP = "\ufe0f\u20e3"
"""What makes an emoji of the digit before it, so that the digit is none of the address."""
_PART = regex.compile(
    rf"%[0-9A-Fa-f]{{2}}"
    rf"|(?:(?![0-9#*][{_KEYCAP}])[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%{{}}])"
    rf"|(?![{_KEYCAP}])[[\p{{L}}\p{{M}}\p{{Nd}}]--\p{{ASCII}}]"
    rf"|(?<=[\p{{L}}\p{{M}}])[\u200c\u200d](?=\p{{L}})",  # joiners inside a word, as in Persian
    regex.V1,
)
_LATIN = regex.compile(r"\p{Latin}")
_OTHER_LETTER = regex.compile(r"[\p{L}--[\p{Latin}\p{Common}\p{Inherited}]]", regex.V1)
_LABELS_FOLLOW = regex.compile(r"[\p{L}\p{M}\p{Nd}\-]{0,63}\.\p{L}{2}")
_WRITTEN_HOST = regex.compile(r"https?://(?:[^/?#]*@)?(?P<host>[^/?#@:\[\]]+)", regex.IGNORECASE)
_NEXT_FOLLOWS = regex.compile(r"[,;]https?://", regex.IGNORECASE)
_HOST_IS_OVER = regex.compile(r"[!$&'()*+,;=~](?![^\s/?#]{0,255}@)")
"""What no host has, and what stands before one only where a user's name does."""
_WORD_FOLLOWS = regex.compile(r"\.\p{Lu}\p{Ll}*(?![\p{L}\p{Nd}.\-_/:?#@])")
_LOWER_HOST = regex.compile(r"[\p{Ll}\p{Nd}\-]+(?:\.[\p{Ll}\p{Nd}\-]+)+")
_SENTENCE_GOES_ON = regex.compile(
    r"(?<=[\p{Latin}\p{Nd}])(?:[.,;!]|\?(?![^\s=&]{0,99}=))"
    r"[\p{L}--[\p{Latin}\p{Common}\p{Inherited}]]",
    regex.V1,
)
"""A comma of ASCII, as many keyboards write it, and then words of a script without blanks."""
_DELIMITERS = frozenset("-._~:/?#[]@!$&'()*+,;={}")
_CLOSING = {")": "(", "]": "[", "}": "{"}
_TRAILING = frozenset(".,;:!?'")
_WRAPPING = frozenset("*_~-'")
"""Marks that people put around what they stress or quote, and that addresses may end with too."""


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

    The same address gets the same code.

    :param base_url: what the short links begin with, without a slash at the end.
    """
    links: dict[str, ShortLink] = {}
    pieces, position = [], 0
    while found := _START.search(text, position):
        start = found.start()
        end = _end(text, start, found.end())
        url = text[start:end]
        pieces.append(text[position:start])
        if _is_address(url) and not url.startswith(f"{base_url}/l/"):
            link = links.setdefault(url, ShortLink(make_code(), url))
            pieces.append(f"{base_url}/l/{link.code}")
        else:
            pieces.append(url)
        position = end
    return "".join(pieces) + text[position:], list(links.values())


def location(url: str) -> str:
    """Return ``url`` as the header ``Location`` may carry it: ASCII, and the same place.

    What is ASCII stays as written. The host goes by UTS #46, as browsers read it (IDNA 2003, which
    most libraries still use, leads from ``straße.de`` to somebody else's ``strasse.de``).
    """
    if url.isascii():
        return url
    found = _WRITTEN_HOST.match(url)
    if found and not found["host"].isascii():
        begin, end = found.span("host")
        try:
            written = idna.encode(found["host"], uts46=True).decode()
        except idna.IDNAError:
            written = found["host"]
        url = url[:begin] + written + url[end:]
    return quote(url, safe=string.printable)


def _end(text: str, start: int, scheme_end: int) -> int:
    """Return where the address that begins at ``start`` ends, after its last character."""
    before = text[start - 1] if start else ""
    wrapped = before if before in _WRAPPING else ""
    brackets: list[str] = []
    latin, host = False, True
    end = position = scheme_end
    while part := _PART.match(text, position):
        found = part.group()
        if found == wrapped == "'" or not _balanced(found, brackets):
            break
        if _is_over(text, scheme_end, position, host):
            break
        if found in _DELIMITERS:
            latin, host = False, host and found not in "/?#"
        elif latin and _OTHER_LETTER.match(found):
            if not (host and _LABELS_FOLLOW.match(text, position)):
                break  # "…/regをご覧": the sentence goes on, in its own script
        elif _LATIN.match(found):
            latin = True
        position = part.end()
        if not (found in _TRAILING or found == wrapped or brackets):
            end = position
    return end


def _is_over(text: str, begin: int, position: int, host: bool) -> bool:
    """Tell whether a mark at ``position`` is of the sentence: what follows is no address of it.

    :param begin: where the host begins.
    :param host: whether ``position`` is still in it.
    """
    if _NEXT_FOLLOWS.match(text, position):
        return True
    if not host:
        return _SENTENCE_GOES_ON.match(text, position) is not None
    if _HOST_IS_OVER.match(text, position):
        return True
    # "…at https://example.edu.Please bring": no host mixes its letters so.
    return bool(
        _WORD_FOLLOWS.match(text, position) and _LOWER_HOST.fullmatch(text, begin, position)
    )


def _balanced(found: str, brackets: list[str]) -> bool:
    """Keep the open ``brackets``; tell whether ``found`` closes only the last of them."""
    if found in _CLOSING.values():
        brackets.append(found)
    elif found in _CLOSING:
        return bool(brackets) and brackets.pop() == _CLOSING[found]
    return True


def _is_address(url: str) -> bool:
    """Tell whether it leads anywhere: to a host with a domain, or to a network address.

    A single label is a host that no phone finds, or the beginning of one that a sign like ``．``
    or ``❤`` broke off: then it stays as it is, for the phone to make what it can of it.
    """
    if len(url) > MAX_URL:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return bool(regex.search(r"\w\.\w|:", host)) and parts.port != 0
    except ValueError:
        return False
