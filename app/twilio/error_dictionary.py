"""Twilio's published error dictionary, compared with the table: what does the table lack?

Twilio publishes it at https://www.twilio.com/docs/api/errors/twilio-error-codes.json: an array of
objects, each with ``code``, ``message``, ``log_level`` and more.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from app.twilio.errors import RULES


@dataclass(frozen=True, order=True)
class Entry:
    """One code of the dictionary."""

    code: int
    message: str
    log_level: str


class NotADictionaryError(ValueError):
    """What was given is not Twilio's dictionary; its text says what is wrong with it."""


def read(text: str) -> list[Entry]:
    """Return the entries of a published dictionary, in the order of their codes.

    :raises NotADictionaryError: where it is no JSON array of objects with a ``code`` each.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotADictionaryError(f"this is not JSON ({error})") from error
    if not isinstance(found, list) or not found:
        raise NotADictionaryError("it has to be a JSON array of objects, one for each code")
    return sorted(_entry(place, one) for place, one in enumerate(found, 1))


def lacking(entries: Collection[Entry], *, every: bool = False) -> list[Entry]:
    """Return what the table lacks of ``entries``.

    :param every: also codes that no text or call of ours can end with (:func:`concerns_us`).
    """
    return [one for one in entries if one.code not in RULES and (every or concerns_us(one.code))]


def concerns_us(code: int) -> bool:
    """Tell whether a text or call may end with a code: by the ranges of Twilio's dictionary.

    10xxx accounts, 13xxx calls, 20xxx and 21xxx the REST API, 30xxx messaging, 32xxx voice, 57xxxx
    trials; the others are of other products, of TwiML, or of verification forms (305xx to 309xx).
    """
    return (
        10_000 <= code < 11_000
        or 13_200 <= code < 13_300
        or 20_000 <= code < 22_000
        or 30_000 <= code <= 30_500
        or 32_000 <= code < 33_000
        or 572_000 <= code < 574_000
    )


def _entry(place: int, found: object) -> Entry:
    code = found.get("code") if isinstance(found, dict) else None
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) < 10:
        code = int(code)
    if not isinstance(found, dict) or not isinstance(code, int) or isinstance(code, bool):
        raise NotADictionaryError(f"entry {place} has no code, which must be a number")
    return Entry(code, _line(found.get("message")), _line(found.get("log_level")))


def _line(value: object) -> str:
    """Return a text fit for one line of a terminal, whatever the file holds."""
    text = value if isinstance(value, str) else ""
    return "".join(one if one.isprintable() else " " for one in text)[:200].strip()
