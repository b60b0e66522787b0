"""Who is on duty when a call comes, where a rota says whose phone rings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from app.domain.rotas import rotas
from app.models.base import table
from app.models.client import Client
from app.models.rota import Rota

_rota = table(Rota)
_client = table(Client)
_ROTAS = select(
    _rota.c.id, _rota.c.people, _rota.c.weeks, _rota.c.begins, _client.c.time_zone
).select_from(_rota.join(_client, _client.c.id == _rota.c.client_id))


def by_route(
    connection: Connection, routes: Iterable[Row[Any]], now: datetime
) -> dict[str, list[dict[str, str]]]:
    """Return name and phone of those whose phones ring at a time, by the id of each route with a
    rota.
    """
    wanted = {row.route_id: row.rota_id for row in routes if row.rota_id}
    if not wanted:
        return {}
    found = {}
    for row in connection.execute(_ROTAS.where(_rota.c.id.in_(set(wanted.values())))):
        roster = rotas.roster(row.time_zone, row.people, row.weeks, row.begins)
        found[row.id] = rotas.phones_on_duty(row.people, roster, now)
    return {route_id: found.get(rota_id, []) for route_id, rota_id in wanted.items()}
