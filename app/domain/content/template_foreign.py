"""Placeholders that only other programs know: people would get them as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from app.domain.content.template_names import attribute_name
from app.domain.content.template_words import Fault
from app.twiml.tags import Piece, inside, line_of, pieces

_WORDS: Final = r"[^\W\d_](?:[^\S\n]|[\w'’.-]){0,58}"
_FOREIGN: Final = re.compile(
    rf"\(\(\s?(?P<notify>{_WORDS})\s?\)\)|\[\[\s?(?P<square>{_WORDS})\s?\]\]"
    rf"|<<\s?(?P<angle>{_WORDS})\s?>>|«\s?(?P<word>{_WORDS})\s?»"
    rf"|｛｛\s?(?P<wide>{_WORDS})\s?｝｝"
    rf"|\{{\s?\{{\s?(?P<apart>{_WORDS})\s?\}}\s?\}}|(?<!\$)\{{\s?(?P<single>{_WORDS})\s?\}}"
    rf"|%%(?P<percent>{_WORDS})%%|(?<![\w%])%(?P<single_percent>[A-Za-z]\w{{2,30}})%(?![\w%])"
    rf"|\*\|(?P<mailchimp>{_WORDS})\|\*|<%=?\s?(?P<page>{_WORDS})\s?%>"
    rf"|\$\{{(?P<dollar>[A-Za-z]\w[\w.]{{0,58}})\}}"
    rf"|\$\{{[em]://(?:\w+/)?(?P<survey>[\w ]{{1,58}})\}}"
    rf"|\{{[!$](?:\w+\.)?(?P<sales>{_WORDS})\$?\}}|｛\s?(?P<one_wide>{_WORDS})\s?｝"
    rf"|\(\((?P<condition>{_WORDS})\?\?[^()]{{0,100}}\)\)"
    r"|\[(?P<square_name>(?:[^\W\d_]{2,20}[ _-]?)?(?i:name|fname|lname))\]"
)
"""Placeholders of other programs; the names in them are at most 60 characters long."""
_STATEMENT_APART: Final = re.compile(
    r"\{ +%[^{}]{0,100}% +\}|\{ +%[^{}]{0,100}%\}|\{%[^{}]{0,100}% +\}"
)
_QUOTED: Final = re.compile(rf"(['\"])(?P<name>{_WORDS})\1")
_NUMBER: Final = re.compile(r"\d{1,2}")


def foreign(source: str) -> Fault | None:
    """Find a placeholder as other programs write it, or one that puts in only itself.

    What ``{% raw %}`` surrounds is meant so.
    """
    for piece, before in _outside_raw(source):
        sentence, start = (_itself(piece), 0) if piece.opening else _in_words(piece)
        if sentence is None and before == "{{" and not piece.opening:
            sentence = _left_over(source, piece)
        if sentence:
            return Fault(sentence, line_of(source, Piece("", "", piece.start + start)))
    return None


def _outside_raw(source: str) -> Iterator[tuple[Piece, str]]:
    """Yield every piece with the mark that opened the one before."""
    before, raw = "", False
    for piece in pieces(source):
        if not raw or piece.opening:
            yield piece, before
        raw = piece.opening == "{%" and inside(piece) == "raw"
        before = piece.opening


def _in_words(piece: Piece) -> tuple[str | None, int]:
    if found := _STATEMENT_APART.search(piece.text):
        tight = re.sub(r"\{ *%", "{%", re.sub(r"% *\}", "%}", found[0]))
        return f"People would get “{found[0]}” as it stands. Write {tight}", found.start()
    found = _FOREIGN.search(piece.text)
    if found is None:
        return None, 0
    name = attribute_name(found[found.lastgroup or 0])
    return (
        f"People would get “{found[0]}” as it stands. Write {{{{ {name} }}}} where their own {name}"
        f" is to be; or, if it is meant so, {{% raw %}}{found[0]}{{% endraw %}}"
    ), found.start()


def _itself(piece: Piece) -> str | None:
    """Say it of a placeholder that holds a text or a number, and no name."""
    if piece.opening != "{{" or not piece.is_closed:
        return None
    text = inside(piece)
    if found := _QUOTED.fullmatch(text):
        name = attribute_name(found["name"])
        return (
            f"Everybody would get the words {text}. Write {{{{ {name} }}}} where their own {name}"
            " is to be"
        )
    if _NUMBER.fullmatch(text):
        return (
            f"Everybody would get the number {text}. Write the name of an attribute, such as"
            " {{ toName }}; a number needs no braces"
        )
    return None


def _left_over(source: str, piece: Piece) -> str | None:
    """Find braces that close nothing, behind a placeholder."""
    if not piece.text.startswith("}") and "}}" not in piece.text:
        return None
    words = "".join(one.text for one in pieces(source) if not one.opening)
    if words.count("}") <= words.count("{"):
        return None
    return "A placeholder has a } too many behind it, which people would get. Leave it out"
