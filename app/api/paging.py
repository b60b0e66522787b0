"""Long lists, a page at a time: following ``next`` misses nothing and repeats nothing.

A page continues after the last row of the one before, in the order in which rows became visible to
others (``commit_order``). On PostgreSQL transactions overlap, and one that began earlier may end
later; so a page ends before the oldest transaction that still adds to a list. What a finished
request has made is below that, and visible at once, unless something older still runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from flask import request
from itsdangerous import BadData, URLSafeSerializer
from pydantic import Field
from sqlalchemy import Select, select, tuple_

from app.api.auth import Caller
from app.api.problem import invalid
from app.api.reading import Shape
from app.api.urls import Url, is_id, url
from app.extensions import current_settings, db
from app.models.commit_order import settled_up_to
from app.models.conversation import Conversation
from app.models.delivery import Delivery
from app.models.incoming import Incoming
from app.models.message import Message

Row = TypeVar("Row", Message, Incoming, Delivery, Conversation)
Item = TypeVar("Item")

Position = tuple[int, str]


class CursorQuery(Shape):
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=1000, description="How many items at most.")] = 50
    cursor: Annotated[
        str | None, Field(max_length=500, description="From `next` of the page before.")
    ] = None


class PageQuery(CursorQuery):
    """Which page of a list whose items have an id."""

    after: Annotated[
        str | None,
        Field(
            max_length=64,
            description="The `id` of the last item seen: to look for more once `next` was null.",
        ),
    ] = None


class Page(Shape, Generic[Item]):
    """Some items of a list, oldest first."""

    items: list[Item]
    next: Url | None = Field(description="The next page; null when there is none now.")


@dataclass(frozen=True)
class Rows(Generic[Row]):
    """The rows of a page, and where the next one is."""

    rows: Sequence[Row]
    next: str | None


def read_page(
    model: type[Row], caller: Caller, query: CursorQuery, chosen: Select[Row], collection: str
) -> Rows[Row]:
    """Read one page of ``chosen``, the caller's rows of ``model`` that pass its filters.

    :raises HttpProblem: 422 for a cursor that we did not make, or an ``after`` that is not there.
    """
    start = _start(model, caller, query, collection)
    if start is not None:
        chosen = chosen.where(tuple_(model.commit_order, model.id) > tuple_(*start))
    if (end := settled_up_to(db.session())) is not None:
        chosen = chosen.where(model.commit_order <= end)
    chosen = chosen.where(model.client_id == caller.client_id)
    chosen = chosen.order_by(model.commit_order, model.id).limit(query.limit + 1)
    found = db.session.scalars(chosen).all()
    rows = found[: query.limit]
    more = len(found) > query.limit
    return Rows(rows, _next(rows[-1], collection) if more else None)


def _start(
    model: type[Row], caller: Caller, query: CursorQuery, collection: str
) -> Position | None:
    after = query.after if isinstance(query, PageQuery) else None
    if query.cursor is not None and after is not None:
        raise invalid("after", "invalid", "Give either cursor or after; a cursor says it all.")
    if query.cursor is not None:
        order, last = read_cursor(query.cursor, collection)
        return order, last
    if after is None:
        return None
    row = None
    if is_id(after):
        row = db.session.execute(
            select(model.commit_order, model.id).where(
                model.id == after, model.client_id == caller.client_id
            )
        ).one_or_none()
    if row is None:
        raise invalid("after", "invalid", "There is no such item any more; begin without after.")
    return row[0], row[1]


def write_cursor(position: object, collection: str) -> str:
    """Write a position as a cursor: signed, so that nobody comes to rely on what is inside."""
    return str(_serializer(collection).dumps(position))


def read_cursor(text: str, collection: str) -> Any:
    """Read back what :func:`write_cursor` wrote.

    :raises HttpProblem: 422 for anything else.
    """
    try:
        return _serializer(collection).loads(text)
    except BadData:
        sentence = "This is no cursor of ours; take the whole URL from next, or begin without one."
        raise invalid("cursor", "bad_cursor", sentence) from None


def _next(last: Message | Incoming | Delivery | Conversation, collection: str) -> str:
    kept = [
        (name, value)
        for name, value in request.args.items(multi=True)
        if name not in ("cursor", "after")
    ]
    cursor = write_cursor([last.commit_order, last.id], collection)
    return f"{url(collection)}?{urlencode([*kept, ('cursor', cursor)])}"


def _serializer(collection: str) -> URLSafeSerializer:
    settings = current_settings()
    keys = [*settings.secret_key_fallbacks, settings.secret_key]
    return URLSafeSerializer(keys, salt=f"cursor of {collection}")
