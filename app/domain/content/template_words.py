"""Mistakes in templates, in the words of the people who make them.

What the engine says of a template that it cannot read helps those who know the engine. So the tag
at fault is looked up, and what people do there (curly quotation marks, names with spaces, marks of
other programs) is named with what to write instead.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from app.twiml.tags import Piece, inside, line_of, pieces

MAX_SHOWN: Final = 60
MAX_INSTEAD: Final = 200


class Fault(NamedTuple):
    """What is wrong, in a sentence, and on which line, counted from 1."""

    sentence: str
    line: int | None


_CURLY: Final = {
    **dict.fromkeys("“”„‟«»″＂", '"'),
    **dict.fromkeys("‘’‚‛‹›′＇`´", "'"),
}
_STRAIGHT: Final = str.maketrans(_CURLY)
_KEYWORDS: Final = frozenset(
    ("and", "or", "not", "in", "is", "if", "else", "true", "false", "none")
)
_BEGINNINGS: Final = ("if", "for", "set", "raw")
_BLOCKS: Final = {"if": "endif", "for": "endfor", "raw": "endraw"}
_MIDDLES: Final = ("elif", "else", "endif", "endfor", "endraw")
_ELSEWHERE: Final = {word: ["elif"] for word in ("elseif", "elsif", "elseIf")}
"""How other languages write it."""
_WORDS: Final = r"[^\W\d_](?:[^\S\n]|[\w'’.-]){0,58}"
_FOREIGN: Final = re.compile(
    rf"\(\(\s?(?P<notify>{_WORDS})\s?\)\)|\[\[\s?(?P<square>{_WORDS})\s?\]\]"
    rf"|<<\s?(?P<angle>{_WORDS})\s?>>|«\s?(?P<word>{_WORDS})\s?»"
    rf"|｛｛\s?(?P<wide>{_WORDS})\s?｝｝"
    rf"|\{{\s?\{{\s?(?P<apart>{_WORDS})\s?\}}\s?\}}|(?<!\$)\{{\s?(?P<single>{_WORDS})\s?\}}"
    rf"|%%(?P<percent>{_WORDS})%%"
)
"""Placeholders of other programs; the names in them are at most 60 characters long."""


def attribute_name(written: str) -> str:
    """Return the attribute that a column or name becomes: ``First name`` is ``First_name``."""
    name = re.sub(r"\W+", "_", written).strip("_")
    return f"column_{name}" if name[:1].isdigit() else name


@lru_cache(maxsize=1024)
def nearest(name: str, known: tuple[str, ...]) -> str | None:
    """Return the attribute that may have been meant by ``name``, or None.

    Of long names and many attributes only the beginning is looked at.
    """
    by_letters = {_letters(one[:40]): one for one in known[:200] if one != name}
    wanted = _letters(name[:40])
    if found := by_letters.get(wanted):
        return attribute_name(found)
    close = difflib.get_close_matches(wanted, by_letters, 1, 0.8)
    return attribute_name(by_letters[close[0]]) if close else None


def unreadable(source: str, reads: Callable[[str], bool], line: int | None) -> Fault:
    """Say what is wrong with a template that the engine cannot read.

    :param reads: whether the engine can read some template.
    :param line: where the engine gave up, for what is not recognised here.
    """
    opened: list[Piece] = []
    for piece in pieces(source):
        if not piece.opening:
            continue
        sentence = _of_tag(piece, opened, reads)
        if sentence:
            return Fault(sentence, line_of(source, piece))
    if opened:
        name = _first_word(opened[-1])
        sentence = (
            f"“{_shown(opened[-1])}” has no end. Write {{% {_BLOCKS[name]} %}} where what belongs"
            " to it ends"
        )
        return Fault(sentence, line_of(source, opened[-1]))
    return Fault(
        "The template cannot be read. Write placeholders like {{ toName }} and conditions like"
        " {% if toName %} … {% endif %}",
        line,
    )


def foreign(source: str) -> Fault | None:
    """Find a placeholder as other programs write it: people would get it as it stands.

    What ``{% raw %}`` surrounds is meant so.
    """
    before = ""
    for piece in pieces(source):
        if piece.opening:
            before = _first_word(piece)
            continue
        if before == "raw":
            continue
        if found := _FOREIGN.search(piece.text):
            name = attribute_name(found[found.lastgroup or 0])
            place = Piece("", "", piece.start + found.start())
            sentence = (
                f"People would get “{found[0]}” as it stands. Write {{{{ {name} }}}} where their"
                f" own {name} is to be; or, if it is meant so,"
                f" {{% raw %}}{found[0]}{{% endraw %}}"
            )
            return Fault(sentence, line_of(source, place))
    return None


def calculated(source: str, left: str, right: str, line: int) -> Fault | None:
    """Find a name with a hyphen in it, which reads as one value less another one."""
    if f"{left}-{right}" not in source:
        return None
    name = f"{left}_{right}"
    return Fault(
        f"“{left}-{right}” calculates {left} less {right}. A column “{left}-{right}” is {name}:"
        f" write {{{{ {name} }}}}. If a calculation is meant, put spaces around the minus",
        line,
    )


def _of_tag(piece: Piece, opened: list[Piece], reads: Callable[[str], bool]) -> str | None:
    """Say what is wrong with one tag, if anything; keep account of what it opens or closes."""
    if not piece.is_closed:
        return _unclosed(piece)
    if piece.opening == "{{":
        return None if reads(piece.text) else _placeholder(piece, reads)
    if piece.opening == "{%":
        return _statement(piece, opened, reads)
    return None


def _unclosed(piece: Piece) -> str:
    closing = {"{{": "}}", "{%": "%}", "{#": "#}"}[piece.opening]
    name = attribute_name(inside(piece).split("}")[0].split("\n")[0][:40].strip())
    example = f": {{{{ {name} }}}}" if piece.opening == "{{" and name else ""
    return f"“{_shown(piece)}” is not closed. Write {closing} at its end{example}"


def _placeholder(piece: Piece, reads: Callable[[str], bool]) -> str:
    """Say what is wrong between ``{{`` and ``}}``."""
    text = inside(piece)
    if not text:
        return "“{{ }}” is empty. Write the name of an attribute in it: {{ toName }}"
    for sentence, instead in _repairs(text):
        if len(instead) <= MAX_INSTEAD and reads(f"{{{{ {instead} }}}}"):
            return f"“{_shown(piece)}” {sentence} Write {{{{ {instead} }}}}"
    return (
        f"“{_shown(piece)}” cannot be read. A placeholder is a name between two braces, such as"
        " {{ toName }}; what stands for it where somebody has none follows it:"
        ' {{ toName or "there" }}'
    )


def _repairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield what may be wrong in a placeholder, with what to write; the first that helps is it."""
    straight = text.translate(_STRAIGHT)
    if straight != text:
        yield "has curly quotation marks, which only texts may have.", straight
    bare = straight.strip("{}[]()<>$%# ")
    if bare != straight:
        yield "has too many marks around the name.", bare
    head, mark, rest = bare.partition("|")
    name, spaced = _joined(head.strip())
    if spaced:
        yield (
            "has a name with spaces or other marks in it; a column “First name” is First_name.",
            (f"{name} {mark} {rest.strip()}".strip() if mark else name),
        )
    elif straight != text and bare != straight:
        yield "has curly quotation marks and too many marks around the name.", bare


