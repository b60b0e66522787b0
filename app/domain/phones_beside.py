"""What people write beside a phone number in the same cell or field, and what they mean by it."""

import re
from typing import Final

_LINK: Final = re.compile(r"(?:tel|sms|callto):(?=\s*[+\d(])", re.IGNORECASE)
"""RFC 3966 and RFC 5724: what a contact or a page makes of a number."""
_NOT_ALONE: Final = re.compile(r"[^+\d\s().\-/]")
"""Most numbers are written without any of it, and need no second look."""
_LABEL: Final = (
    r"(?:cell(?:ular)?|mobile?|handy|mob|phone|tel|text|home|work|office|celular|m[óo]vil"
    r"|port(?:able)?|privat|c|m|h|w|p|t)"
)
_LABELLED: Final = re.compile(
    rf"\A{_LABEL}(?:\s+(?:phone|number|no))?\s*[:.#)]{{0,2}}\s*(?=[+\d(])"
    rf"|(?<=\d)\s*[(\[-]?\s*{_LABEL}(?:\s+phone)?\.?\s*[)\]]?(?=\s*\Z)",
    re.IGNORECASE,
)
"""What people write beside a number in the same cell: which of a person's phones it is."""
_AROUND: Final = "<>'’‘\"“”„«»`*☎☏✆📞📱\ufe0f"
_SEPARATORS: Final = re.compile(r"(?<=[\d)])\s*[·•∙_~]\s*(?=[\d(])")
_GROUPED: Final = re.compile(r"1?,?\d{3},\d{3},\d{4}|\d{1,2}(?:,\d{3}){3}")
"""Commas between an American number's groups, or between thousands: no digit is lost."""


def alone(text: str) -> str:
    """Return a number without what it was copied with: a link's scheme, marks of a list."""
    if _NOT_ALONE.search(text):
        text = text.removeprefix("=") if text[1:2] == '"' else text
        text = _LABELLED.sub("", _LINK.sub("", text.strip(_AROUND + " \t\r\n")))
        text = _SEPARATORS.sub("-", text)
        text = text.replace(",", "") if _GROUPED.fullmatch(text) else text
    return text.rstrip(" \t\r\n.,;")
