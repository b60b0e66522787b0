"""Suppression lists: phones that must not be texted."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.idempotency import once
from app.api.operation import Answer, operation
from app.api.paging import Page, read_cursor, write_cursor
from app.api.problem import HttpProblem
from app.api.reading import Shape
from app.api.shapes import Phone as PathPhone
from app.api.urls import Url, ids, owned, url
from app.domain.audience import suppression_lists
from app.domain.phone_spellings import texted
from app.domain.specs import Phone
from app.extensions import db, unit_of_work
from app.models.base import PHONE_LENGTH
from app.models.credential import Scope
from app.models.suppression import (
    SCOPE_ALL,
    SuppressionEntry,
    SuppressionList,
    SuppressionReason,
    SuppressionSource,
)

_CURSOR = "suppression entries"


class SuppressionListObject(Shape):
    """A named list of phones that must not be texted."""

    id: str
    name: str
    entries: Url


class EntryObject(Shape):
    """A phone on the list, from one source."""

    phone: str
    scope: str = Field(
        description="`all`, or the id of the number or messaging service from which it must not be"
        " texted."
    )
    source: SuppressionSource
    since: datetime
    lifted_at: datetime | None = Field(description="Null while the entry counts.")
    reason: SuppressionReason = Field(
        description="`opted_out`: the person does not want texts. `unreachable`: Twilio cannot"
        " reach the phone; START does not change that, a text that arrives or comes from it does."
    )
    error_code: int | None = Field(description="Twilio's, of a phone that cannot be reached.")
    until: datetime | None = Field(
        description="From when a phone that cannot be reached is tried again."
    )


class EntryBody(Shape):
    """A phone that must not be texted."""

    phone: Annotated[Phone, Field(min_length=1, max_length=PHONE_LENGTH)]


class EntriesQuery(Shape):
    """Which page of the entries."""

    limit: int = Field(50, ge=1, le=1000)
    cursor: str | None = Field(None, max_length=500)


@operation("GET", "/suppressionlists", Scope.READ, {200: list[Url]})
def collection(caller: Caller) -> list[str]:
    """List the URLs of the client's suppression lists."""
    return [url("suppressionlists", one) for one in ids(SuppressionList, caller)]


@operation("GET", "/suppressionlists/<list_id>", Scope.READ, {200: SuppressionListObject})
def show(caller: Caller, list_id: str) -> SuppressionListObject:
    """Show one suppression list."""
    found = owned(SuppressionList, caller, list_id, "suppression list")
    entries = url("suppressionlists", found.id, "entries")
    return SuppressionListObject(id=found.id, name=found.name, entries=entries)


@operation("GET", "/suppressionlists/<list_id>/entries", Scope.READ, {200: Page[EntryObject]})
def entries(caller: Caller, list_id: str, query: EntriesQuery) -> Page[EntryObject]:
    """List the entries of a suppression list, the lifted ones too."""
    found = owned(SuppressionList, caller, list_id, "suppression list")
    chosen = (
        select(SuppressionEntry)
        .where(SuppressionEntry.list_id == found.id)
        .order_by(SuppressionEntry.id)
        .limit(query.limit + 1)
    )
    if query.cursor is not None:
        chosen = chosen.where(SuppressionEntry.id > str(read_cursor(query.cursor, _CURSOR)))
    rows = db.session.scalars(chosen).all()
    shown = rows[: query.limit]
    following = None
    if len(rows) > query.limit:
        cursor = write_cursor(shown[-1].id, _CURSOR)
        pairs = urlencode({"limit": query.limit, "cursor": cursor})
        following = f"{url('suppressionlists', found.id, 'entries')}?{pairs}"
    return Page(items=[_describe(one) for one in shown], next=following)


@operation(
    "POST",
    "/suppressionlists/<list_id>/entries",
    Scope.SEND,
    {201: EntryObject},
    example={"phone": "+13195550199"},
)
def add(caller: Caller, list_id: str, body: EntryBody) -> Answer:
    """Put a phone on a suppression list.

    Only staff or the API take such an entry away; START does not. A phone that is there already
    stays as it is.
    """

    def make(session: Session) -> Answer:
        found = owned(SuppressionList, caller, list_id, "suppression list")
        entry, _ = suppression_lists.add(session, found, body.phone, SCOPE_ALL, caller.actor)
        return Answer(201, _describe(entry))

    return once(caller, body, make)


@operation("DELETE", "/suppressionlists/<list_id>/entries/<phone>", Scope.SEND, {204: None})
def lift(caller: Caller, list_id: str, phone: str) -> Answer:
    """Lift every entry of a phone, whoever made it.

    Where the person answered STOP, Twilio goes on refusing texts to them until they answer START.
    """
    try:
        number = texted(TypeAdapter(PathPhone).validate_python(phone))
    except ValidationError:
        raise _not_on_the_list() from None
    with unit_of_work() as session:
        found = owned(SuppressionList, caller, list_id, "suppression list")
        query = select(SuppressionEntry).filter_by(list_id=found.id, phone=number)
        entries = session.scalars(query).all()
        if not suppression_lists.lift(session, found, number, entries, caller.actor):
            raise _not_on_the_list()
    return Answer(204)


def _not_on_the_list() -> HttpProblem:
    return HttpProblem(404, "This phone is not on the list, or was lifted already.")


def _describe(entry: SuppressionEntry) -> EntryObject:
    return EntryObject(
        phone=entry.phone,
        scope=entry.scope,
        source=entry.source,
        reason=entry.reason,
        error_code=entry.error_code,
        until=entry.until,
        since=entry.since,
        lifted_at=entry.lifted_at,
    )
