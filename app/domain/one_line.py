"""What people call something or somebody: one line, of which something can be seen."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe0e\ufe0f")
"""Letters and marks by their class, yet nothing to be seen (Unicode, Default_Ignorable, and the
Braille pattern without a dot)."""
_BREAK: Final = re.compile("[\x01-\x1f\x7f-\x9f\u2028\u2029]")
_RUN: Final = re.compile(rf"(?:\s|{_BREAK.pattern})+")
"""What may have to become a blank; looked at as a whole, so that each character is read once."""
_EDGES: Final = "".join(
    chr(code)
    for first, last in (
        (0x9, 0xD), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0xAD, 0xAD), (0x1680, 0x1680),
        (0x2000, 0x200B), (0x200E, 0x200F), (0x2028, 0x202F), (0x205F, 0x2069), (0x3000, 0x3000),
        (0xFEFF, 0xFEFF),
    )
    for code in range(first, last + 1)
)  # fmt: skip
"""White space (`str.isspace`), and marks that are not seen at an edge."""


def one_line(text: str) -> str:
    """Return a name as it is kept: on one line, empty if there is nothing to be seen in it.

    A line break (Excel's Alt+Enter) or another control character becomes a blank, as it would look
    in a list; what cannot be seen around it goes. NUL stays, for whoever refuses it to name it.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    line = _RUN.sub(lambda run: " " if _BREAK.search(run[0]) else run[0], text).strip(_EDGES)
    return line if any(map(_is_seen, line)) else ""


def _is_seen(character: str) -> bool:
    if character == "\x00":
        return True
    return character not in FILLERS and unicodedata.category(character)[0] not in "ZC"
