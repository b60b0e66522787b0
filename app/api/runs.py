"""Runs: what goes out by itself, and what has."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from app.api.auth import Caller
from app.api.operation import operation
from app.api.reading import Shape
from app.api.urls import Url, owned, url, url_or_none
from app.domain.mistakes import Refused
from app.domain.sending import coming
from app.domain.specs import Instant
from app.extensions import db
from app.models.base import utcnow
from app.models.client import Client
from app.models.communication import Communication
from app.models.credential import Scope

USUAL, LONGEST = timedelta(days=31), timedelta(days=366)


class RunObject(Shape):
    """One time at which a communication goes out, or was to."""

    at: datetime
    communication: Url
    name: str = Field(description="The communication's.")
    kind: coming.Kind = Field(
        description="`repeat`, `relative` (by a date of each member), or `once`: a batch that was"
        " started for later."
    )
    state: Literal[
        "coming", "scheduled", "awaiting_approval", "started", "nobody", "skipped", "refused"
    ] = Field(
        description="`nobody`: nobody was in the list, or due. `skipped`: its time had passed by"
        " more than 12 hours. `refused`: nothing could be sent. What has `started` is a batch."
    )
    people: int | None = Field(
        description="A batch's members; those whose date it is, where they are counted ahead."
    )
    batch: Url | None
    reason: str | None = Field(description="Why it did not go out, in a sentence.")


class RunsObject(Shape):
    """Runs in the order of their times."""

    items: list[RunObject]
    until: datetime = Field(description="All before this are listed; go on with `from` here.")


class RunsQuery(Shape):
    """Which runs."""

    from_: Instant | None = Field(None, alias="from", description="Now, if not given.")
    to: Instant | None = Field(
        None, description="Before this; 31 days later, if not given, and 366 at most."
    )
    communication: str | None = Field(None, max_length=64, description="A communication's id.")


@operation("GET", "/runs", Scope.READ, {200: RunsObject}, problems=(404,))
def listing(caller: Caller, query: RunsQuery) -> RunsObject:
    """List what goes out by itself and what has, the earliest first, at most 1,000 at once."""
    first = query.from_ or utcnow()
    until = query.to or first + USUAL
    if not first < until <= first + LONGEST:
        raise Refused.because("Choose a time after “from”, 366 days later at most.", "to")
    session, only = db.session(), None
    if query.communication is not None:
        only = owned(Communication, caller, query.communication, "communication")
    client = session.get_one(Client, caller.client_id)
    found = coming.between(session, client, first, until, only, coming.MOST + 1)
    if len(found) > coming.MOST:
        until = found[-1].at
        found = [one for one in found if one.at < until]
    return RunsObject(items=[_describe(one) for one in found], until=until)


def _describe(one: coming.Run) -> RunObject:
    return RunObject.model_validate({
        "at": one.at,
        "communication": url("communications", one.communication.id),
        "name": one.communication.name,
        "kind": one.kind,
        "state": one.state,
        "people": one.people,
        "batch": url_or_none("batches", one.batch_id),
        "reason": one.reason,
    })  # fmt: skip
