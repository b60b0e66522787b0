"""The way of one call through the routes inside each other, pinned when the call comes.

A call that has steps goes through its route as it was then, however it is edited meanwhile. Where
it is stands in the URL of each step, which Twilio signs: the places of the routes, which of the
handler's steps it is, and how often it has been asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, Select, bindparam, select

from app.extensions import current_settings
from app.inbound import on_duty
from app.inbound.answers import CallContext
from app.inbound.number import RouteFacts
from app.models.base import table
from app.models.media import Recording
from app.models.route import Destination, Handler, Route

_route = table(Route)
_recording = table(Recording)
_ALL: Select[Any] = (
    select(
        _route.c.id.label("route_id"), _route.c.parent_id, _route.c.place, _route.c.handler,
        _route.c.url, _route.c.options, _route.c.endpoint_id, _route.c.population_id,
        _route.c.hours_id, _route.c.rota_id, _route.c.text_back_id, _recording.c.media_code,
    )
    .select_from(_route.outerjoin(_recording, _recording.c.id == _route.c.recording_id))
    .where(_route.c.sender_id == bindparam("sender_id"), _route.c.destination == Destination.VOICE)
)  # fmt: skip
_BETWEEN = "/"


class Lost(Exception):
    """The call has no such step."""


@dataclass(frozen=True)
class Step:
    """One step of a call, as its URL names it."""

    at: tuple[str, ...]
    what: str
    turn: int

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Step:
        """Return the step that a URL names.

        :raises Lost: when it names none.
        """
        turn = query.get("turn", "")
        if not (turn.isascii() and turn.isdigit() and len(turn) <= 2):
            raise Lost("The step has no turn.")
        at = query.get("at", "")
        return cls(tuple(at.split(_BETWEEN)) if at else (), query.get("step", ""), int(turn))

    @classmethod
    def of(cls, key: str) -> Step:
        """Return the step that is called so where its answer is kept."""
        at, what, turn = key.rsplit(" ", 2)
        return cls(tuple(at.split(_BETWEEN)) if at else (), what, int(turn))

    @property
    def key(self) -> str:
        """What it is called where its answer is kept."""
        return f"{_BETWEEN.join(self.at)} {self.what} {self.turn}"


def step(context: CallContext, what: str, turn: int) -> str:
    """Return the URL that Twilio is to ask next."""
    query = urlencode({"at": _BETWEEN.join(context.at), "step": what, "turn": turn})
    base = current_settings().public_base_url
    return f"{base}/inbound/voice/step/{context.incoming_id}?{query}"


def whole(connection: Connection, number_id: str, route: RouteFacts, now: datetime) -> RouteFacts:
    """Return the route with all that is inside it, in one statement; with those who are on duty
    at that time, where a rota says whose phone rings, in one more.
    """
    inside: dict[str, dict[str, Any]] = defaultdict(dict)
    rows = connection.execute(_ALL, {"sender_id": number_id}).all()
    for row in rows:
        if row.parent_id:
            inside[row.parent_id][row.place] = RouteFacts.of(
                row, recording_code=row.media_code, hours_id=row.hours_id
            )
    return _filled(route, inside, on_duty.by_route(connection, rows, now))


def _filled(
    route: RouteFacts,
    inside: Mapping[str, Mapping[str, RouteFacts]],
    people: Mapping[str, list[dict[str, Any]]],
) -> RouteFacts:
    if route.id in people:
        route = replace(route, options={**route.options, "people": people[route.id]})
    rooms = {place: _filled(one, inside, people) for place, one in inside.get(route.id, {}).items()}
    return replace(route, inner=rooms)


def find(route: RouteFacts, at: tuple[str, ...]) -> RouteFacts:
    """Return the route at a place inside another.

    :raises Lost: when there is none.
    """
    for place in at:
        if place not in route.inner:
            raise Lost(f"The route has no place {place}.")
        route = route.inner[place]
    return route


def text_back(route: RouteFacts, at: tuple[str, ...] = ()) -> str | None:
    """Return the template of the text that a caller gets who hangs up at a place, unanswered.

    What was asked for where phones rang holds on behind it: nobody has taken the call there. A key
    of a menu, though, leads to what the caller wanted.
    """
    found = route.text_back_id
    for place in at:
        holds = found if route.handler in (Handler.RING, Handler.HOURS) else None
        route = route.inner[place]
        found = route.text_back_id or holds
    return found


def written(route: RouteFacts) -> dict[str, Any]:
    """Return the route as JSON."""
    data = {name: value for name, value in asdict(replace(route, inner={})).items() if value}
    return {**data, "inner": {place: written(one) for place, one in route.inner.items()}}


def read(data: Mapping[str, Any]) -> RouteFacts:
    """Return the route that was :func:`written`."""
    blank: dict[str, Any] = dict.fromkeys(("url", "endpoint_id", "population_id"))
    return RouteFacts(
        **{
            **blank,
            "options": {},
            **data,
            "handler": Handler(data["handler"]),
            "inner": {place: read(one) for place, one in data["inner"].items()},
        }
    )
