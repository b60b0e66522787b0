"""How likely it is that a text is what somebody wrote, and not one read in a wrong encoding.

Libraries that recognise encodings are made for prose. In a list of names each has a few letters
beyond A to Z, or three Chinese ones: charset-normalizer reads 王小明 as 卼苤隴. What tells names
apart is whether their letters make words: one script in a word, upper and lower case where names
have them, and Chinese, Japanese and Korean characters of the first level of their own standard,
which holds those in daily use.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

MARK: Final = "\udc80"
"""Stands for a byte that the encoding does not have."""

_TOKEN: Final = re.compile(r"(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)|[^\x00-\x7f]")
"""A word, or a mark beyond ASCII."""
_VOWELS: Final = frozenset("aeiouyæœøı")
_ALONE: Final = frozenset("èøìùòàæåêû")
"""Vowels of Western Europe that stand between consonants: in a Czech name read as Western they
take the place of a consonant (Dvoøák)."""
_FOLLOWED: Final = {"õ": "e", "û": "rtlm"}
"""What follows these where they are Western (Simões, août)."""
_RARE: Final = frozenset("þðýјљњћђџѓќѕЈЉЊЋЂЏЃЌЅ")
"""Letters of small alphabets, as which those of larger ones are read: Turkish ş, ğ and ı."""
_EASTERN: Final = ("HAN", "KANA", "HANGUL")
_GOOD_MARKS: Final = frozenset("’‘“”–—…«»¿¡ªº°·、。，（）：；！？　€№‐")


def plausible(
    text: str, first_level: Callable[[str], bool] | None = None, unreadable: float = -2.0
) -> float:
    """Return how plausible the letters beyond ASCII are, from below 0 (not at all) to 1.

    :param first_level: tells of a Chinese, Japanese or Korean character whether it is in daily
        use, by the standard that the encoding comes from.
    :param unreadable: the points of a byte that the encoding does not have.
    """
    points = [unreadable] * text.count(MARK)
    text = text.replace(MARK, " ")
    for found in _TOKEN.finditer(text):
        if found["word"] is None or not any(map(str.isalpha, found["word"])):
            points.append(_mark(text, found.start()))
        elif not found["word"].isascii():
            around = text[max(found.start() - 1, 0) : found.start()] + text[found.end() :][:1]
            read = _word(found["word"], first_level)
            most = _most(found["word"], around)
            points += (min(one, most) for one in read)
    return sum(points) / len(points) if points else 1.0


def _mark(text: str, place: int) -> float:
    one, before, after = text[place], text[max(place - 1, 0) : place], text[place + 1 : place + 2]
    category = unicodedata.category(one)
    if category[0] == "C":
        return -1.0
    if category[0] == "M":  # on a letter of its own script, or out of place
        return 0.8 if before and _script(before) == _script(one) else 0.0
    if _is_in_place(one, before, after):
        return 0.95
    if one in _GOOD_MARKS:
        return 0.4 if before.isalpha() and after.isalpha() else 0.8
    return 0.3 if category == "Zs" else 0.1


def _most(word: str, around: str) -> float:
    """Return the most points of a letter that a mark may be meant by: alone, or beside a digit."""
    if _script(word[0]) in _EASTERN or _script(word[-1]) in _EASTERN:
        return 1.0
    if len(word) == 1:
        return 0.6
    return 0.8 if any(map(str.isdigit, around)) else 1.0


def _is_in_place(one: str, before: str, after: str) -> bool:
    """Tell whether a mark stands where Western texts have it: 5°, £10, § 3, “so”, 10 am."""
    if one in "“‘«„":
        return not before.isalnum() and after.isalnum()
    if one in "”’»…":
        return before.isalnum() and not after.isalnum()
    if one == "\u00a0":
        return not after.islower() or not before.isalpha()
    if one in "–—":
        return not before.isalpha() and not after.isalpha()
    if one in "°½¼¾²³":
        return before.isdigit() or (one in "½¼¾" and not before.isalnum())
    if one in "£€¥¢":
        return before.isdigit() or after.isdigit()
    if one in "§¶•·†":
        return not before.isalnum() and (after == " " or after.isdigit())
    return one in "®™©" and not after.isalnum()


def _word(word: str, first_level: Callable[[str], bool] | None) -> Iterable[float]:
    scripts = {_script(one) for one in word if one not in "'’"}
    beyond = [one for one in word if one > "\x7f" and one not in "'’"]
    if len(scripts) > 1 and not scripts <= {"HAN", "KANA"}:
        return [0.0] * len(beyond)
    script = next(iter(scripts))
    if script in _EASTERN or len(scripts) > 1:
        return [_eastern(one, first_level) for one in beyond]
    if script == "OTHER":
        return [0.2] * len(beyond)
    if word.lower() != word and word.upper() != word and not _is_capitalized(word):
        return [0.2] * len(beyond)
    if script == "LATIN":
        return _latin(word)
    return [0.6 if one in _RARE else 1.0 for one in beyond]


def _is_capitalized(word: str) -> bool:
    """Tell whether upper case stands only where names have it: Zoë, O’Brien, McGuire, DeVoe."""
    humps = re.findall(r"[^\W\d_]", word)
    ups = [place for place, one in enumerate(humps) if one.isupper()]
    if ups[:1] != [0] or not humps[-1].islower():
        return False
    return len(ups) == 1 or (len(ups) == 2 and "".join(humps[: ups[1]]).isascii())


def _latin(word: str) -> Iterable[float]:
    letters = word.lower()
    for place, one in enumerate(letters):
        if one <= "\x7f" or one == "’":
            continue
        before, after = letters[place - 1 : place], letters[place + 1 : place + 2]
        if (before > "\x7f" or not before) and after > "\x7f" and before != "’":
            yield 0.3  # several in a row, as when another script is read as this one
        elif one in _RARE:
            yield 0.6
        else:
            yield 0.4 if _is_out_of_place(one, before, after) else 1.0


def _is_out_of_place(one: str, before: str, after: str) -> bool:
    """Tell whether a Western letter stands where a consonant of another alphabet may be meant."""
    if one == "ñ":
        return not _is_vowel(after)
    if one in _FOLLOWED:  # Hungarian ő and ű
        return after not in _FOLLOWED[one]
    return one in _ALONE and (_is_vowel(before) or _is_vowel(after))


def _is_vowel(letter: str) -> bool:
    return bool(letter) and unicodedata.normalize("NFD", letter)[0] in _VOWELS


def _eastern(one: str, first_level: Callable[[str], bool] | None) -> float:
    if "\uff61" <= one <= "\uff9f":
        return 0.2  # half-width kana, as which Shift JIS reads almost any byte
    return 1.0 if first_level is None or first_level(one) else 0.3


@lru_cache(maxsize=4096)
def _script(one: str) -> str:
    if one <= "\x7f":
        return "LATIN"
    name = unicodedata.name(one, "")
    for script, begins in (
        ("HAN", ("CJK UNIFIED", "CJK COMPAT")),
        ("KANA", ("HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA")),
    ):
        if name.startswith(begins):
            return script
    script = name.partition(" ")[0]
    known = ("LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI", "HANGUL")
    return script if script in known else "OTHER"
