"""The OpenAPI 3.1 document, made from the declared operations and the shapes they use."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, current_app, json
from pydantic import BaseModel, Field, TypeAdapter
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.api.operation import IDEMPOTENCY_KEY, Operation, blueprint, operations
from app.api.reading import Shape
from app.api.webhooks import EVENTS
from app.extensions import current_settings
from app.version import VERSION

_PART = re.compile(r"<(\w+)>")
_GROUPS = {
    "client": "Client",
    "campaigns": "Campaigns and communications",
    "communications": "Campaigns and communications",
    "runs": "Campaigns and communications",
    "batches": "Batches",
    "messages": "Messages",
    "sending": "Messages",
    "inbound": "What came in",
    "media": "Messages",
    "preview": "Messages",
    "populations": "Populations",
    "message_templates": "Templates",
    "suppression_lists": "Suppression lists",
    "numbers": "Numbers",
    "hours": "Numbers",
    "rotas": "Numbers",
    "conversations": "Conversations",
    "endpoints": "Endpoints and deliveries",
    "deliveries": "Endpoints and deliveries",
    "people": "People",
    "usage": "Usage",
}
_WORDS = {
    200: "What was asked for.",
    201: "Made.",
    202: "Begun.",
    204: "Done; there is no content.",
    400: "The body is not JSON.",
    401: "There is no valid API key.",
    403: "The API key's scope does not reach.",
    404: "There is no such thing, or it belongs to another client.",
    409: "It does not go with what is there; the detail says why.",
    413: "The body is too large.",
    422: "The content cannot be accepted; `errors` names every mistake.",
    429: "Too many requests; try again after `Retry-After` seconds.",
    503: "It cannot be done now; try again after `Retry-After` seconds.",
}
_INTRODUCTION = """\
Dispatch sends texts and places calls for a department, and says what became of them.

**Authentication.** Every call needs an API key: in the header `x-dispatch-api-key`, or by HTTP
Basic with the client's name and the key. A key has a scope: `read`, `send` (which includes
reading) or `admin` (everything).

**Bodies** are JSON whatever their Content-Type says. Field names are camelCase. Times are UTC.

**Collections** are arrays of absolute URLs; each URL answers with the object. Long lists come in
pages, oldest first: follow `next` until it is null. To look for more later, ask with `after` set to
the `id` of the last item.

