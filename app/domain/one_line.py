"""What people call something or somebody: one line, of which something can be seen."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe0e\ufe0f")
"""Letters and marks by their class, yet nothing to be seen (Unicode, Default_Ignorable, and the
Braille pattern without a dot)."""
_BREAKS: Final = re.compile("[^\\S\\x00]*[\x01-\x1f\x7f-\x9f\u2028\u2029]+[^\\S\\x00]*")
_EDGES: Final = "\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_AROUND: Final = re.compile(rf"\A[\s{_EDGES}]+|[\s{_EDGES}]+\Z")


def one_line(text: str) -> str:
    """Return a name as it is kept: on one line, empty if there is nothing to be seen in it.

    A line break (Excel's Alt+Enter) or another control character becomes a blank, as it would look
    in a list; what cannot be seen around it goes. NUL stays, for whoever refuses it to name it.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    line = _AROUND.sub("", _BREAKS.sub(" ", text))
    return line if any(map(_is_seen, line)) else ""


def _is_seen(character: str) -> bool:
    if character == "\x00":
        return True
    return character not in FILLERS and unicodedata.category(character)[0] not in "ZC"
