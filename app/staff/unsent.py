"""What was written in a form whose session had ended: kept in the page, to be sent once more.

Nothing is stored for it. The page holds what was sent as hidden fields, with a fresh token, and
nothing happens before a person who is signed in has looked at it and presses the button: so it is
no way around the token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import request

from app.extensions import current_settings

MOST = 200_000
"""Characters that a page hands back; what is longer has to be sent again by hand."""
SHOWN = 2_000
_SECRET = re.compile(r"password|secret|token|code|key", re.IGNORECASE)


@dataclass(frozen=True)
class Unsent:
    """A form that was not taken."""

    path: str
    fields: list[tuple[str, str]]
    had_files: bool

    @property
    def written(self) -> list[str]:
        """What a person would be sorry to lose: whatever has words in it."""
        return [value[:SHOWN] for _, value in self.fields if " " in value.strip()]


def form() -> Unsent | None:
    """Return the form that this request has sent; None where it is not to be handed back.

    That is where it came from elsewhere, holds a secret, or is too long.
    """
    if request.method != "POST" or request.headers.get("HX-Request") or not _is_ours():
        return None
    fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name != "csrf_token"
    ]  # fmt: skip
    if not fields or sum(len(name) + len(value) for name, value in fields) > MOST:
        return None
    if any(value and _SECRET.search(name) for name, value in fields):
        return None
    files = any(one.filename for one in request.files.values())
    return Unsent(request.full_path.rstrip("?"), fields, files)


def _is_ours() -> bool:
    """Tell whether a page of ours has sent it, as browsers say (Fetch Metadata, Origin)."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("Origin")
    ours = urlsplit(current_settings().public_base_url)
    return origin is None or origin == f"{ours.scheme}://{ours.netloc}"
