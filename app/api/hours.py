"""Office hours: by which of its routes a number goes depends on them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.api.auth import Caller
from app.api.operation import Answer, operation
from app.api.urls import Url, named_urls, owned_by_name
from app.domain import deletion, mistakes, named
from app.domain.hours import hours
from app.domain.hours.schedule import State
from app.extensions import db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.credential import Scope
from app.models.hours import Hours


class HoursObject(hours.HoursSpec):
    """Office hours, and what they say now; a number, or the client, may be closed all the same."""

    state: State
    changes_at: datetime | None = Field(
        serialization_alias="changesAt", description="Null where nothing changes within a year."
    )


@operation("GET", "/hours", Scope.READ, {200: list[Url]})
def collection(caller: Caller) -> list[str]:
    """List the URLs of the client's office hours."""
    return named_urls(Hours, caller, "hours")


@operation("GET", "/hours/<name>", Scope.READ, {200: HoursObject})
def show(caller: Caller, name: str) -> HoursObject:
    """Show office hours, and whether they are open."""
    return _describe(owned_by_name(Hours, caller, name, "office hours"))


@operation(
    "PUT",
    "/hours/<name>",
    Scope.ADMIN,
    {200: HoursObject},
    example={"mon": ["08:00-12:00", "13:00-17:00"], "dates": {"2026-12-25": "closed"}},
)
def put(caller: Caller, name: str, body: hours.PlanSpec) -> HoursObject:
    """Make office hours, or let known ones be as the body says: a day left out is closed."""
    with unit_of_work() as session:
        known = named.find(session, Hours, caller.client_id, name)
        spec = mistakes.parse(hours.HoursSpec, {"name": name, **dict(body)})
        row = hours.save(session, caller.client_id, spec, known, caller.actor).row
    return _describe(row)


@operation("DELETE", "/hours/<name>", Scope.ADMIN, {204: None})
def delete(caller: Caller, name: str) -> Answer:
    """Delete office hours that no number goes by."""
    with unit_of_work() as session:
        deletion.remove(session, owned_by_name(Hours, caller, name, "office hours"), caller.actor)
    return Answer(204)


def _describe(row: Hours) -> HoursObject:
    plan = hours.of(row, db.session.get_one(Client, row.client_id))
    now = utcnow()
    return HoursObject.model_construct(
        **hours.HoursSpec.model_validate(hours.describe(row)).__dict__,
        state=plan.state(now),
        changes_at=plan.next_change(now),
    )
