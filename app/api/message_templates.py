"""Templates: canned replies, texts and the TwiML of calls."""

from __future__ import annotations

from sqlalchemy import select

from app.api.auth import Caller
from app.api.operation import operation
from app.api.reading import Shape
from app.api.urls import Url, ids, owned, url
from app.extensions import db
from app.models.credential import Scope
from app.models.template import Template, TemplateKind, TemplateVersion


class TemplateObject(Shape):
    """A text with placeholders, as its current version says it."""

    id: str
    name: str
    kind: TemplateKind
    version: int
    body: str
    media: list[str]


@operation("GET", "/templates", Scope.READ, {200: list[Url]})
def collection(caller: Caller) -> list[str]:
    """List the URLs of the client's templates."""
    return [url("templates", one) for one in ids(Template, caller)]


@operation("GET", "/templates/<template_id>", Scope.READ, {200: TemplateObject})
def show(caller: Caller, template_id: str) -> TemplateObject:
    """Show one template as its current version says it."""
    template = owned(Template, caller, template_id, "template")
    version = db.session.scalars(
        select(TemplateVersion).where(
            TemplateVersion.template_id == template.id,
            TemplateVersion.number == template.current_version,
        )
    ).one()
    return TemplateObject(
        id=template.id,
        name=template.name,
        kind=template.kind,
        version=version.number,
        body=version.body,
        media=version.media,
    )
