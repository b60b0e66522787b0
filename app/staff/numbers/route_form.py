"""The form of a route, drawn from the handlers' specifications: as stored, typed and written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, get_args

from flask import request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from app.domain.mistakes import Mistake, Refused
from app.domain.routing.handlers import SPECS, offered
from app.domain.routing.handlers.base import HandlerSpec, Refers, Shown, note, own_fields
from app.domain.routing.handlers.menu import KEYS
from app.domain.specs import Spec
from app.models.endpoint import Endpoint, EndpointKind
from app.models.route import Destination
from app.staff.numbers.route_preview import Preview
from app.staff.wordings.voices import LANGUAGES, VOICES

KEPT = "kept"
"""Chosen for a route inside a route that this form cannot draw: it stays as it is."""
_TYPED = ("text", "area", "tel", "url", "number", "words")
"""The kinds of fields that one types into; what is not required of these is called optional."""


@dataclass(frozen=True)
class FormField:
    """One field of a handler, as the page draws it."""

    name: str
    shown: Shown
    refers: Refers | None
    kind: str
    """One of :attr:`Shown.kind`; of ``route`` the values are those of a form of its own."""
    optional: bool
    rows: tuple[FormField, ...] = ()
    """The fields of each item, where it is a list of them."""


@dataclass
class RouteForm:
    """One route being edited: its values as typed, what is wrong, and what it would do."""

    destination: Destination
    values: dict[str, Any]
    mistakes: dict[str, list[str]] = field(default_factory=dict)
    sentence: str | None = None
    now: Preview | None = None
    """What somebody would get just now."""

    @property
    def handler(self) -> str:
        """The handler chosen."""
        return str(self.values.get("handler", ""))


def fields(model: type[Spec]) -> tuple[FormField, ...]:
    """Return the fields of a specification that people fill in, in their order."""
    found = []
    for name, one in own_fields(model):
        if (shown := note(one, Shown)) is None:
            continue
        refers = note(one, Refers)
        kind = "choice" if refers or shown.labels else shown.kind
        rows = fields(get_args(one.annotation)[0]) if kind == "rows" else ()
        optional = not one.is_required() and kind in (*_TYPED, "rows")
        found.append(FormField(name, shown, refers, kind, optional, rows))
    return tuple(found)


def choices(
    session: Session, client_id: str, destinations: list[Destination]
) -> dict[Any, list[Any]]:
    """Return what can be chosen, each with its words, by the field's kind or what it refers to."""
    found: dict[Any, list[Any]] = {
        "voice": [(name, words) for name, (words, _) in VOICES.items()],
        "language": list(LANGUAGES.items()),
    }
    every = [
        one for destination in destinations for spec in offered(destination) for one in fields(spec)
    ]
    items = [row for one in every for row in one.rows]
    for one in every + items:
        if one.refers is not None and one.refers not in found:
            names = _names(session, client_id, one.refers)
            found[one.refers] = [(name, name) for name in names]
    return found


