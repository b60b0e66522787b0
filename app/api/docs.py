"""The readable page about the API, made from the same document; nothing from elsewhere."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, render_template
from markupsafe import Markup, escape

from app.api.openapi import document
from app.extensions import current_settings

blueprint = Blueprint(
    "api_docs",
    __name__,
    url_prefix="/api/docs",
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_METHODS = ("get", "post", "put", "delete")


@blueprint.get("", strict_slashes=False)
def page() -> Response:
    """Show every call of the API with its fields and answers."""
    described = document()
    response = make_response(
        render_template(
            "api/docs.html",
            document=described,
            groups=_groups(described),
            base=f"{current_settings().public_base_url}/api/v1",
            schemas=described["components"]["schemas"],
        )
    )
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _groups(described: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Sort the calls into their groups, in the order of the tags."""
    groups: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in described["tags"]}
    for path, methods in described["paths"].items():
        for method in _METHODS:
            if method in methods:
                call = methods[method]
                groups[call["tags"][0]].append({**call, "method": method.upper(), "path": path})
    return {name: calls for name, calls in groups.items() if calls}


@blueprint.app_template_filter("api_type")
def type_words(schema: dict[str, Any]) -> Markup:
    """Say in a word or two what a schema allows, with a link where it is a shape of its own."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    for joined in ("anyOf", "oneOf", "allOf"):
        if joined in schema:
            return Markup(" or ").join(type_words(one) for one in schema[joined])
    if "const" in schema:
        return escape(f"“{schema['const']}”")
    if "enum" in schema:
        return escape(", ".join(str(value) for value in schema["enum"]))
    if schema.get("type") == "array":
        return Markup("list of ") + type_words(schema.get("items", {}))
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        kind = " or ".join(kind)
    return escape({"string": schema.get("format", "text")}.get(kind, kind))


@blueprint.app_template_filter("api_paragraphs")
def paragraphs(text: str) -> Markup:
    """Set plain paragraphs with `code` and **strong** words as HTML."""
    return Markup("").join(
        Markup("<p>{}</p>").format(_inline(part)) for part in text.split("\n\n") if part.strip()
    )


def _inline(text: str) -> Markup:
    made = Markup("")
    for place, part in enumerate(text.split("`")):
        made += Markup("<code>{}</code>").format(part) if place % 2 else _strong(part)
    return made


def _strong(text: str) -> Markup:
    made = Markup("")
    for place, part in enumerate(text.split("**")):
        made += Markup("<strong>{}</strong>").format(part) if place % 2 else escape(part)
    return made
