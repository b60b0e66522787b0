"""The names of attributes in templates: what a column becomes, and what may have been meant."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from typing import Final

from app.domain.tables import header

_UNSEEN: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def attribute_name(written: str) -> str:
    """Return the attribute that a column becomes: ``First name`` is ``First_name``."""
    name = re.sub(r"\W+", "_", _UNSEEN.sub("", written)).strip("_")
    return f"column_{name}" if name[:1].isdigit() else name


@lru_cache(maxsize=1024)
def nearest(name: str, known: tuple[str, ...]) -> str | None:
    """Return the attribute that may have been meant by ``name``, or None.

    Of long names and many attributes only the beginning is looked at. What files call a phone, an
    e-mail address or a name (Nombre, 手机) is toPhone, toAddress or toName.
    """
    by_letters = {_letters(one[:40]): one for one in known[:200] if one != name}
    wanted = _letters(name[:40])
    if found := by_letters.get(wanted):
        return attribute_name(found)
    close = difflib.get_close_matches(wanted, by_letters, 1, 0.8)
    if close:
        return attribute_name(by_letters[close[0]])
    meant = header.meant(name.replace("_", " "))
    return meant if meant in known and meant != name else None


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
