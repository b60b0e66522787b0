"""Lists as CSV, for who asks with ``Accept: text/csv``: all that matches, however much, streamed.

A list is read a page at a time by the same call that answers in JSON, and written while the next
page is still to be read, so that a million rows take no more memory than a thousand. The columns
are the fields of an item by their own names; what is a list or an object is JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Response, request, stream_with_context
from pydantic import BaseModel

from app.api.paging import CursorQuery, Page
from app.domain import tables
from app.extensions import db

MIMETYPE = "text/csv"
TOGETHER = 1000
"""Items that are read at once: the most that a page may have."""


def is_wanted() -> bool:
    """Tell whether the caller would rather have CSV than JSON."""
    return request.accept_mimetypes.best_match(["application/json", MIMETYPE]) == MIMETYPE


def answer(kind: Any, read: Callable[..., Any], arguments: Mapping[str, Any]) -> Response:
    """Return what ``read`` finds as a file: every page of a list, or one line.

    :param kind: what it answers in JSON: a page of items, or one object.
    """
    item = kind.model_fields["items"].annotation.__args__[0] if issubclass(kind, Page) else kind
    first = read(**_first(arguments))  # what is wrong with the request is told before the file
    lines = stream_with_context(_lines(item, first, read, arguments))
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return Response(lines, mimetype=MIMETYPE, headers=headers)


def _first(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Read as much at once as may be, unless the caller has said how much there shall be."""
    query = arguments.get("query")
    if not isinstance(query, CursorQuery) or "limit" in query.model_fields_set:
        return dict(arguments)
    return {**arguments, "query": query.model_copy(update={"limit": TOGETHER})}


def _lines(
    item: type[BaseModel], found: Any, read: Callable[..., Any], arguments: Mapping[str, Any]
) -> Iterator[str]:
    names = [field.serialization_alias or field.alias or name
             for name, field in item.model_fields.items()]  # fmt: skip
    yield tables.write_rows([names])
    while True:
        shown = found.items if isinstance(found, Page) else [found]
        rows = [one.model_dump(mode="json", by_alias=True) for one in shown]
        following = found.next if isinstance(found, Page) else None
        db.session.remove()  # nothing is held while somebody reads slowly
        yield tables.write_rows([row[name] for name in names] for row in rows)
        query = arguments.get("query")
        is_list = isinstance(query, CursorQuery) and "limit" not in query.model_fields_set
        if following is None or query is None or not is_list:
            return
        cursor = parse_qs(urlsplit(str(following)).query)["cursor"][0]
        further = query.model_copy(update={"limit": TOGETHER, "cursor": cursor, "after": None})
        found = read(**{**arguments, "query": further})
