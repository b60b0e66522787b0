"""The published document as others judge it: a validator that knows nothing of us."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/v1/openapi.json").json
    return found


def faults(document: dict[str, Any]) -> list[str]:
    with warnings.catch_warnings(action="error"):
        return [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]


def test_a_validator_finds_nothing_wrong(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert faults(document) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("info", "version"), 1),
        (("paths", "/messages", "post", "responses", "201"), {"content": {}}),
        (("paths", "/messages/{message_id}", "get", "parameters"), []),
        (("paths", "/messages", "get", "operationId"), "sending.create"),
        (("components", "schemas", "MessageBody", "type"), "thing"),
        (("webhooks", "voicemail.received", "post", "requestBody", "required"), "yes"),
    ],
    ids=["version", "response", "parameter", "operation id", "schema", "webhook"],
)
def test_a_validator_finds_a_fault_that_is_put_in(
    document: dict[str, Any], place: tuple[str, ...], value: Any
) -> None:
    spoiled = copy.deepcopy(document)
    inside = spoiled
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = value
    assert faults(spoiled)