**Errors** are problem details (RFC 9457). Where fields are at fault, `errors` names all of them.
"""


class FieldErrorObject(Shape):
    """One mistake."""

    field: str = Field(description="Where: a field's path, or a query parameter.")
    code: str = Field(description="A word for programs.")
    message: str = Field(description="A sentence for people.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str
    status: int
    title: str
    detail: str
    errors: list[FieldErrorObject] | None = None


@blueprint.get("/openapi.json")
def openapi_json() -> Response:
    """Serve the document."""
    return Response(json.dumps(document()), mimetype="application/json")


def document() -> dict[str, Any]:
    """Return the OpenAPI document, made once per process."""
    made: dict[str, Any] | None = current_app.extensions.get("openapi")
    if made is None:
        made = current_app.extensions["openapi"] = _make(current_settings().public_base_url)
    return made


def _make(base: str) -> dict[str, Any]:
    references = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        path = _PART.sub(r"{\1}", one.path)
        paths.setdefault(path, {})[one.method.lower()] = _describe(one, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dispatch", "version": VERSION, "description": _INTRODUCTION},
        "servers": [{"url": f"{base}/api/v1"}],
        "security": [{"apiKey": []}, {"basic": []}],
        "tags": [{"name": name} for name in dict.fromkeys(_GROUPS.values())],
        "paths": paths,
        "webhooks": {type.value: _webhook(kind, references) for type, kind in EVENTS.items()},
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-dispatch-api-key"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The client's name and the API key.",
                },
            },
            "schemas": references.schemas,
        },
    }


class _Schemas:
    """The schemas of all shapes: as they are sent by clients, and as they are answered."""

    def __init__(self, all_operations: list[Operation]) -> None:
        inputs: list[tuple[Any, JsonSchemaMode]] = [
            (one.body, "validation") for one in all_operations if one.body
        ]
        outputs: list[tuple[Any, JsonSchemaMode]] = [
            (kind, "serialization")
            for one in all_operations
            for kind in one.answers.values()
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        outputs += [(kind, "serialization") for kind in EVENTS.values()]
        queries = dict.fromkeys(one.query for one in all_operations if one.query)
        inputs += [(one, "validation") for one in queries]
        wanted = list(dict.fromkeys([*inputs, *outputs, (Problem, "serialization")]))
        self._references, definitions = models_json_schema(
            wanted, ref_template="#/components/schemas/{model}"
        )
        self.schemas: dict[str, Any] = definitions["$defs"]
        self.schemas["Problem"]["required"] = ["type", "status", "title", "detail"]
        self._queries = {one: self.schemas.pop(self._name(one)) for one in queries}

    def of(self, kind: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        """Return the schema of ``kind``: a reference where it is a shape."""
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self._references[(kind, mode)]
        return TypeAdapter(kind).json_schema(mode=mode)

    def of_query(self, query: type[BaseModel]) -> dict[str, Any]:
        """Return the schemas of the parameters of a query, by name."""
        properties: dict[str, Any] = self._queries[query]["properties"]
        return {name: dict(schema) for name, schema in properties.items()}

    def _name(self, kind: type[BaseModel]) -> str:
        reference: str = self._references[(kind, "validation")]["$ref"]
        return reference.rpartition("/")[2]


def _webhook(kind: type[BaseModel], schemas: _Schemas) -> dict[str, Any]:
    """Describe what an endpoint is sent, signed (docs/endpoints.md)."""
    content = {"application/json": {"schema": schemas.of(kind, "serialization")}}
    return {
        "post": {
            "summary": (kind.model_fields["data"].annotation.__doc__ or "").strip().rstrip("."),
            "security": [],
            "requestBody": {"required": True, "content": content},
            "responses": {"2XX": {"description": "You have it."}},
        }
    }


def _describe(one: Operation, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{one.group}.{one.name}",
        "tags": [_GROUPS[one.group]],
        "summary": one.summary.rstrip("."),
        "description": "\n\n".join(
            part for part in (one.description, f"Scope: `{one.scope.value}`.") if part
        ),
        "parameters": _parameters(one, schemas),
        "responses": _responses(one, schemas),
    }
    if one.body is not None:
        content: dict[str, Any] = {"schema": schemas.of(one.body, "validation")}
        if one.example is not None:
            content["example"] = one.example
        described["requestBody"] = {
            "required": not one.body_optional,
            "content": {"application/json": content},
        }
    return described


def _parameters(one: Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PART.findall(one.path)
    ]
    if one.takes_key:
        parameters.append(
            {
                "name": IDEMPOTENCY_KEY,
                "in": "header",
                "description": "Repeats with the same key get the same answer for a day, and do"
                " nothing a second time.",
                "schema": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 255,
                    "pattern": "^[ -~]*$",
                },
            }
        )
    if one.query is not None:
        for name, field in schemas.of_query(one.query).items():
            parameter: dict[str, Any] = {"name": name, "in": "query", "schema": field}
            if words := field.pop("description", None):
                parameter["description"] = words
            field.pop("title", None)
            parameters.append(parameter)
    return parameters


_CSV: dict[str, Any] = {
    "type": "string",
    "description": "With `Accept: text/csv`: all that matches, one line each, streamed; the fields"
    " by their own names, lists and objects as JSON. `limit` counts only when it is given.",
}


def _responses(one: Operation, schemas: _Schemas) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in one.answers.items():
        responses[str(status)] = {"description": _WORDS[status]}
        if kind is not None:
            content = {"schema": schemas.of(kind, "serialization")}
            responses[str(status)]["content"] = {"application/json": content}
            if one.csv:
                responses[str(status)]["content"]["text/csv"] = {"schema": _CSV}
    problem = {"application/problem+json": {"schema": schemas.of(Problem, "serialization")}}
    for status in sorted(_problems(one)):
        responses[str(status)] = {"description": _WORDS[status], "content": problem}
    responses["401"]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    responses["429"]["headers"] = {
        "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
    }
    return responses


def _problems(one: Operation) -> set[int]:
    found = {401, 403, 429, 503, *one.problems}
    if one.method != "GET":
        found.add(409)  # two at once
    if _PART.search(one.path):
        found.add(404)
    if one.body is not None:
        found |= {400, 413, 422}
    if one.query is not None or one.takes_key:
        found.add(422)
    return found