def _joined(text: str) -> tuple[str, bool]:
    """Return what is meant by words: names of several words in one, ``or`` and texts kept."""
    parts = re.split(r"(\b(?:or|and)\b|\"[^\"]*\"|'[^']*')", text)
    joined = "".join(
        part if place % 2 else _join_name(part) for place, part in enumerate(parts)
    ).strip()
    return joined, joined != text


def _join_name(text: str) -> str:
    words = text.strip()
    if not words or words.isidentifier() or _KEYWORDS & set(words.lower().split()):
        return text
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before}{attribute_name(words)}{after}"


def _statement(piece: Piece, opened: list[Piece], reads: Callable[[str], bool]) -> str | None:
    """Say what is wrong between ``{%`` and ``%}``."""
    word = _first_word(piece)
    if word in _MIDDLES:
        return _middle(piece, word, opened, reads)
    if word not in _BEGINNINGS:
        return _unknown_word(piece, word)
    if word in _BLOCKS:
        opened.append(piece)
    alone = piece.text + (f"{{% {_BLOCKS[word]} %}}" if word in _BLOCKS else "")
    return None if reads(alone) else _ill_formed(piece, word)


def _middle(
    piece: Piece, word: str, opened: list[Piece], reads: Callable[[str], bool]
) -> str | None:
    if word == "else" and inside(piece) != "else":
        return f"“{_shown(piece)}” cannot be read. Write {{% elif … %}} with the other condition"
    innermost = _first_word(opened[-1]) if opened else ""
    belongs_to = {"elif": ("if",), "else": ("if", "for")}.get(word, (word[3:],))
    if innermost not in belongs_to:
        begin = f"{{% {belongs_to[0]} … %}}"
        if not opened:
            return f"“{_shown(piece)}” has no {begin} before it. Write that, or leave this out"
        return (
            f"“{_shown(piece)}” comes where “{_shown(opened[-1])}” has no end yet. Write"
            f" {{% {_BLOCKS[innermost]} %}} before it"
        )
    if word.startswith("end"):
        opened.pop()
    elif word == "elif" and not reads(f"{{% if 1 %}}{piece.text}{{% endif %}}"):
        return _ill_formed(piece, word)
    return None


def _unknown_word(piece: Piece, word: str) -> str:
    if not word:
        return "“{% %}” is empty. Write a condition, {% if toName %} … {% endif %}, or leave it out"
    near = _ELSEWHERE.get(word) or difflib.get_close_matches(
        word[:40], (*_BEGINNINGS, *_MIDDLES), 1, 0.7
    )
    hint = f"; did you mean {{% {near[0]} … %}}?" if near else ""
    if not hint and len(inside(piece).split()) == 1:
        hint = f". A person's value is put in with {{{{ {word[:MAX_SHOWN]} }}}}"
    known = "what there is: {% if … %}, {% for … in … %} and {% set … = … %}"
    return f"“{_shown(piece)}” is unknown{hint or f'; {known}'}"


def _ill_formed(piece: Piece, word: str) -> str:
    straight = piece.text.translate(_STRAIGHT)
    if straight != piece.text:
        return (
            f"“{_shown(piece)}” has curly quotation marks, which only texts may have. Write"
            f" {straight[:MAX_SHOWN]}"
        )
    example = {
        "for": "{% for course in courses %} … {% endfor %}",
        "set": '{% set greeting = "Hi" %}',
        "raw": "{% raw %} … {% endraw %}",
    }.get(word, '{% if course == "Algebra" %} … {% endif %}')
    return f"“{_shown(piece)}” cannot be read. Write it like {example}, names without spaces"


def _first_word(piece: Piece) -> str:
    found = re.match(r"\w*", inside(piece))
    return found[0] if found else ""


def _shown(piece: Piece) -> str:
    text = " ".join(piece.text[: 4 * MAX_SHOWN].split())
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
