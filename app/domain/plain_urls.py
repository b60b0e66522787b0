"""URLs with placeholders, such as ``https://sis.example.edu/done/{{ batchId }}?who={{ netid }}``.

A placeholder names a field of the event's ``data`` or an attribute of the member. It may stand in
the path and the query, never in the host: what a person is called must not decide who is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def fill(url: str, data: Mapping[str, Any], member: Mapping[str, Any] | None = None) -> str:
    """Return ``url`` with its placeholders replaced, percent-encoded.

    A field of ``data`` comes before an attribute of the member; what neither has is empty.

    :param member: attributes; those in ``data["member"]`` when not given.
    """
    attributes = member if member is not None else data.get("member") or {}

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return quote(_text(data[name] if name in data else attributes.get(name)), safe="")

    return PLACEHOLDER.sub(value, url)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
