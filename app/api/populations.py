"""Populations: named lists of people."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.idempotency import once
from app.api.operation import Answer, operation
from app.api.reading import Shape
from app.api.shapes import MemberObject, PersonBody
from app.api.urls import Url, ids, owned, url
from app.domain.audience import members, populations, taking
from app.extensions import db
from app.models.audience import Population
from app.models.credential import Scope


class PopulationObject(Shape):
    """A named list of people."""

    id: str
    name: str
    size: int
    subscribers: Url


class SubscriberObject(Shape):
    """Somebody who is in a population now."""

    population: Url
    member: MemberObject


@operation("GET", "/populations", Scope.READ, {200: list[Url]})
def collection(caller: Caller) -> list[str]:
    """List the URLs of the client's populations."""
    return [url("populations", one) for one in ids(Population, caller)]


@operation("GET", "/populations/<population_id>", Scope.READ, {200: PopulationObject})
def show(caller: Caller, population_id: str) -> PopulationObject:
    """Show one population."""
    population = owned(Population, caller, population_id, "population")
    return PopulationObject(
        id=population.id,
        name=population.name,
        size=populations.size(db.session(), population.id),
        subscribers=url("populations", population.id, "subscribers"),
    )


@operation(
    "POST",
    "/populations/<population_id>/subscribers",
    Scope.SEND,
    {201: SubscriberObject, 200: SubscriberObject},
    problems=(409,),
    example={"toAddress": "pat@example.edu", "firstName": "Pat", "lastName": "Doe"},
)
def subscribe(caller: Caller, population_id: str, body: PersonBody) -> Answer:
    """Add somebody to a population.

    The body is the person's attributes: `toName`, `toPhone`, `toAddress` and any others.
    Somebody who is there already (the same `toPhone`, or without one the same `toAddress`) gets
    the new attributes instead of a second place, and the answer is 200. 409 with `Retry-After`
    for as long as a large file that others' changes got in the way of is put into the population.
    """
    taking.ahead(population_id)

    def make(session: Session) -> Answer:
        population = owned(Population, caller, population_id, "population")
        saved = members.subscribe(session, population, body.root, caller.actor)
        kept = MemberObject(saved.row.attributes)
        content = SubscriberObject(population=url("populations", population_id), member=kept)
        return Answer(201 if saved.is_new else 200, content)

    return once(caller, body, make)
