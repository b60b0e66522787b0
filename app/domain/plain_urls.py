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

MAX_FILLED = 16 * 1024
"""Longest address in characters, once it is filled in: more than any server reads."""
STRUCTURED = frozenset({"member", "counts"})
"""Fields of events that are objects, which no address has room for."""

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def fill(url: str, data: Mapping[str, Any], member: Mapping[str, Any] | None = None) -> str:
    """Return ``url`` with its placeholders replaced, percent-encoded.

    A field of ``data`` comes before an attribute of the member; what neither has is empty.

    :param member: attributes; those in ``data["member"]`` when not given.
    :raises ValueError: when the address becomes longer than ``MAX_FILLED``; nothing larger is made.
    """
    attributes = member if member is not None else data.get("member") or {}

    size = len(url)

    def value(match: re.Match[str]) -> str:
        nonlocal size
        name = match.group(1)
        given = _text(data[name] if name in data else attributes.get(name))
        size += len(given)
        if size > MAX_FILLED:
            raise _too_long()
        return quote(given, safe="")

    filled = PLACEHOLDER.sub(value, url)
    if len(filled) > MAX_FILLED:
        raise _too_long()
    return filled


def structured(url: str, member: Mapping[str, Any]) -> list[str]:
    """Return the placeholders of ``url`` for which a member has a list or an object."""
    names = dict.fromkeys(PLACEHOLDER.findall(url))
    return [name for name in names if isinstance(member.get(name), (list, dict))]


def _too_long() -> ValueError:
    return ValueError(
        f"With this member's attributes the address is longer than {MAX_FILLED:,} characters;"
        " use fewer or shorter ones."
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
