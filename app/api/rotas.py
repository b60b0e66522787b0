"""Rotas: whose phone rings depends on who is on duty."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.api.auth import Caller
from app.api.operation import Answer, operation
from app.api.urls import Url, named_urls, owned_by_name
from app.domain import deletion, mistakes, named
from app.domain.rotas import rotas
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.credential import Scope
from app.models.rota import Rota


class RotaObject(rotas.RotaSpec):
    """A rota, and who is on duty now."""

    on_duty: list[str] = Field(serialization_alias="onDuty", description="Their names.")
    changes_at: datetime | None = Field(
        serialization_alias="changesAt", description="Null where nothing changes within a year."
    )


@operation("GET", "/rotas", Scope.READ, {200: list[Url]})
def collection(caller: Caller) -> list[str]:
    """List the URLs of the client's rotas."""
    return named_urls(Rota, caller, "rotas")


@operation("GET", "/rotas/<name>", Scope.READ, {200: RotaObject})
def show(caller: Caller, name: str) -> RotaObject:
    """Show a rota, and who is on duty."""
    return _describe(owned_by_name(Rota, caller, name, "rota"))


@operation(
    "PUT",
    "/rotas/<name>",
    Scope.ADMIN,
    {200: RotaObject},
    example={
        "people": [{"name": "Pat", "phone": "+13195550181"}],
        "weeks": [{"mon": ["08:00-17:00 Pat"]}],
    },
)
def put(caller: Caller, name: str, body: rotas.RosterSpec) -> RotaObject:
    """Make a rota, or let a known one be as the body says."""
    with unit_of_work() as session:
        known = named.find(session, Rota, caller.client_id, name)
        spec = mistakes.parse(rotas.RotaSpec, {"name": name, **dict(body)})
        row = rotas.save(session, caller.client_id, spec, known, caller.actor).row
    return _describe(row)


@operation("DELETE", "/rotas/<name>", Scope.ADMIN, {204: None})
def delete(caller: Caller, name: str) -> Answer:
    """Delete a rota by which nobody is rung."""
    with unit_of_work() as session:
        deletion.remove(session, owned_by_name(Rota, caller, name, "rota"), caller.actor)
    return Answer(204)


def _describe(row: Rota) -> RotaObject:
    roster = rotas.of(row, db.session.get_one(Client, row.client_id))
    now = utcnow()
    return RotaObject.model_construct(
        **rotas.RotaSpec.model_validate(rotas.describe(row)).__dict__,
        on_duty=roster.on_duty(now),
        changes_at=roster.next_change(now),
    )
