"""What every handler's specification has: its words, its fields as people see them, its storage.

A field says by annotation what it is. :class:`Refers`: the name of a thing of the client's, which
is stored by its id so that nothing in use can be deleted. :class:`Shown`: how it stands in the
form. :data:`Nested`: a route of its own, read, checked and said by the same means as the outer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    SerializeAsAny,
    StringConstraints,
    ValidationInfo,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import Session

from app.domain import named
from app.domain.mistakes import SEVERAL, Path, Reasons, Refused
from app.domain.specs import Name, Spec
from app.models.endpoint import Endpoint
from app.models.route import Destination, Route
from app.models.sender import Sender
from app.models.template import Template, TemplateKind

Note = TypeVar("Note")

_VOICE = re.compile(r"man|woman|alice|(Polly|Google)\.[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def _voice(name: str) -> str:
    if not _VOICE.fullmatch(name):
        raise ValueError(
            f"“{name}” is not a voice of Twilio's; use man, woman, or a name such as Polly.Joanna."
        )
    return name


def _language(name: str) -> str:
    if not _LANGUAGE.fullmatch(name):
        raise ValueError(f"“{name}” is not a language; use a code such as en-US.")
    return name


Spoken = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]
Voice = Annotated[str, AfterValidator(_voice)]
Language = Annotated[str, AfterValidator(_language)]


@dataclass(frozen=True)
class Refers:
    """The field holds the name of one of the client's things."""

    model: type[Any]
    kind: TemplateKind | None = None
    """Of a template."""

    def find(self, session: Session, client_id: str, name: str, *path: str | int) -> Any:
        """Return the thing.

        :param path: where the name was written.
        :raises Refused: when there is none, or when it is of another kind.
        """
        if self.model is Template and self.kind is not None:
            return named.template(session, client_id, name, self.kind, *path)
        if self.model is Endpoint:
            return named.endpoint(session, client_id, name, *path)
        return named.require(session, self.model, client_id, name, *path)


@dataclass(frozen=True)
class Shown:
    """How a field stands in the form."""

    label: str
    hint: str = ""
    kind: str = "text"
    """``text``, ``area``, ``tel``, ``url``, ``number``, ``choice``, ``voice``, ``language``,
    ``route``, ``routes`` (by key), ``words`` (each with its key) or ``rows`` (a list, whose items
    have fields of their own)."""
    empty: str | None = None
    """What is chosen when nothing is; None where something always is."""
    labels: tuple[tuple[str, str], ...] = ()
    """What can be chosen, each with its words; the client's own things where the field refers."""
    only_with: str | None = None
    """Another field, without which this one is left out."""
    missing: str = ""
    """What an item of a list lacks without it, in a sentence with the item's other fields."""


@dataclass(frozen=True)
class Place:
    """Where a route is to be: on whose number, for texts or for calls."""

    session: Session
    sender: Sender
    destination: Destination


