"""Which of the routes inside a route applies, where office hours decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, Select, bindparam, or_, select

from app.domain.hours import hours
from app.domain.hours.schedule import State
from app.inbound.number import TEMPLATE, Number, RouteFacts, with_template
from app.models.base import UtcDateTime, table, utcnow
from app.models.client import Client
from app.models.hours import Hours
from app.models.media import Recording
from app.models.route import Handler, Route
from app.models.sender import Sender

_hours = table(Hours)
_client = table(Client)
_number = table(Sender)
_outer = table(Route).alias("outer")
_route = table(Route).alias("inner")
_recording = table(Recording)


_until: BindParameter[datetime] = bindparam("now", type_=UtcDateTime())
_PLAN = (
    _hours.c.week, _hours.c.dates, _hours.c.holidays, _client.c.time_zone,
    or_(_client.c.closed_until > _until, _number.c.closed_until > _until).label("shut"),
)  # fmt: skip
_STATE = (
    select(*_PLAN)
    .select_from(
        _hours.join(_client, _client.c.id == _hours.c.client_id).join(
            _number, _number.c.id == bindparam("number_id")
        )
    )
    .where(_hours.c.id == bindparam("hours_id"))
)


def _statement() -> Select[Any]:
    """Select the routes inside one, each with its template or recording, and the hours."""
    joined = (
        _outer.join(_hours, _hours.c.id == _outer.c.hours_id)
        .join(_client, _client.c.id == _outer.c.client_id)
        .join(_number, _number.c.id == bindparam("number_id"))
        .join(_route, _route.c.parent_id == _outer.c.id)
        .outerjoin(_recording, _recording.c.id == _route.c.recording_id)
    )
    return (
        select(
            *_PLAN,
            _route.c.place, _route.c.id.label("route_id"), _route.c.handler, _route.c.url,
            _route.c.options, _route.c.endpoint_id, _route.c.population_id,
            _route.c.text_back_id,
            _recording.c.media_code.label("recording_code"), *TEMPLATE,
        )
        .select_from(with_template(joined, _route))
        .where(_outer.c.id == bindparam("outer_id"))
    )  # fmt: skip


_INNER = _statement()


def followed(connection: Connection, number: Number, word: str, at: datetime | None) -> Number:
    """Return the number with the route that its office hours lead to; as it is without any.

    :param word: selects a keyword rule.
    :param at: the time that counts; now where there is none.
    """
    moment, route = at or utcnow(), number.route
    while route is not None and route.handler is Handler.HOURS:
        values = {"outer_id": route.id, "number_id": number.id, "word": word, "now": moment}
        route = _led_to(connection.execute(_INNER, values).all(), moment)
    return number if route is number.route else replace(number, route=route)


def place(connection: Connection, route: RouteFacts, number_id: str, now: datetime) -> str:
    """Return the place inside a route by hours, with all inside it, that applies at a time.

    Where its hours are gone meanwhile, it is closed.
    """
    row = connection.execute(
        _STATE, {"hours_id": route.hours_id, "number_id": number_id, "now": now}
    ).first()
    found = _state(row, now).value if row else State.CLOSED.value
    return found if found in route.inner else State.CLOSED.value


def _state(row: Row[Any], moment: datetime) -> State:
    if row.shut:
        return State.CLOSED
    return hours.schedule(row.time_zone, row.week, row.dates, row.holidays).state(moment)


def _led_to(rows: Sequence[Row[Any]], moment: datetime) -> RouteFacts | None:
    """Return the route for what the moment is; on a holiday that of closed days, without its own.

    None where the route was taken away between two looks.
    """
    if not rows:
        return None
    state = _state(rows[0], moment)
    by_place = {row.place: row for row in rows}
    row = by_place.get(state.value) or by_place[State.CLOSED.value]
    return RouteFacts.answering(row, recording_code=row.recording_code)
