"""Mistakes in templates, in the words of the people who make them.

What the engine says of a template that it cannot read helps those who know the engine. So the tag
at fault is looked up, and what people do there (curly quotation marks, names with spaces, marks of
other programs) is named with what to write instead.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from app.domain.content.template_names import attribute_name
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
_OTHERWISE: Final = re.compile(
    r"([^|?:,'\"]{1,60}?)\s*(?:\|\s*(?:default|fallback)\s*:|\|\||\belse\b)\s*('[^']*'|\"[^\"]*\")"
)
"""What stands for a value that somebody has not, as Liquid and programming languages write it."""
_SPOKEN: Final = re.compile(
    r"([^'\"|]{1,60}?)\s+or\s+(?=.*['\"])(?!'[^']*'$|\"[^\"]*\"$)['\"]?([^|]{1,100}?)['\"]?"
)
"""Words in place of a value, with a quotation mark on one side only, or an apostrophe in them."""
_OPERATORS: Final = (
    (r"\s+then\s*%}", " %}"), (r"&&", "and"), (r"\|\|", "or"), (r"<>|=/=", "!="),
    (r"\bis\s+(?=['\"])|\bequals?\b|(?<![=!<>])=(?!=)", "== "), (r"  +", " "),
)  # fmt: skip
"""What conditions are written with elsewhere."""
_BEGINNINGS: Final = ("if", "for", "set", "raw")
_BLOCKS: Final = {"if": "endif", "for": "endfor", "raw": "endraw"}
_MIDDLES: Final = ("elif", "else", "endif", "endfor", "endraw")
_ELSEWHERE: Final = {
    **dict.fromkeys(("elseif", "elsif", "elseIf"), ("elif",)),
    **dict.fromkeys(("foreach", "each", "loop"), ("for",)),
    **dict.fromkeys(("assign", "let", "var"), ("set",)),
    **dict.fromkeys(("unless", "when"), ("if",)),
}
"""How other languages write it."""


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


def calculated(source: str, left: str, mark: str, right: str, line: int) -> Fault | None:
    """Find a name with a hyphen or slash in it, which reads as a calculation with two values."""
    written, name = f"{left}{mark}{right}", f"{left}_{right}"
    if written not in source:
        return None
    does, called = ("less", "minus") if mark == "-" else ("divided by", "slash")
    return Fault(
        f"“{written}” calculates {left} {does} {right}. A column “{written}” is {name}:"
        f" write {{{{ {name} }}}}. If a calculation is meant, put spaces around the {called}",
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
    if quoted := re.fullmatch(r"(['\"])([^'\"]*)\1", straight):
        yield "has quotation marks around the name.", attribute_name(quoted[2])
    if straight != text:
        yield "has curly quotation marks, which only texts may have.", straight
    if (found := _SPOKEN.fullmatch(straight)) and '"' not in found[2]:
        yield (
            "has quotation marks that do not go together.",
            f'{attribute_name(found[1])} or "{found[2]}"',
        )
    if found := _OTHERWISE.fullmatch(straight):
        yield (
            "says what stands for it as other programs do.",
            f"{attribute_name(found[1])} or {found[2]}",
        )
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
    if opened and word in ("end", "fi", "done", "next", "EndIf", "ENDIF", "endforeach"):
        end = _BLOCKS[_first_word(opened[-1])]
        return f"“{_shown(piece)}” is unknown. Write {{% {end} %}}"
    if word not in _BEGINNINGS:
        return _unknown_word(piece, word)
    if word in _BLOCKS:
        opened.append(piece)
    alone = piece.text + (f"{{% {_BLOCKS[word]} %}}" if word in _BLOCKS else "")
    return None if reads(alone) else _ill_formed(piece, word, reads)


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
        return _ill_formed(piece, word, reads)
    return None


def _unknown_word(piece: Piece, word: str) -> str:
    if not word:
        return "“{% %}” is empty. Write a condition, {% if toName %} … {% endif %}, or leave it out"
    near = _ELSEWHERE.get(word) or difflib.get_close_matches(
        word[:40].lower(), (*_BEGINNINGS, *_MIDDLES), 1, 0.7
    )
    hint = f"; did you mean {{% {near[0]} … %}}?" if near else ""
    if not hint and len(inside(piece).split()) == 1:
        hint = f". A person's value is put in with {{{{ {word[:MAX_SHOWN]} }}}}"
    known = "what there is: {% if … %}, {% for … in … %} and {% set … = … %}"
    return f"“{_shown(piece)}” is unknown{hint or f'; {known}'}"


def _ill_formed(piece: Piece, word: str, reads: Callable[[str], bool]) -> str:
    straight = piece.text.translate(_STRAIGHT)
    mended = _mended(straight, word, reads)
    if straight != piece.text:
        return (
            f"“{_shown(piece)}” has curly quotation marks, which only texts may have. Write"
            f" {(mended or straight)[:MAX_SHOWN]}"
        )
    if mended:
        return f"“{_shown(piece)}” cannot be read. Write {mended}"
    example = {
        "for": "{% for course in courses %} … {% endfor %}",
        "set": '{% set greeting = "Hi" %}',
        "raw": "{% raw %} … {% endraw %}",
    }.get(word, '{% if course == "Algebra" %} … {% endif %}')
    return f"“{_shown(piece)}” cannot be read. Write it like {example}, names without spaces"


def _mended(text: str, word: str, reads: Callable[[str], bool]) -> str | None:
    """Return a condition with the marks of this language, and names in one piece, if it reads."""
    if word not in ("if", "elif") or len(text) > MAX_INSTEAD or "}" in text[:-2]:
        return None
    for mark in "'\"":
        if text.count(mark) == 1:  # nobody has marked where the text ends
            text = f"{text.removesuffix('%}').rstrip()}{mark} %}}"
    for pattern, instead in _OPERATORS:
        text = re.sub(pattern, instead, text)
    head, _, rest = text.partition(word)
    named = f"{head}{word} {_joined_names(rest.removesuffix('%}').strip())} %}}"
    for one in (text, named):
        if reads(f"{{% if {one.partition(word)[2]}{{% endif %}}"):
            return one
    return None


def _joined_names(condition: str) -> str:
    parts = re.split(r"(\b(?:or|and|not|in)\b|[=!<>]=|[<>]|\"[^\"]*\"|'[^']*')", condition)
    return "".join(part if place % 2 else _join_name(part) for place, part in enumerate(parts))


def _first_word(piece: Piece) -> str:
    found = re.match(r"\w*", inside(piece))
    return found[0] if found else ""


def _shown(piece: Piece) -> str:
    text = " ".join(piece.text[: 4 * MAX_SHOWN].split())
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
