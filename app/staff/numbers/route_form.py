"""The form of a route, drawn from the handlers' specifications: as stored, typed and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, get_args

from flask import request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from app.domain.mistakes import Refused
from app.domain.routing.handlers import HOLDING, offered
from app.domain.routing.handlers.base import HandlerSpec, Refers, Shown, note, own_fields
from app.domain.routing.handlers.menu import KEYS
from app.domain.specs import Spec
from app.models.endpoint import Endpoint, EndpointKind
from app.models.route import Destination
from app.staff.numbers import drafts
from app.staff.numbers.drafts import Place
from app.staff.numbers.flow import Box
from app.staff.numbers.route_preview import Preview
from app.staff.wordings.voices import LANGUAGES, VOICES

KEPT = "kept"
"""Chosen for a route inside a route that has a form of its own: it stays as it is."""
SLOTS = 4
"""Least room for keys of a menu; of more there is room for two besides."""
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
    at: Place = ()
    """Where it is inside the number's route."""
    draft: dict[str, Any] | None = None
    """The number's whole route, while some of it is still to be filled in; None when it is saved.
    """
    left: int = 0
    """How many of its boxes are still to be filled in."""
    flow: Box | None = None
    """The picture of the whole route."""
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
    """Return the keys of a menu with their routes, and room for more."""
    used = sorted(values.items(), key=lambda one: KEYS.find(one[0][:1]))
    room = max(SLOTS - len(used), 2)
    return [*used, *[("", {})] * room][: len(KEYS)]


def typed(destination: Destination) -> RouteForm:
    """Return the form as it was sent."""
    return RouteForm(destination, _typed(destination, request.form, ""))


def _typed(destination: Destination, sent: MultiDict[str, str], prefix: str) -> dict[str, Any]:
    """Return the values of the route whose fields begin with ``prefix``.

    Of a route inside another there are none where it has a form of its own.
    """
    handler = sent.get(f"{prefix}handler", "none")
    values: dict[str, Any] = {"handler": handler}
    if handler == KEPT:
        values[KEPT] = sent.get(prefix + KEPT, "")
    spec = _spec(destination, handler)
    own = f"{prefix}{handler}."
    for one in fields(spec) if spec and not (prefix and handler in HOLDING) else ():
        name = own + one.name
        if one.kind == "route":
            values[one.name] = _typed(destination, sent, f"{name}-")
        elif one.kind == "routes":
            values[one.name] = _typed_by_key(destination, sent, name)
        elif one.rows:
            values[one.name] = _rows(sent, one, own)
        elif name in sent:
            values[one.name] = sent[name].strip()
    return values


def _spec(destination: Destination, handler: object) -> type[HandlerSpec] | None:
    return next((one for one in offered(destination) if one.name() == handler), None)


def _typed_by_key(destination: Destination, sent: MultiDict[str, str], name: str) -> dict[str, Any]:
    """Return the routes of a menu by their key; what was given one twice is kept for the page."""
    found: dict[str, Any] = {}
    for slot in range(len(KEYS)):
        prefix = f"{name}-{slot}-"
        if key := sent.get(f"{prefix}key", ""):
            values = _typed(destination, sent, prefix)
            found[f"{key} (twice)" if key in found else key] = values
    return found


def as_written(form: RouteForm) -> Mapping[str, Any]:
    """Return the form in the shape in which routes are written down; empty fields are left out.

    :raises Refused: when no handler is chosen, or an item of a list is half filled in.
    """
    return _written(form.destination, form.values)


def _written(destination: Destination, values: dict[str, Any], *path: str) -> dict[str, Any]:
    spec = _spec(destination, values.get("handler"))
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
    """Return a route inside another; what has a form of its own is kept, or filled in there."""
    chosen = values.get("handler", "none")
    if chosen == KEPT:
        return drafts.read(values[KEPT], *path)
    if chosen == "none" and one.shown.empty is not None:
        return None
    if chosen in HOLDING:
        return {"handler": chosen}
    return _written(destination, values, *path)


def by_field(refused: Refused, form: RouteForm) -> dict[str, list[str]]:
    """Return what is wrong with each field of a form, by its name there."""
    found: dict[str, list[str]] = {}
    outer = drafts.path_of(form.at)
    for mistake in refused.mistakes:
        is_inside = mistake.path[: len(outer)] == outer
        path = mistake.path[len(outer) :] if is_inside else ()
        name = _field_of([one for one in path if isinstance(one, str)], form.values)
        found.setdefault(name, []).append(mistake.message)
    return found


def _field_of(path: list[str], values: Mapping[str, Any], prefix: str = "") -> str:
    """Return a field's name in the form, of one in a route inside: ``hours.open-menu.say``."""
    if not path or path[0] == "handler":
        return f"{prefix}handler" if path else ""
    name = f"{prefix}{values.get('handler')}.{path[0]}"
    inside = values.get(path[0])
    if path[1:] and isinstance(inside, Mapping) and "handler" in inside:
        return _field_of(path[1:], inside, f"{name}-")
    return name


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
