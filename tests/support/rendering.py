"""Whether a template is filled in while a transaction is open: nobody may have to wait for that."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from flask import has_app_context

from app.domain.content import templates
from app.extensions import db

OWNERS = ("api", "cli", "inbound", "links", "maintenance", "outbound", "staff")
"""The rooms that open transactions. A test that opens one itself may fill in what it likes."""
AT_LEISURE = "/app/cli/configuration/"
"""Operators apply a file in one transaction, and choose when."""


@contextmanager
def watched() -> Iterator[list[str]]:
    """Note who fills in a template within a unit of work."""
    seen: list[str] = []
    render = templates._rendered

    def noting(*arguments: Any) -> str:
        if has_app_context() and db.session().info.get("unit_of_work"):
            seen.extend(_owner())
        return render(*arguments)

    with mock.patch.object(templates, "_rendered", noting):
        yield seen


def _owner() -> list[str]:
    """Return the place in a room of ours that led here, if it was no test by itself."""
    for frame in reversed(traceback.extract_stack()[:-2]):
        if "/tests/" in frame.filename or AT_LEISURE in frame.filename:
            return []
        if any(f"/app/{room}/" in frame.filename for room in OWNERS):
            return [f"{frame.filename}:{frame.lineno} in {frame.name}"]
    return []
