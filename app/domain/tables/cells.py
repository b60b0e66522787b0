"""What one cell says, and how it is written so that it says the same when it comes back."""

from __future__ import annotations

import re
from typing import Final

from app.domain import attributes

_FORMULA: Final = frozenset("=@+-＝＠＋－")
"""What a formula begins with."""
_QUOTED: Final = re.compile(r'="((?:[^"]|"")*)"', re.DOTALL)
_NUMBER: Final = re.compile(r"[+-]?\d")
ERRORS: Final = frozenset(
    {
        "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!",
        "#FIELD!", "#BLOCKED!", "#CONNECT!", "#BUSY!", "#GETTING_DATA", "#UNKNOWN!",
    }
)  # fmt: skip
"""What spreadsheets show in place of a value that they could not calculate."""


class Literal(str):
    """What an apostrophe marks as text: neither a formula, nor an error, nor JSON."""

    __slots__ = ()


def write(value: object) -> str:
    """Return the value as text that no spreadsheet takes for something else.

    An apostrophe before it says so, as people write it there themselves; :func:`read` takes it
    away again. What begins with an apostrophe of its own before such a text gets one more, so that
    nothing is changed on the way.
    """
    text = attributes.text(value)
    if text[:1] == "'":
        guarded = _may_be_guarded(text.lstrip("'"))
    else:
        json = isinstance(value, str) and attributes.read(text) is not text
        guarded = json or _is_taken_otherwise(text)
    return f"'{text}" if guarded else text


def read(written: str) -> str:
    """Return what a cell says: without spaces around it, and without what guarded it.

    ``="00123"`` is how some programs keep a spreadsheet from dropping the zeros.
    """
    first = written[:1]
    if first == "'" and _may_be_guarded(written.lstrip("'")):
        return Literal(written[1:])
    if first == "=" and (quoted := _QUOTED.fullmatch(written.strip())):
        return quoted[1].replace('""', '"').strip()
    return written.strip()


def _may_be_guarded(text: str) -> bool:
    """Tell whether an apostrophe before ``text`` is a guard, not a letter of its own (’tis)."""
    return text[:1] in ("[", "{") or bool(_NUMBER.match(text)) or _is_taken_otherwise(text)


def _is_taken_otherwise(text: str) -> bool:
    """Tell whether a spreadsheet, or :func:`read`, would not leave ``text`` as it is.

    Excel calculates formulas behind blanks too, and reads the full-width signs of East Asian
    keyboards like the others. A plus or minus before digits alone is no formula: phone numbers
    begin with one.
    """
    if text != text.strip() or text in ERRORS:
        return True
    if text[:1] in ("+", "-") and text[1:].isdecimal():
        return False
    return text[:1] in _FORMULA
