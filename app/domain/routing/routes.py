"""What a number, or a messaging service, does with incoming texts and calls.

Every rule about routes is here and in ``handlers/``; the configuration file, the API and the staff
pages share it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, object_session

from app.domain.mistakes import Path, Reasons
from app.domain.routing.handlers import SPECS, parse
from app.domain.routing.handlers.base import HandlerSpec, Place, inner, walk
from app.domain.routing.handlers.handle_yourself import conflict
from app.models.base import utcnow
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind

__all__ = [
    "HandlerSpec", "check", "clear_route", "conflict", "describe", "find_route", "parse",
    "save_route", "sentence", "shape", "spec_of",
]  # fmt: skip

_COLUMNS = (
    "template_id", "population_id", "endpoint_id", "recording_id", "hours_id", "rota_id",
    "text_back_id", "url",
)  # fmt: skip


def find_route(session: Session, sender: Sender, destination: Destination) -> Route | None:
    """Return the route of ``sender`` for ``destination``, or None where nothing was chosen."""
    outermost = select(Route).filter_by(
        sender_id=sender.id, destination=destination, parent_id=None
    )
    return session.scalar(outermost)


def save_route(
    session: Session, sender: Sender, destination: Destination, spec: HandlerSpec, by: str
) -> Route:
    """Let ``sender`` do what ``spec`` says with incoming texts or calls.

    A route that says the same already is left as it is.

    :param spec: from :func:`parse`.
    :param by: the person's e-mail address, or ``flask apply``.
    :raises Refused: with every reason at once; nothing is changed then.
    """
    columns = _columns(session, sender, destination, spec)
    route = find_route(session, sender, destination)
    if route is not None and describe(route) == shape(spec):
        return route
    if route is None:
        route = Route(client_id=sender.client_id, sender_id=sender.id, destination=destination)
        session.add(route)
    elif route.keywords or route.inner:
        route.keywords.clear()
        route.inner.clear()
        session.flush()  # what is old goes before what is new comes to the same places
    _fill(route, spec, columns, by)
    session.flush()
    return route


def _fill(
    route: Route, spec: HandlerSpec, columns: dict[Path, dict[str, Any]], by: str, path: Path = ()
) -> None:
    """Give a row what its route says, and the routes inside it rows of their own."""
    own = columns[path]
    for name in _COLUMNS:
        setattr(route, name, own.get(name))
    route.handler, route.options = Handler(spec.handler), own["options"]
    route.keywords.extend(own.get("keywords", []))
    route.updated_by, route.updated_at = by, utcnow()
    for place, one in inner(spec):
        row = Route(
            client_id=route.client_id, sender_id=route.sender_id, destination=route.destination,
            place=".".join(map(str, place)),
        )  # fmt: skip
        _fill(row, one, columns, by, (*path, *place))
        route.inner.append(row)


def check(session: Session, sender: Sender, destination: Destination, spec: HandlerSpec) -> None:
    """Look whether the route could be saved, without saving it.

    :raises Refused: with every reason at once.
    """
    _columns(session, sender, destination, spec)


def clear_route(session: Session, sender: Sender, destination: Destination) -> bool:
    """Take the route away, so that a neutral answer is given; return whether there was one."""
    route = find_route(session, sender, destination)
    if route is None:
        return False
    session.delete(route)
    session.flush()
    return True


def shape(spec: HandlerSpec) -> dict[str, Any]:
    """Return the route as people write it, without what is the default anyway."""
    return {"handler": spec.handler, **spec.model_dump(exclude_defaults=True)}


def describe(route: Route) -> dict[str, Any]:
    """Return a stored route as people write it, without what is the default anyway."""
    return shape(spec_of(route))


def sentence(route: Route) -> str:
    """Say in words what a stored route does."""
    return spec_of(route).sentence()


def spec_of(route: Route) -> HandlerSpec:
    """Return a stored route, with all inside it, as it was written down."""
    session = object_session(route)
    if session is None:
        raise ValueError("the route belongs to no session")
    spec = SPECS[route.handler].read(session, route)
    for row in route.inner:
        name, _, key = str(row.place).partition(".")
        if key:
            setattr(spec, name, {**(getattr(spec, name, None) or {}), key: spec_of(row)})
        else:
            setattr(spec, name, spec_of(row))
    return spec


def _columns(
    session: Session, sender: Sender, destination: Destination, spec: HandlerSpec
) -> dict[Path, dict[str, Any]]:
    """Return the columns of the route and of each inside it, having checked all about them."""
    columns: dict[Path, dict[str, Any]] = {}
    reasons, place = Reasons(), Place(session, sender, destination)
    if refusal := _sender_refusal(sender, destination):
        reasons.add(refusal)
    for path, part in walk(spec):
        found = Reasons()
        part.check(place, found)
        columns[path] = part.stored(place, found)
        reasons.mistakes.extend(mistake.under(*path) for mistake in found.mistakes)
    reasons.refuse_if_any()
    return columns


def _sender_refusal(sender: Sender, destination: Destination) -> str | None:
    if sender.kind is SenderKind.VERIFIED:
        return (
            f"{sender.address} is owned by the institution and only verified with Twilio: it can"
            " place calls, but texts and calls to it never reach Dispatch."
        )
    if destination is Destination.VOICE and not sender.is_number:
        return "A messaging service takes no calls; set the route for calls on its numbers."
    if destination is Destination.VOICE and sender.is_short_code:
        return f"{sender.address} is a short code, which takes no calls."
    return None
