"""What was bought or verified outlives a restart: numbers, services and caller IDs, in one file.

The application keeps them for good, as it would with Twilio; texts and calls are forgotten.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from .core import Sandbox
from .records import CallerId, Number, Service

LOOK_SECONDS = 0.5
_KINDS: dict[str, type] = {"numbers": Number, "services": Service, "caller_ids": CallerId}
_OF_THE_CLOCK = {"next_slot_at"}
Row = TypeVar("Row")


def load(box: Sandbox, path: Path) -> None:
    """Take back what the file holds, but leave the demo's own numbers as they were planted.

    Raises ValueError, naming the file, if it is none of ours.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        found: dict[str, list[Any]] = {
            name: [_row(kind, one) for one in data[name]] for name, kind in _KINDS.items()
        }
    except FileNotFoundError:
        return
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read; remove it to begin anew: {error}") from error
    for number in found["numbers"]:
        box.store.numbers.setdefault(number.phone, number)
    for service in found["services"]:
        box.store.services.setdefault(service.sid, service)
    planted = {(one.phone, one.account_sid) for one in box.store.caller_ids.values()}
    for caller in found["caller_ids"]:
        if (caller.phone, caller.account_sid) not in planted:
            box.store.caller_ids[caller.sid] = caller


def follow(box: Sandbox, path: Path) -> None:
    """Keep the file true from now on, on a thread of its own: half a second late at most."""
    threading.Thread(target=_follow, args=(box, path), name="sandbox-kept", daemon=True).start()


def save(box: Sandbox, path: Path, before: str = "") -> str:
    """Write the file whole, if it would say anything else than `before`; return what it says."""
    with box.store.lock:
        data = {name: [asdict(one) for one in getattr(box.store, name).values()] for name in _KINDS}
    text = json.dumps(data, default=datetime.isoformat, indent=1)
    if text != before:
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".new")
        half.write_text(text, "utf-8")
        os.replace(half, path)
    return text


def _follow(box: Sandbox, path: Path) -> None:
    version, text = -1, ""
    while True:
        version = box.store.wait_for_change(version, LOOK_SECONDS)
        text = save(box, path, text)


def _row(kind: type[Row], data: dict[str, Any]) -> Row:
    known = {field.name for field in fields(kind)} - _OF_THE_CLOCK  # type: ignore[arg-type]
    values = {name: value for name, value in data.items() if name in known}
    for name in ("date_created", "date_updated"):
        if name in values:
            values[name] = datetime.fromisoformat(values[name])
    return kind(**values)
