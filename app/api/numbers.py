"""Numbers: what people text and call, and what happens then."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.idempotency import once
from app.api.operation import Answer, operation
from app.api.problem import HttpProblem, not_found
from app.api.reading import Shape
from app.api.urls import Url, url, url_or_none
from app.domain import audit, mistakes, named
from app.domain.hours import hours
from app.domain.provisioning import senders
from app.domain.routing import routes
from app.domain.sending import breaker
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.credential import Scope
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind, SenderType


class RouteBody(Shape):
    """What is to be done with an incoming text or call; in the words of the configuration file."""

    model_config = Shape.model_config | {"alias_generator": None, "extra": "allow"}

    handler: Handler | None = Field(None, description="May be left out beside `hours`.")


class RouteObject(RouteBody):
    """What is done with an incoming text or call; in the words of the configuration file."""

    handler: Handler


class HeldObject(Shape):
    """Texts or calls that wait, because Twilio refused the same for several people in a row."""

    destination: Destination
    since: datetime
    reason: str


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
    closed_until: datetime | None = Field(
        description="Until then its office hours say closed; null where they are as written."
    )
    stopped: str | None = Field(description="Why nothing may be sent from it; null while it may.")
    held: list[HeldObject] = Field(
        description="What waits until `try-one`, `resume`, or a text that Twilio takes."
    )


class RoutesBody(Shape):
    """What a number is to do with texts and calls."""

    sms: RouteBody | None = None
    voice: RouteBody | None = None


class ClosedUntilBody(Shape):
    """Until when a number is closed, whatever its office hours say."""

    until: AwareDatetime | None


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


def _further(
    caller: Caller, body: RoutesBody, unread: set[str | int], number: str
) -> list[mistakes.Mistake]:
    """Say what is wrong with one route where the other cannot be read."""
    del unread
    specs, wrong = _parse(body)
    sender = find(caller, number)
    for destination, spec in specs.items():
        try:
            if spec is not None:
                routes.check(db.session(), sender, destination, spec)
        except mistakes.Refused as refused:
            wrong += [one.under(destination.value) for one in refused.mistakes]
    return wrong


@operation(
    "PUT",
    "/numbers/<number>/routes",
    Scope.ADMIN,
    {200: NumberObject},
    example={
        "sms": {"handler": "auto_reply", "template": "away"},
        "voice": {"handler": "play_message", "say": "We are closed.", "language": "en-US"},
    },
    further=_further,
)
def put_routes(caller: Caller, number: str, body: RoutesBody) -> NumberObject:
    """Choose what is done with texts and calls to a number.

    Routes are written as in the configuration file. What is not mentioned stays as it is; null
    takes the route away, and a neutral answer is given.
    """
    specs, wrong = _parse(body)
    with unit_of_work() as session:
        sender = find(caller, number)
        for destination, spec in specs.items():
            try:
                if spec is None:
                    routes.clear_route(session, sender, destination)
                else:
                    routes.save_route(session, sender, destination, spec, caller.actor)
            except mistakes.Refused as refused:
                wrong += [one.under(destination.value) for one in refused.mistakes]
        if wrong:
            raise mistakes.Refused(wrong)
        audit.record(
            session, caller.actor, "update", f"routes of {sender.address}", caller.client_id,
            {destination.value: spec and routes.shape(spec) for destination, spec in specs.items()},
        )  # fmt: skip
    return describe(find(caller, number))


@operation("POST", "/numbers/<number>/try-one", Scope.SEND, {200: NumberObject}, problems=(409,))
def try_one(caller: Caller, number: str) -> Answer:
    """Let one message go of what a number holds; when Twilio takes it, the others follow."""

    def make(session: Session) -> Answer:
        sender = find(caller, number)
        keys = breaker.keys_of(sender)
        if not breaker.try_one(session, keys, caller.client_id, caller.actor, utcnow()):
            raise HttpProblem(409, breaker.NOTHING_HELD)
        session.flush()
        return Answer(200, describe(sender))

    answer = once(caller, None, make)
    wake("send")
    return answer


@operation("POST", "/numbers/<number>/resume", Scope.ADMIN, {200: NumberObject}, problems=(409,))
def resume(caller: Caller, number: str) -> Answer:
    """Let a number that was stopped or is held send all that waits: what was wrong is mended."""

    def make(session: Session) -> Answer:
        sender = find(caller, number)
        if not senders.resume(session, sender, caller.actor):
            raise HttpProblem(409, breaker.NOTHING_HELD)
        session.flush()
        return Answer(200, describe(sender))

    answer = once(caller, None, make)
    wake("send")
    return answer


@operation(
    "PUT",
    "/numbers/<number>/closed-until",
    Scope.ADMIN,
    {200: NumberObject},
    example={"until": "2026-11-30T14:00:00Z"},
)
def put_closed_until(caller: Caller, number: str, body: ClosedUntilBody) -> NumberObject:
    """Close a number until then, whatever its office hours say; null ends that."""
    with unit_of_work() as session:
        sender = find(caller, number)
        hours.close_until(sender, body.until)
        audit.record(
            session, caller.actor, "close" if body.until else "open again",
            f"number {sender.address}", caller.client_id,
        )  # fmt: skip
    return describe(find(caller, number))


def _parse(
    body: RoutesBody,
) -> tuple[dict[Destination, routes.HandlerSpec | None], list[mistakes.Mistake]]:
    """Read the routes of a body, with every mistake that can be seen without the database."""
    specs: dict[Destination, routes.HandlerSpec | None] = {}
    wrong: list[mistakes.Mistake] = []
    for destination in Destination:
        if destination.value not in body.model_fields_set:
            continue
        given: RouteBody | None = getattr(body, destination.value)
        try:
            specs[destination] = (
                routes.parse(destination, given.model_dump(exclude_unset=True)) if given else None
            )
        except mistakes.Refused as refused:
            wrong += [one.under(destination.value) for one in refused.mistakes]
    return specs, wrong


def find(caller: Caller, number: str) -> Sender:
    """Return the caller's own number, given as a phone number or an id.

    :raises HttpProblem: 404 when there is none.
    """
    found = named.find_number(db.session(), caller.client_id, number)
    if found is None:
        raise not_found("number")
    return found


def describe(sender: Sender) -> NumberObject:
    """Describe a number with its routes."""
    outermost = select(Route).where(Route.sender_id == sender.id, Route.parent_id.is_(None))
    found = {
        route.destination: RouteObject.model_validate(routes.describe(route))
        for route in db.session.scalars(outermost)
    }
    service = db.session.get(Sender, sender.service_id) if sender.service_id else None
    return NumberObject(
        id=sender.id,
        name=sender.name or sender.address,
        number=sender.address,
        kind=sender.kind,
        sender_type=sender.type,
        rate=sender.rate,
        messaging_service=service.address if service else None,
        suppression_list=url_or_none("suppressionlists", sender.suppression_list_id),
        sms=found.get(Destination.SMS),
        voice=found.get(Destination.VOICE),
        routes=url("numbers", sender.address, "routes"),
        closed_until=sender.closed_until,
        stopped=sender.stopped_reason if sender.stopped_at else None,
        held=[
            HeldObject(
                destination=breaker.destination_of(one),
                since=one.tripped_at or utcnow(),
                reason=one.reason or "",
            )
            for one in breaker.held(db.session(), breaker.keys_of(sender))
        ],
    )
