"""How many parts a text has, by Twilio's documentation 'SMS character limit'."""

from __future__ import annotations

import regex

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GRAPHEME = regex.compile(r"\X")
_EXTENSION = frozenset("\f^{}\\[~]|€")


def count(text: str) -> int:
    """Segments of `text`: 160/153 septets in GSM-7, 70/67 UTF-16 units in UCS-2; at least 1."""
    if all(c in _BASIC or c in _EXTENSION for c in text):
        return _parts([2 if c in _EXTENSION else 1 for c in text], 160, 153)
    return _parts(
        [width for grapheme in _GRAPHEME.findall(text) for width in _widths(grapheme)], 70, 67
    )


def _widths(grapheme: str) -> list[int]:
    """A grapheme stays in one part, unless no part could hold it; a line's end is two."""
    units = [2 if ord(c) > 0xFFFF else 1 for c in grapheme]
    return units if grapheme == "\r\n" or sum(units) > 67 else [sum(units)]


def _parts(widths: list[int], single: int, part: int) -> int:
    if sum(widths) <= single:
        return 1
    parts, used = 1, 0
    for width in widths:
        if used + width > part:
            parts, used = parts + 1, 0
        used += width
    return parts
