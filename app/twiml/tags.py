"""Where a template's tags are, found in one pass over it, however it is written."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_CLOSING: Final = {"{{": "}}", "{%": "%}", "{#": "#}"}
_END_OF_RAW: Final = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")


class Piece(NamedTuple):
    """A tag, or the words between two."""

    opening: str
    """``{{``, ``{%`` or ``{#``; empty for words."""
    text: str
    start: int
    """Index of its first character."""
    is_closed: bool = True


def pieces(source: str) -> Iterator[Piece]:
    """Yield the tags and the words of `source` in order; joined, their texts are `source`.

    A tag that is not closed goes to the end. What ``{% raw %}`` surrounds is words.
    """
    position, words = 0, 0
    while (start := source.find("{", position)) >= 0:
        opening = source[start : start + 2]
        if opening not in _CLOSING:
            position = start + 1
            continue
        if words < start:
            yield Piece("", source[words:start], words)
        end = source.find(_CLOSING[opening], start + 2)
        if end < 0:
            yield Piece(opening, source[start:], start, is_closed=False)
            return
        tag = Piece(opening, source[start : end + 2], start)
        yield tag
        position = words = end + 2
        if opening == "{%" and inside(tag) == "raw":
            position = _end_of_raw(source, words)
    if words < len(source):
        yield Piece("", source[words:], words)


def inside(tag: Piece) -> str:
    """Return what stands in a tag, without the marks that trim the space around it."""
    text = tag.text[2:-2] if tag.is_closed else tag.text[2:]
    return text.removeprefix("-").removeprefix("+").removesuffix("-").removesuffix("+").strip()


def line_of(source: str, piece: Piece) -> int:
    """Return the line on which a piece begins, from 1."""
    return source.count("\n", 0, piece.start) + 1


def _end_of_raw(source: str, start: int) -> int:
    """Return where ``{% endraw %}`` begins, or the end."""
    found = _END_OF_RAW.search(source, start)
    return found.start() if found else len(source)
