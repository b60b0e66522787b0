"""The OpenAPI document is made from the code, complete, and readable without anything else."""

from __future__ import annotations

import json
import re

import pytest
from flask.testing import FlaskClient
from jsonschema_rs import validator_for

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def document(client: FlaskClient) -> dict[str, object]:
    return client.get("/api/v1/openapi.json").json


def test_every_route_of_the_api_is_described(
    client: FlaskClient, document: dict[str, dict[str, dict[str, object]]]
) -> None:
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule.removeprefix("/api/v1")), method.lower())
        for rule in client.application.url_map.iter_rules()
        if rule.endpoint.startswith("api.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, one in document["paths"].items() for method in one}
    assert described == routes - {("/openapi.json", "get")}


def test_every_call_documents_its_errors_and_both_ways_to_authenticate(
    document: dict[str, dict[str, dict[str, dict[str, object]]]],
) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["security"] == [{"apiKey": []}, {"basic": []}]
    for methods in document["paths"].values():
        for call in methods.values():
            assert {"401", "403", "429"} <= set(call["responses"])
            assert call["summary"]


def test_every_schema_is_a_schema_and_every_reference_leads_somewhere(
    document: dict[str, dict[str, dict[str, object]]],
) -> None:
    schemas = document["components"]["schemas"]
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert references <= {f"#/components/schemas/{name}" for name in schemas}
    for name in schemas:
        validator_for({"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}})


def test_the_page_needs_nothing_from_elsewhere_and_no_script(client: FlaskClient) -> None:
    page = client.get("/api/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text
    assert "style=" not in page.text
    links = re.findall(r'(?:href|src)="([^"#]+)', page.text)
    assert links
    assert all(link.startswith("/") for link in links)
    assert all(client.get(link).status_code == 200 for link in links)
    assert "/communications/{communication_id}" in page.text
