"""Phones that have two spellings in E.164, and are one person whichever is written."""

import re
from typing import Final

_TWO_SPELLINGS: Final = (
    (re.compile(r"\+521(\d{10})"), r"+52\1"),
    (re.compile(r"\+55([1-9]\d)([6-9]\d{7})"), r"+55\g<1>9\2"),
    (re.compile(r"\+229(?!01)(\d{8})"), r"+22901\1"),
    (re.compile(r"\+972(5[69]\d{7})"), r"+970\1"),
)
_ARGENTINE: Final = re.compile(r"\+54([1-8]\d{9})")
"""Area code and number; the 9 of a mobile phone stands before them."""


def one_spelling(phone: str) -> str:
    """Return the one E.164 spelling of a phone that has two; anything else as it is.

    Mexico took the 1 of its mobile phones away in 2019 and Twilio still writes it in places;
    Brazil put a 9 before mobile numbers (by 2016), Benin 01 before all (2024, ITU OB 1305).
    The mobile phones of Palestine (056, 059) answer under Israel's country code as well.
    """
    for old, new in _TWO_SPELLINGS:
        if old.fullmatch(phone):
            return old.sub(new, phone)
    return phone


def texted(phone: str) -> str:
    """Return the spelling of a phone in E.164 under which it is kept who gets or sends texts.

    Argentina's mobile phones have a 9 before the area code where they are called from abroad, and
    texts go and come without it as well; 10 digits are one line, with or without. A landline of
    the same form must not be called with a 9, so calls go to what was written.
    """
    found = _ARGENTINE.fullmatch(phone)
    return f"+549{found[1]}" if found else phone


def spellings(phone: str) -> tuple[str, ...]:
    """Return all spellings under which something of a person may be kept: texts, or calls."""
    one = texted(phone)
    return tuple(dict.fromkeys((phone, one, re.sub(r"\A\+549(?=\d{10}\Z)", "+54", one))))
