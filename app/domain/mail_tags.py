"""Addresses of ours that say what a mail to them is about: a mail that came back, or an answer.

``dispatch+b…@example.edu`` is the return path of one delivery (a VERP address), and
``dispatch+r…@example.edu`` the one to which a forwarded text is answered. Both hold an id and a
signature, in letters that survive a mail server that writes everything in small ones. Whoever makes
up such an address is told nothing; nothing is looked up for it.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from ulid import ULID

from app.extensions import current_settings
from app.models.base import utcnow

REPLY_LASTS = timedelta(days=30)
"""For how long a forwarded text can be answered by mail."""
ANSWER_ABOVE = "## Write your answer above this line ##"
"""The first line of a mail that can be answered: what is quoted of it begins there."""
_SIGNATURE = 13
"""Characters of base32: 64 bits."""
_TAG = re.compile(rf"([br])([0-9a-hjkmnp-tv-z]{{26}})([a-z2-7]{{{_SIGNATURE}}})")


class About(enum.StrEnum):
    """What a mail to such an address is about."""

    BOUNCE = "b"
    """A delivery whose mail came back."""
    REPLY = "r"
    """An incoming text that is answered: its number and its phone are the conversation."""


@dataclass(frozen=True)
class Tag:
    """What an address of ours says."""

    about: About
    id: str
    """Of the delivery, or of the incoming text."""

    @property
    def is_over(self) -> bool:
        """Whether it is too late to answer; an id knows when it was made."""
        made: datetime = ULID.from_str(self.id).datetime
        return self.about is About.REPLY and utcnow() > made + REPLY_LASTS


def address(about: About, id: str) -> str:
    """Return the address for this delivery or incoming text; the same at every try."""
    settings = current_settings()
    local, _, domain = settings.mail_from.rpartition("@")
    return f"{local}+{about}{id.lower()}{_sign(settings.secret_key, about, id)}@{domain}"


def read(written: str) -> Tag | None:
    """Return what an address says; None where we never wrote it."""
    local = written.strip().rpartition("@")[0]
    found = _TAG.fullmatch(local.rpartition("+")[2].lower())
    if found is None:
        return None
    about, id = About(found[1]), found[2].upper()
    settings = current_settings()
    signatures = [
        _sign(key, about, id) for key in (settings.secret_key, *settings.secret_key_fallbacks)
    ]
    if not any(hmac.compare_digest(one, found[3]) for one in signatures):
        return None
    return _tag(about, id)


def _tag(about: About, id: str) -> Tag | None:
    try:
        ULID.from_str(id)
    except ValueError:  # 26 letters can say more than 128 bits
        return None
    return Tag(about, id)


def _sign(key: str, about: About, id: str) -> str:
    mac = hmac.new(key.encode(), f"dispatch-mail:{about}:{id}".encode(), hashlib.sha256)
    return base64.b32encode(mac.digest()).decode().lower()[:_SIGNATURE]
