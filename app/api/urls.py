"""The absolute URLs by which things refer to each other, and how an id in one is looked up."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar
from urllib.parse import quote

from pydantic import Field
from sqlalchemy import Select, select

from app.api.auth import Caller
from app.api.problem import not_found
from app.domain import named
from app.extensions import current_settings, db
from app.models.audience import Population
from app.models.base import ID_LENGTH
from app.models.batch import Batch
from app.models.communication import Campaign, Communication
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint
from app.models.incoming import Incoming
from app.models.message import Message
from app.models.suppression import SuppressionList
from app.models.template import Template

Url = Annotated[str, Field(json_schema_extra={"format": "uri"})]
_ID = re.compile(rf"[0-9A-Z]{{{ID_LENGTH}}}")


T = TypeVar(
    "T",
    Batch,
    Campaign,
    Communication,
    Delivery,
    Endpoint,
    Incoming,
    Message,
    Population,
    SuppressionList,
    Template,
)
"""What a client owns and has an id."""


def url(*parts: str) -> str:
    """Return the absolute URL of what ``parts`` name, below ``/api/v1``."""
    path = "/".join(quote(part, safe="+") for part in parts)
    return f"{current_settings().public_base_url}/api/v1/{path}"


def url_or_none(collection: str, thing_id: str | None) -> str | None:
    """Return the URL of one thing of a collection, or None where there is none."""
    return url(collection, thing_id) if thing_id else None


def is_id(text: str) -> bool:
    """Tell whether ``text`` can be one of our ids; anything else need not be looked up."""
    return _ID.fullmatch(text) is not None


def owned(model: type[T], caller: Caller, thing_id: str, what: str) -> T:
    """Return the caller's own row of ``model``.

    :raises HttpProblem: 404 when there is none, or it is another client's.
    """
    found = db.session.scalar(owned_select(model, caller, thing_id)) if is_id(thing_id) else None
    if found is None:
        raise not_found(what)
    return found


def owned_select(model: type[T], caller: Caller, thing_id: str) -> Select[T]:
    """Return the query of the caller's own row of ``model``."""
    return select(model).where(model.id == thing_id, model.client_id == caller.client_id)


def named_urls(model: type[named.Named], caller: Caller, collection: str) -> list[str]:
    """Return the URLs of all of the caller's rows of ``model``, whose names stand in them."""
    query = select(model.name).where(model.client_id == caller.client_id).order_by(model.id)
    return [url(collection, name) for name in db.session.scalars(query)]


def owned_by_name(model: type[named.Named], caller: Caller, name: str, what: str) -> named.Named:
    """Return the caller's own row of ``model`` that has a name.

    :raises HttpProblem: 404 when there is none.
    """
    found = named.find(db.session(), model, caller.client_id, name)
    if found is None:
        raise not_found(what)
    return found


def ids(model: type[T], caller: Caller) -> list[str]:
    """Return the ids of all of the caller's rows of ``model``, oldest first."""
    query = select(model.id).where(model.client_id == caller.client_id).order_by(model.id)
    return list(db.session.scalars(query))
