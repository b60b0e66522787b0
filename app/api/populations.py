"""Populations: named lists of people."""

from __future__ import annotations

from sqlalchemy import Select, func, select

from app.api.auth import Caller
from app.api.operation import Answer, operation
from app.api.problem import invalid
from app.api.reading import Shape
from app.api.shapes import MemberObject, Value
from app.api.urls import Url, ids, owned, url
from app.domain import attributes as attributes_of_people
from app.domain.mistakes import Refused
from app.domain.phones import InvalidPhone, normalize
from app.extensions import db, unit_of_work
from app.models.audience import Member, Population
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
    size = select(func.count()).where(Member.population_id == population.id)
    return PopulationObject(
        id=population.id,
        name=population.name,
        size=db.session.scalar(size) or 0,
        subscribers=url("populations", population.id, "subscribers"),
    )


@operation(
    "POST",
    "/populations/<population_id>/subscribers",
    Scope.SEND,
    {201: SubscriberObject, 200: SubscriberObject},
    example={"toAddress": "pat@example.edu", "firstName": "Pat", "lastName": "Doe"},
)
def subscribe(caller: Caller, population_id: str, body: MemberObject) -> Answer:
    """Add somebody to a population.

    The body is the person's attributes: `toName`, `toPhone`, `toAddress` and any others.
    Somebody who is there already (the same `toPhone`, or without one the same `toAddress`) gets
    the new attributes instead of a second place, and the answer is 200.
    """
    attributes = _reachable(body)
    with unit_of_work() as session:
        population = owned(Population, caller, population_id, "population")
        session.refresh(population, with_for_update=True)  # one at a time: nobody comes in twice
        member = session.scalar(_same_person(population.id, attributes))
        if member is None:
            session.add(Member(population_id=population.id, attributes=attributes))
        else:
            member.attributes = _whole({**member.attributes, **attributes})
        status = 201 if member is None else 200
        kept = attributes if member is None else member.attributes
    content = SubscriberObject(
        population=url("populations", population_id), member=MemberObject(kept)
    )
    return Answer(status, content)


def _reachable(body: MemberObject) -> dict[str, Value]:
    """Return the attributes, the phone as E.164.

    :raises Refusal: 422 when there is neither a phone nor an address, or the phone is none.
    """
    phone = body.text("toPhone")
    if not phone and not body.text("toAddress"):
        raise invalid("toPhone", "missing", "toPhone or toAddress is needed to reach somebody.")
    if not phone:
        return body.root
    try:
        return {**body.root, "toPhone": normalize(phone)}
    except InvalidPhone as error:
        raise invalid("toPhone", "invalid_phone", error.reason) from None


def _whole(attributes: dict[str, Value]) -> dict[str, Value]:
    """Return what is kept of somebody who had attributes before.

    :raises Refused: when they are too many together.
    """
    if wrong := list(attributes_of_people.mistakes(attributes)):
        raise Refused(wrong)
    return attributes


def _same_person(population_id: str, attributes: dict[str, Value]) -> Select[Member]:
    name = "toPhone" if attributes.get("toPhone") else "toAddress"
    return (
        select(Member)
        .where(
            Member.population_id == population_id,
            Member.attributes[name].as_string() == str(attributes[name]),
        )
        .order_by(Member.id)
        .limit(1)
    )
