"""Suppression lists: phones that must not be texted."""

from __future__ import annotations

from app.api.auth import Caller
from app.api.operation import operation
from app.api.reading import Shape
from app.api.urls import Url, ids, owned, url
from app.models.credential import Scope
from app.models.suppression import SuppressionList


class SuppressionListObject(Shape):
    """A named list of phones that must not be texted."""

    id: str
    name: str
    entries: Url


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
