"""Every call's usual answer is the one that the published document promises."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema_rs import validator_for

from app.api.operation import Operation, operations
from app.models.base import utcnow
from app.models.suppression import SuppressionEntry, SuppressionSource
from tests.api.test_repeats import CASES, PHONE, a_talk
from tests.api.test_schemathesis import furnish
from tests.support.departments import Caller, Department
from tests.support.rows import Rows

pytestmark = pytest.mark.database("sqlite")
NAMED = {f"{one.group}.{one.name}": one for one in operations}
UNCALLED = {("populations.subscribe", 200): "somebody who is there already, in test_lists.py"}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/v1/openapi.json").json
    return found


def test_every_answer_that_is_promised_is_called_for() -> None:
    promised = {(name, status) for name, one in NAMED.items() for status in list(one.answers)[1:]}
    assert promised == set(UNCALLED)


@pytest.mark.parametrize("name", NAMED)
def test_the_usual_answer_is_the_one_that_is_documented(
    name: str,
    api: Caller,
    rows: Rows,
    registrar: Department,
    document: dict[str, Any],
) -> None:
    """With the document's own example as the body, where it gives one."""
    one = NAMED[name]
    answer = _call(one, name, api, rows, registrar)
    usual = next(iter(one.answers))
    assert answer.status_code == usual, answer.text
    path = re.sub(r"<(\w+)>", r"{\1}", one.path)
    promised = document["paths"][path][one.method.lower()]["responses"][str(usual)]
    if one.answers[usual] is None:
        assert (answer.data, "content" in promised) == (b"", False)
        return
    schema = promised["content"][answer.mimetype]["schema"]
    validator_for({**schema, "components": document["components"]}).validate(answer.json)


def _call(one: Operation, name: str, api: Caller, rows: Rows, of: Department) -> Any:
    written = json.dumps(one.example).replace("+13195550100", of.number.address)
    example = json.loads(written)
    if (case := CASES.get(name)) is not None:
        path = "/".join(filter(None, (case.place(api, rows, of), case.verb)))
        return api.post(path, case.body if example is None else example)
    parts = {key: values[-1] for key, values in furnish(rows, of).items()} | {"phone": PHONE}
    parts["number"] = of.number.address
    a_talk(api, rows, of)
    if one.group == "rotas" and one.method != "PUT":
        put = NAMED["rotas.put"]
        assert api.put(f"rotas/{parts['name']}", put.example).status_code == 200
    if name == "suppression_lists.lift":
        rows.add(
            SuppressionEntry(
                list_id=of.suppression.id, phone=PHONE,
                scope="all", since=utcnow(), source=SuppressionSource.MANUAL,
            )
        )  # fmt: skip
    path = re.sub(r"<(\w+)>", lambda found: parts[found[1]], one.path)
    return api._call(one.method, path.removeprefix("/"), example, {})
