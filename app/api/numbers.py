"""Numbers: what people text and call, and what happens then."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from app.api.auth import Caller
from app.api.operation import operation
from app.api.problem import not_found
from app.api.reading import Shape
from app.api.urls import Url, is_id, url, url_or_none
from app.domain.phones import InvalidPhone, normalize
from app.extensions import db
from app.models.audience import Population
from app.models.credential import Scope
from app.models.endpoint import Endpoint
from app.models.media import Recording
from app.models.route import Channel, Handler, Route
from app.models.sender import Sender, SenderKind, SenderType
from app.models.template import Template


class RouteObject(Shape):
    """What is done with an incoming text or call; in the words of the configuration file."""

    model_config = Shape.model_config | {"alias_generator": None, "extra": "allow"}

    handler: Handler


class NumberObject(Shape):
    """A phone number of the client."""

    id: str
    name: str
    number: str = Field(description="E.164, or a short code's digits.")
    kind: SenderKind
    sender_type: SenderType
    rate: float = Field(description="Segments per second.")
    messaging_service: str | None = Field(description="The SID of the service it is in.")
    suppression_list: Url | None
    sms: RouteObject | None
    voice: RouteObject | None
    routes: Url


@operation("GET", "/numbers", Scope.READ, {200: list[Url]})
def collection(caller: Caller) -> list[str]:
    """List the URLs of the client's numbers."""
    query = (
        select(Sender.address)
        .where(Sender.client_id == caller.client_id, Sender.kind != SenderKind.MESSAGING_SERVICE)
        .order_by(Sender.id)
    )
    return [url("numbers", one) for one in db.session.scalars(query)]


@operation("GET", "/numbers/<number>", Scope.READ, {200: NumberObject})
def show(caller: Caller, number: str) -> NumberObject:
    """Show one number, by its phone number or its id."""
    return describe(find(caller, number))


def find(caller: Caller, number: str) -> Sender:
    """Return the caller's own number, given as a phone number or an id.

    :raises Refusal: 404 when there is none.
    """
    query = (
        select(Sender)
        .where(Sender.client_id == caller.client_id, Sender.kind != SenderKind.MESSAGING_SERVICE)
        .options(joinedload(Sender.service))
    )
    if is_id(number):
        query = query.where(Sender.id == number)
    else:
        try:
            query = query.where(Sender.address == normalize(number, short_codes=True))
        except InvalidPhone:
            raise not_found("number") from None
    found = db.session.scalar(query)
    if found is None:
        raise not_found("number")
    return found


def describe(sender: Sender) -> NumberObject:
    """Describe a number with its routes."""
    routes = {
        route.channel: RouteObject.model_validate(route_spec(route))
        for route in db.session.scalars(select(Route).where(Route.sender_id == sender.id))
    }
    return NumberObject(
        id=sender.id,
        name=sender.name or sender.address,
        number=sender.address,
        kind=sender.kind,
        sender_type=sender.type,
        rate=sender.rate,
        messaging_service=sender.service.address if sender.service else None,
        suppression_list=url_or_none("suppressionlists", sender.suppression_list_id),
        sms=routes.get(Channel.SMS),
        voice=routes.get(Channel.VOICE),
        routes=url("numbers", sender.address, "routes"),
    )


def route_spec(route: Route) -> dict[str, Any]:
    """Return a route as the configuration file writes it: with names, without empty fields."""
    names = {
        "template": _name(Template, route.template_id),
        "population": _name(Population, route.population_id),
        "endpoint": _name(Endpoint, route.endpoint_id),
        "recording": _name(Recording, route.recording_id),
        "url": route.url,
        "keywords": [
            {"match": rule.match, "template": _name(Template, rule.template_id)}
            for rule in route.keywords
        ],
    }
    given = {name: value for name, value in names.items() if value}
    return {"handler": route.handler, **given, **route.options}


def _name(
    model: type[Template] | type[Population] | type[Endpoint] | type[Recording],
    thing_id: str | None,
) -> str | None:
    if thing_id is None:
        return None
    return db.session.scalar(select(model.name).where(model.id == thing_id))