def slots(values: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the keys of a menu with their routes, and room for two more."""
    used = sorted(values.items(), key=lambda one: KEYS.find(one[0][:1]))
    return [*used, ("", {}), ("", {})][: len(KEYS)]


def typed(destination: Destination) -> RouteForm:
    """Return the form as it was sent."""
    return RouteForm(destination, _typed(destination, request.form, "", 0))


def inner(destination: Destination, depth: int = 1) -> list[type[HandlerSpec]]:
    """Return what this form draws so deep inside another route: little that leads on once more."""
    return [
        spec
        for spec in offered(destination)
        if spec.name() not in LEADING or (spec.goes_inside and depth == 1)
    ]


def is_drawn(destination: Destination, depth: int, handler: str) -> bool:
    """Tell whether this form can draw what was chosen for a route inside another."""
    return handler not in LEADING or any(
        spec.name() == handler for spec in inner(destination, depth)
    )


def _typed(
    destination: Destination, sent: MultiDict[str, str], prefix: str, depth: int
) -> dict[str, Any]:
    """Return the values of the route whose fields begin with ``prefix``."""
    values: dict[str, Any] = {"handler": sent.get(f"{prefix}handler", "none")}
    for spec in inner(destination, depth) if depth else offered(destination):
        for one in fields(spec):
            name = prefix + one.name
            if one.kind == "route":
                values[one.name] = _typed(destination, sent, f"{name}-", depth + 1)
            elif one.kind == "routes":
                values[one.name] = _typed_by_key(destination, sent, name)
            elif one.rows:
                values[one.name] = _rows(sent, one, prefix)
            elif name in sent:
                values[one.name] = sent[name].strip()
    if values["handler"] == KEPT:
        values[KEPT] = sent.get(prefix + KEPT, "")
    return values


def _typed_by_key(destination: Destination, sent: MultiDict[str, str], name: str) -> dict[str, Any]:
    """Return the routes of a menu by their key; what was given one twice is kept for the page."""
    found: dict[str, Any] = {}
    for slot in range(len(KEYS)):
        prefix = f"{name}-{slot}-"
        if key := sent.get(f"{prefix}key", ""):
            values = _typed(destination, sent, prefix, 1)
            found[f"{key} (twice)" if key in found else key] = values
    return found


def as_written(form: RouteForm) -> Mapping[str, Any]:
    """Return the form in the shape in which routes are written down; empty fields are left out.

    :raises Refused: when no handler is chosen, or an item of a list is half filled in.
    """
    return _written(form.destination, form.values)


def _written(destination: Destination, values: dict[str, Any], *path: str) -> dict[str, Any]:
    spec = next((one for one in offered(destination) if one.name() == values.get("handler")), None)
    if spec is None:
        raise Refused.because("Choose what is to be done.", *path, "handler")
    data: dict[str, Any] = {"handler": spec.name()}
    for one in fields(spec):
        value, other = values.get(one.name), one.shown.only_with
        if one.kind == "route":
            value = _inner_written(destination, one, value or {}, *path, one.name)
        elif one.kind == "routes":
            value = _keys_written(destination, one, value or {}, *path)
        elif one.kind == "words":
            value = _words(value or "", *path, one.name)
        if value in ("", None, [], {}) or (other and not values.get(other)):
            continue
        for row in value if one.rows else ():
            for item in one.rows:
                if item.shown.missing and not row.get(item.name):
                    words = item.shown.missing.format(**row)
                    raise Refused.because(words, *path, one.name)
        data[one.name] = value
    return data


def _keys_written(
    destination: Destination, one: FormField, values: dict[str, Any], *path: str
) -> dict[str, Any]:
    """Return the routes of a menu by their key; there must be one."""
    if not values:
        raise Refused.because("Choose what a key leads to.", *path, one.name)
    return {
        key: _inner_written(destination, one, inside, *path, one.name)
        for key, inside in values.items()
    }


def _words(lines: str, *path: str) -> dict[str, str]:
    """Read words with their keys: ``library = 1``, one a line."""
    found = {}
    for line in filter(None, map(str.strip, lines.splitlines())):
        word, sign, key = line.rpartition("=")
        if not sign:
            raise Refused.because(f"Write “{line}” with its key, such as: library = 1", *path)
        found[word.strip()] = key.strip()
    return found


def _inner_written(
    destination: Destination, one: FormField, values: dict[str, Any], *path: str
) -> dict[str, Any] | None:
    """Return a route inside another; what this form cannot draw is kept as it was."""
    if values.get("handler") == KEPT:
        try:
            return dict(json.loads(values[KEPT]))
        except (ValueError, TypeError):
            raise Refused.because("Choose what is to be done.", *path) from None
    if values.get("handler", "none") == "none" and one.shown.empty is not None:
        return None
    return _written(destination, values, *path)


def by_field(refused: Refused) -> dict[str, list[str]]:
    """Return what is wrong with each field."""
    found: dict[str, list[str]] = {}
    for mistake in refused.mistakes:
        found.setdefault(_field_of(mistake), []).append(mistake.message)
    return found


def _field_of(mistake: Mistake) -> str:
    """Return the field's name, within a route inside the route ``open-to``."""
    names = [part for part in mistake.path if isinstance(part, str)]
    return "-".join(names[:2] if names[:1] and names[0] in _ROUTES else names[:1])


def _rows(sent: MultiDict[str, str], one: FormField, prefix: str) -> list[dict[str, str]]:
    """Return the items of a list whose first field is filled in, without what is empty."""
    names = [item.name for item in one.rows]
    columns = [sent.getlist(f"{prefix}{one.name}-{name}") for name in names]
    rows = [dict(zip(names, values, strict=True)) for values in zip_longest(*columns, fillvalue="")]
    filled = [{name: value for name, value in row.items() if value.strip()} for row in rows]
    return [row for row in filled if names[0] in row]


def _names(session: Session, client_id: str, refers: Refers) -> list[str]:
    model = refers.model
    query = select(model.name).where(model.client_id == client_id)
    if refers.kind is not None:
        query = query.where(model.kind == refers.kind)
    elif model is Endpoint:
        query = query.where(model.kind == EndpointKind.WEBHOOK)
    return list(session.scalars(query.order_by(model.name)))


LEADING = frozenset(
    spec.name()
    for spec in SPECS.values()
    if any(one.kind in ("route", "routes") for one in fields(spec))
)
"""The handlers that hold routes; inside another one this form draws few of them."""
_ROUTES = frozenset(
    one.name for spec in SPECS.values() for one in fields(spec) if one.kind == "route"
)
"""Fields that hold routes."""
