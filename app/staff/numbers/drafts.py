"""A number's route while it is being written, box by box: as plain data, nothing stored.

A place is where a route is inside the number's: ``("open", "keys.1")``. The form of a route that
leads to others draws those that end there; what leads on once more is chosen in it and filled in
on a page of its own. Until all is filled in, the whole goes along with the form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.domain.mistakes import Refused
from app.domain.routing.handlers.base import HandlerSpec, Unfilled, walk

Place = tuple[str, ...]
_BETWEEN = "/"


def place(written: str) -> Place:
    """Read a place as it stands in an address: ``open/keys.1``."""
    return tuple(written.split(_BETWEEN)) if written else ()


def address(at: Place) -> str:
    """Return a place as it stands in an address."""
    return _BETWEEN.join(at)


def path_of(at: Place) -> tuple[str, ...]:
    """Return a place as mistakes name it: ``("open", "keys", "1")``."""
    return tuple(part for one in at for part in one.split(".", 1))


def read(written: str, *path: str) -> dict[str, Any]:
    """Read a route that went along with a form.

    :param path: where it belongs.
    :raises Refused: when it is none.
    """
    try:
        return dict(json.loads(written))
    except (ValueError, TypeError, RecursionError):
        raise Refused.because("Choose what is to be done.", *path) from None


def part(whole: Mapping[str, Any], at: Place) -> dict[str, Any] | None:
    """Return the route at a place; None where there is none."""
    found: Any = whole
    for name in path_of(at):
        found = found.get(name) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) and "handler" in found else None


def with_part(whole: Mapping[str, Any], at: Place, new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole with another route at a place where there is one."""
    path = path_of(at)
    if not path:
        return dict(new)
    copy = dict(whole)
    inside = copy
    for name in path[:-1]:
        inside[name] = dict(inside[name])
        inside = inside[name]
    inside[path[-1]] = dict(new)
    return copy


def to_fill_in(spec: HandlerSpec) -> list[Place]:
    """Return the places where a handler is chosen and nothing more, in the order of the forms."""
    return [_place_of(path) for path, one in walk(spec) if isinstance(one, Unfilled)]


def _place_of(path: tuple[str | int, ...]) -> Place:
    found: list[str] = []
    for name in map(str, path):
        if found and found[-1] == "keys":
            found[-1] = f"keys.{name}"
        else:
            found.append(name)
    return tuple(found)
