"""What a client knows about a person: any JSON, its types kept wherever it goes."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from app.domain.mistakes import Mistake, Path, Refused
from app.domain.one_line import one_line

MAX_DEPTH: Final = 5
"""Most lists and objects within each other in one attribute."""
MAX_BYTES: Final = 32 * 1024
"""Most bytes of all attributes of a person together, as JSON."""
MAX_NAME: Final = 100
_NOT_KEPT: Final = re.compile("[\x00\ud800-\udfff]")
"""Characters that no database keeps: NUL, and halves of a pair."""
_NO_LINE: Final = re.compile("[\x01-\x1f\x7f-\x9f\u2028\u2029]")
NAME, PHONE, ADDRESS = "toName", "toPhone", "toAddress"
KNOWN: Final = (NAME, PHONE, ADDRESS)
"""The attributes that Dispatch itself knows; they are text."""


def check(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes that can be kept.

    :raises Refused: with every mistake, each at its place in them.
    """
    if wrong := list(mistakes(attributes)):
        raise Refused(wrong)
    return attributes


def mistakes(attributes: Mapping[Any, Any]) -> Iterator[Mistake]:
    """Yield everything for which attributes cannot be kept, each with its place in them."""
    for name, value in attributes.items():
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
            yield Mistake((), f"The name of an attribute has 1 to {MAX_NAME} characters.")
        elif said := _unfit_name(name):
            yield Mistake((), said)
        elif name in KNOWN and not isinstance(value, str | None):
            yield Mistake((name,), f"{name} must be text.", "string_type")
        else:
            yield from _unfit((name,), value)
    if _is_surely_small(attributes):
        return
    size = _size(attributes)
    if size > MAX_BYTES:
        yield Mistake(
            (),
            f"The attributes of a person take {size:,} bytes as JSON; {MAX_BYTES:,} are allowed.",
            "too_long",
        )


@lru_cache(maxsize=1024)
def _unfit_name(name: str) -> str | None:
    """Return why an attribute cannot have this name; a column has the same in every row."""
    if not _can_be_kept(name):
        return f"The name {name!r} holds a character that cannot be kept."
    if _NO_LINE.search(name) or not one_line(name):
        return f"The name {name!r} of an attribute is not one line to be read."
    return None


def _is_surely_small(attributes: Mapping[Any, Any]) -> bool:
    """Tell of plain texts that fit, whatever JSON makes of them: six bytes a character at most."""
    characters = 0
    for name, value in attributes.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            return False
        characters += len(name) + len(value) + 1  # quotation marks, a colon and a comma
    return 6 * characters + 2 <= MAX_BYTES


def _unfit(place: Path, value: Any) -> Iterator[Mistake]:
    if isinstance(value, str) and _can_be_kept(value):
        return  # nearly always, and told of in no sentence
    where = Mistake(place, "").field
    if isinstance(value, (list, dict)):
        if len(place) > MAX_DEPTH:
            yield Mistake(
                place,
                f"{where} is nested too deeply: at most {MAX_DEPTH} lists and objects within each"
                " other are allowed.",
                "too_deep",
            )
            return
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if not isinstance(key, str | int):
                yield Mistake(place, f"In {where}, every name must be text.", "string_type")
            elif isinstance(key, str) and not _can_be_kept(key):
                said = f"In {where}, the name {key!r} holds a character that cannot be kept."
                yield Mistake(place, said)
            else:
                yield from _unfit((*place, key), inner)
    elif isinstance(value, str):
        yield Mistake(place, f"{where} holds a character that cannot be kept.")
    elif _is_beyond_numbers(value):
        yield Mistake(place, f"{where} is too large a number, or none.", "finite_number")
    elif not isinstance(value, bool | int | float | None):
        yield Mistake(
            place,
            f"{where} must be text, a number, true, false, null, a list or an object. Put"
            " quotation marks around it to make it text.",
        )


def _can_be_kept(text: str) -> bool:
    """Tell whether every database and every receiver takes a text: no NUL, no half character."""
    return _NOT_KEPT.search(text) is None


def _is_beyond_numbers(value: Any) -> bool:
    """Tell of a number that JSON's readers have no number for: none, or beyond all floats."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and value.bit_length() > sys.float_info.max_exp


def _size(attributes: Mapping[Any, Any]) -> int:
    try:
        text = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"), default=str)
    except (RecursionError, TypeError, ValueError):
        return 0  # what is wrong with it has its own sentence
    return len(text.encode("utf-8", "replace"))


def text(value: Any) -> str:
    """Return a value as one cell or line: texts as they are, null empty, anything else JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read(cell: str) -> Any:
    """Return what a cell or field holds: a list or object written as JSON, or else its text."""
    if cell[:1] not in ("[", "{"):
        return cell
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    return value if isinstance(value, (list, dict)) else cell


def from_text(cells: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the attributes that cells or fields hold by name; those of none are left out."""
    return {name: read(value) for name, value in cells if value}


def like(before: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes that came as text, those that say what was there before with its type."""
    return {
        name: before[name] if name in before and text(before[name]) == text(value) else value
        for name, value in written.items()
    }