class HandlerSpec(Spec):
    """One handler: what it takes, what it is called, and what it says it does."""

    label: ClassVar[str]
    """Its name for people."""
    hint: ClassVar[str]
    """When to choose it, or what comes of it."""
    destinations: ClassVar[tuple[Destination, ...]]
    """For what it can be chosen."""
    leads_on: ClassVar[bool] = False
    """Whether it is answered by one of the routes inside it, never by itself."""

    handler: Any

    def sentence(self) -> str:
        """Say in words what it does, and what the routes inside it do."""
        return self.summary()

    def summary(self) -> str:
        """Say in words what it does itself."""
        raise NotImplementedError

    def check(self, place: Place, reasons: Reasons) -> None:
        """Add what is wrong with it there, besides names that do not exist."""

    def stored(self, place: Place, reasons: Reasons) -> dict[str, Any]:
        """Return the columns of :class:`Route` that keep it."""
        columns: dict[str, Any] = {"options": {}}
        places = {path[0] for path, _ in inner(self)}
        for name, field in own_fields(type(self)):
            value = getattr(self, name)
            if name in places:
                continue
            if refers := note(field, Refers):
                client = place.sender.client_id
                found = value and reasons.get(refers.find, place.session, client, value, name)
                columns[f"{name}_id"] = found.id if found else None
            elif name in Route.__table__.columns:
                columns[name] = value
            elif name not in Route.__mapper__.relationships and value is not None:
                columns["options"][name] = value
        return columns

    @classmethod
    def read(cls, session: Session, route: Route) -> Self:
        """Return what is stored, by the names that things have now."""
        values: dict[str, Any] = dict(route.options)
        for name, field in own_fields(cls):
            refers = note(field, Refers)
            value = getattr(route, f"{name}_id" if refers else name, None)
            if value is not None and name not in Route.__mapper__.relationships:
                values[name] = session.get_one(refers.model, value).name if refers else value
        return cast(Self, cls.model_construct(**values, handler=str(route.handler)))

    @classmethod
    def of(cls, options: dict[str, Any]) -> Self:
        """Return what the stored options say; what is stored elsewhere is not looked at."""
        return cast(Self, cls.model_construct(**options))

    @classmethod
    def name(cls) -> str:
        """Return the handler that this specifies: a value of `app.models.route.Handler`."""
        return str(get_args(cls.model_fields["handler"].annotation)[0])


class Unfilled(HandlerSpec):
    """A route of which only the handler is chosen yet: it can be looked at, never stored."""

    destinations = (Destination.SMS, Destination.VOICE)

    def summary(self) -> str:
        """Say that nothing is there yet."""
        return "To be filled in."


TextBack = Annotated[
    Name | None,
    Refers(Template, TemplateKind.REPLY),
    Shown(
        "Text those whom nobody has answered",
        "After the call, once a day, to phones that get texts and have not opted out.",
        empty="No text",
    ),
]
"""A reply that a caller gets as a text whom nobody has answered there."""


def _nested(value: object, info: ValidationInfo) -> HandlerSpec:
    """Read a route inside another, by the means that whoever reads the outer one brings along."""
    read = (info.context or {})["nested"]
    try:
        return read(value)  # type: ignore[no-any-return]
    except Refused as refused:
        found = {"mistakes": refused.mistakes}
        raise PydanticCustomError(SEVERAL, "{mistakes}", found) from refused


Nested = Annotated[SerializeAsAny[HandlerSpec], BeforeValidator(_nested)]
"""A route inside another, for the same of texts and calls."""


def inner(spec: HandlerSpec) -> Iterator[tuple[Path, HandlerSpec]]:
    """Yield the routes right inside a route, each with its place: a field, or a field and a key."""
    for name, _ in own_fields(type(spec)):
        value = getattr(spec, name)
        for key, one in value.items() if isinstance(value, Mapping) else [(None, value)]:
            if isinstance(one, HandlerSpec):
                yield (name,) if key is None else (name, key), one


def walk(spec: HandlerSpec, *path: str | int) -> Iterator[tuple[Path, HandlerSpec]]:
    """Yield the route and every route inside it, each with its place."""
    yield path, spec
    for place, one in inner(spec):
        yield from walk(one, *path, *place)


def holds_routes(model: type[Spec]) -> bool:
    """Tell whether a handler leads on to other routes, which are inside its own."""
    shown = (note(field, Shown) for _, field in own_fields(model))
    return any(one is not None and one.kind in ("route", "routes") for one in shown)


def own_fields(model: type[Spec]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the fields, in the order of the form, without that which names the handler."""
    return ((name, one) for name, one in model.model_fields.items() if name != "handler")


def note(field: FieldInfo, kind: type[Note]) -> Note | None:
    """Return what the field's annotation says of this sort, if anything."""
    return next((one for one in field.metadata if isinstance(one, kind)), None)


def ended(text: str) -> str:
    """End a sentence that may end with words which have their own full stop already."""
    return text if text.endswith((".”", "!”", "?”")) else f"{text}."


def texted_back(template: str | None) -> list[str]:
    """Say which text a caller gets whom nobody has answered, if any."""
    return [f"Whoever hangs up there unanswered gets the text “{template}”."] if template else []
