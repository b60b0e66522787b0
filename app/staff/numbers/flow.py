"""What a number does as a picture: a box for each route, with the ways that lead on from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.domain.routing.handlers import SPECS
from app.domain.routing.handlers.base import (
    HandlerSpec,
    Shown,
    Unfilled,
    holds_routes,
    note,
    own_fields,
    texted_back,
)
from app.domain.routing.handlers.menu import Menu
from app.staff.numbers.drafts import Place


@dataclass(frozen=True)
class Box:
    """One route, or what happens where none was chosen."""

    label: str
    """What it is: “Let callers choose”."""
    words: str
    """What it does."""
    at: Place
    """Where it is inside the number's route."""
    ways: tuple[Way, ...] = ()
    is_open: bool = False
    """It is still to be filled in."""
    is_implied: bool = False
    """Nobody chose it: it has no form of its own."""


@dataclass(frozen=True)
class Way:
    """What leads from one box to another."""

    when: str
    box: Box


def draw(spec: HandlerSpec, at: Place = ()) -> Box:
    """Return the picture of a route with all inside it."""
    kind = SPECS[spec.handler]
    words = spec.summary()
    if holds_routes(type(spec)):
        words = " ".join([words, *texted_back(getattr(spec, "text_back", None))])
    ways = tuple(_ways(spec, at)) if not isinstance(spec, Unfilled) else ()
    return Box(kind.label, words, at, ways, isinstance(spec, Unfilled))


def place_in_words(box: Box, at: Place) -> list[str]:
    """Say how a call, or a text, gets to a place: “While it is open”, “Key 1”."""
    found = []
    for way in box.ways:
        if way.box.at and at[: len(way.box.at)] == way.box.at:
            found = [way.when, *place_in_words(way.box, at)]
    return found


def _ways(spec: HandlerSpec, at: Place) -> Iterator[Way]:
    for name, field in own_fields(type(spec)):
        shown = note(field, Shown)
        value = getattr(spec, name, None)
        if shown is None or shown.kind not in ("route", "routes"):
            continue
        if isinstance(spec, Menu) and shown.kind == "routes":
            for key, one in spec.by_key():
                yield Way(_key(spec, key), draw(one, (*at, f"{name}.{key}")))
        elif isinstance(value, HandlerSpec):
            yield Way(shown.label, draw(value, (*at, name)))
        else:
            yield Way(shown.label, Box(shown.empty or "", "", (*at, name), is_implied=True))


def _key(menu: Menu, key: str) -> str:
    words = [f"“{word}”" for word, its in menu.speech.items() if its == key]
    return f"Key {key}, or {' or '.join(words)}" if words else f"Key {key}"
