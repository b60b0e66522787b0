"""How words are read when they are looked for: small letters without accents, no punctuation.

The triggers that keep :mod:`app.models.said` read texts by the same table, in each database's own
language; it is changed by a migration only, and a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LETTERS = {
    "a": "àáâãäåÀÁÂÃÄÅāĀăĂąĄ", "c": "çÇćĆčČ", "d": "ďĎđĐ", "e": "èéêëÈÉÊËēĒęĘěĚ", "g": "ğĞ",
    "i": "ìíîïÌÍÎÏīĪİı", "l": "łŁ", "n": "ñÑńŃňŇ", "o": "òóôõöøÒÓÔÕÖØōŌőŐ", "r": "řŘ",
    "s": "śŚšŠşŞ", "t": "ťŤţŢ", "u": "ùúûüÙÚÛÜūŪůŮűŰ", "y": "ýÿÝ", "z": "źŹżŻžŽ",
}  # fmt: skip
"""Letters that count as another one."""
BREAKS = "\u00a0\u202f\u2009\u3000“”„«»‹›‘’‚´–—―‐…•·¿¡。、，！？：；"
"""What stands between words, beside everything in ASCII that is neither letter nor digit."""
DROPPED = "\u200b\u200d\ufe0f\u0300\u0301\u0302\u0303\u0308\u0327"
"""What nobody sees, and accents that stand behind their letter."""

LONGEST_WORD = 64
"""Of longer words the beginning counts."""
SHORTEST_BEGINNING = 3
"""From how many letters on a word stands for all that begin with it."""
MOST_WORDS = 8

_FOLD = str.maketrans({
    **{one: letter for letter, some in LETTERS.items() for one in some},
    **dict.fromkeys(BREAKS, " "),
    **dict.fromkeys(DROPPED, ""),
})  # fmt: skip
_WORD = re.compile(r"[a-z0-9]+")
_STORED = re.compile(r"[a-z0-9\u0080-\U0010ffff]+")
"""A word as SQLite's index takes it from what is stored."""


def words(wanted: str) -> Sequence[str] | None:
    """Return the words to look for; None where a script has none that the index could find.

    That is so for Chinese, whose words nothing stands between, and for letters that have no small
    ones here; who looks for those has to look through the texts themselves.
    """
    folded = wanted.translate(_FOLD)
    if not folded.isascii():
        return None
    return [one[:LONGEST_WORD] for one in _WORD.findall(folded.lower())[:MOST_WORDS]]


def stored(said: str) -> list[str]:
    """Return the words of a text as an index keeps them, in its order."""
    folded = said.translate(_FOLD).lower()
    return [one[:LONGEST_WORD] for one in _STORED.findall(folded)]


def is_beginning(word: str) -> bool:
    """Tell whether a word stands for all that begin with it."""
    return len(word) >= SHORTEST_BEGINNING


def which_stand(some: Sequence[str], stored: str) -> tuple[bool, ...]:
    """Tell which words stand in a text as SQLite's index has it."""
    said = _STORED.findall(stored)
    return tuple(
        any(one.startswith(word) for one in said) if is_beginning(word) else word in said
        for word in some
    )
