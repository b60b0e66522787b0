"""How many segments Twilio will send, and bill, for a text.

A text whose characters all belong to the GSM-7 alphabet goes in septets: 160 in one segment, 153
in each part of several, because a part carries a header. Any other character turns the whole
text into UCS-2: 70 code units, or 67 in each part. An escape pair (``{`` is two septets) and a
grapheme (an emoji of several code points, a letter with combining marks) are not split over two
parts, so parts may have some room left; dividing the total by 153 or 67 undercounts.
Source: Twilio's "SMS character limit" page and its message segment calculator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import regex

from app.twilio.smart_encoding import REPLACEMENTS
from app.twiml.text import utf16_units

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED = frozenset("\f^{}\\[~]|€")
"""Reached by an escape: two septets each."""

_GSM = GSM_BASIC | GSM_EXTENDED
_LIMITS = {"GSM-7": (160, 153), "UCS-2": (70, 67)}
_GRAPHEME = regex.compile(r"\X")
_TABLE = str.maketrans(REPLACEMENTS)

Encoding = Literal["GSM-7", "UCS-2"]


@dataclass(frozen=True, slots=True)
class Measure:
    """What a text takes: `units` are septets in GSM-7 and 16 bit code units in UCS-2.

    `characters` are Unicode code points; `unsupported` the characters, in order of appearance and
    each once, that are not in GSM-7 and so force UCS-2.
    """

    encoding: Encoding
    segments: int
    units: int
    characters: int
    unsupported: list[str]


@dataclass(frozen=True, slots=True)
class Prices:
    """What Twilio charges, per segment of a text and per message with media, as positive sums."""

    segment: Decimal
    media_message: Decimal
    currency: str = "USD"


def measure(text: str) -> Measure:
    """Measure `text` as it stands. An empty text counts as one segment, as at Twilio."""
    if GSM_BASIC.issuperset(text):  # a septet each, as most texts are
        single, part = _LIMITS["GSM-7"]
        segments = 1 if len(text) <= single else -(-len(text) // part)
        return Measure("GSM-7", segments, len(text), len(text), [])
    unsupported = list(dict.fromkeys(character for character in text if character not in _GSM))
    encoding: Encoding = "UCS-2" if unsupported else "GSM-7"
    if unsupported:
        sizes = _ucs2_sizes(text)
    else:
        sizes = [2 if character in GSM_EXTENDED else 1 for character in text]
    units = sum(sizes)
    single, part = _LIMITS[encoding]
    segments = 1 if units <= single else _parts(sizes, part)
    return Measure(encoding, segments, units, len(text), unsupported)


def smart_encode(text: str) -> str:
    """Replace characters outside GSM-7 that have a plain twin there, as Twilio's smart encoding.

    Curly quotes, dashes, ellipsis, odd spaces, full-width forms and their like (the whole table is
    `app.twilio.smart_encoding`); accented letters and emoji stay. The text can get longer.
    """
    return text.translate(_TABLE)


def estimate_cost(segments: int, media: int, prices: Prices) -> Decimal:
    """Return what a message of `segments` segments and `media` files costs, before carrier fees.

    A message with media is one MMS, whatever the length of its text.
    """
    return prices.media_message if media else prices.segment * segments


def _ucs2_sizes(text: str) -> list[int]:
    sizes: list[int] = []
    for grapheme in _GRAPHEME.findall(text):
        size = utf16_units(grapheme)
        if grapheme == "\r\n" or size > _LIMITS["UCS-2"][1]:
            # The pair is two characters to Twilio; and a grapheme that no part can hold (a letter
            # under a hundred accents) has to be split somewhere.
            sizes.extend(utf16_units(character) for character in grapheme)
        else:
            sizes.append(size)
    return sizes


def _parts(sizes: Sequence[int], room: int) -> int:
    parts, used = 1, 0
    for size in sizes:
        if used + size > room:
            parts, used = parts + 1, 0
        used += size
    return parts
